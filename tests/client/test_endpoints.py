"""Provider entries at work: one endpoint for each, however many threads ask for it first."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any

import pytest

from llm_sync import ClientClosedError, Usage
from llm_sync.client.endpoints import Endpoint, Endpoints, listed_price
from llm_sync.config import ConfigLoader
from llm_sync.dispatch.manager import ConcurrentLLMManager
from llm_sync.dispatch.queue import ProviderRequestQueue
from llm_sync.providers.ports import BilledAnswer

PATIENCE_S = 10.0
CONFIG = "providers: {a: {type: openai, api_key: k, base_url: https://a.test/v1}, b: {type: openai}}"


@pytest.fixture
def manager() -> Any:
    """The queues of a client, without the client."""
    manager = ConcurrentLLMManager(ProviderRequestQueue)
    yield manager
    manager.close(cancel_pending=True)


def test_an_endpoint_is_made_once(manager: ConcurrentLLMManager) -> None:
    """Requests of one provider share its gate and its connections; each provider has its own."""
    endpoints = Endpoints(ConfigLoader().load_text(CONFIG), manager, strict=False)
    assert endpoints.get("a") is None  # not before it is asked for
    assert endpoints["a"] is endpoints["a"]
    assert endpoints["a"].gate is not endpoints["b"].gate
    assert list(endpoints) == ["a", "b"]


def test_threads_that_meet_over_a_new_endpoint_get_the_same(
    manager: ConcurrentLLMManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both build one; were both kept, two gates would each think themselves alone."""
    endpoints = Endpoints(ConfigLoader().load_text(CONFIG), manager, strict=False)
    both = threading.Barrier(2, timeout=PATIENCE_S)
    build = Endpoints._build

    def building(self: Endpoints, config: Any) -> Endpoint:
        built = build(self, config)
        both.wait()
        return built

    monkeypatch.setattr(Endpoints, "_build", building)
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(lambda name: endpoints[name], ["a", "a"])
    assert first is second is endpoints["a"]


def test_nothing_is_made_after_closing(manager: ConcurrentLLMManager) -> None:
    """A closed client opens no connections; the endpoints that were there stay, for their last answers."""
    endpoints = Endpoints(ConfigLoader().load_text(CONFIG), manager, strict=False)
    made = endpoints["a"]
    manager.close()
    assert endpoints["a"] is made
    with pytest.raises(ClientClosedError):
        endpoints["b"]
    assert "b" not in endpoints


def test_a_provider_that_is_not_configured_is_a_key_error(manager: ConcurrentLLMManager) -> None:
    """Routing names configured providers only; anything else is a mistake of the program."""
    endpoints = Endpoints(ConfigLoader().load_text(CONFIG), manager, strict=False)
    with pytest.raises(KeyError, match="nobody"):
        endpoints["nobody"]
    assert "nobody" not in endpoints


@pytest.mark.parametrize("host", ["localhost:11434", "127.0.0.1", "[::1]:8000"])
def test_no_list_of_prices_is_loaded_for_a_server_on_this_machine(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """The list has none, and loading it takes as much CPU as hundreds of answers."""
    monkeypatch.setitem(sys.modules, "llm_sync.spending.price_list", None)  # an import of it fails
    answer = BilledAnswer(f"http://{host}/v1", "m", "m", Usage(1, 2), None, {}, datetime.now(timezone.utc))
    assert listed_price(answer) == (None, None)
    with pytest.raises(ImportError):
        listed_price(answer._replace(base_url="https://api.openai.com/v1"))
