"""Equal requests in flight are sent once: threads wait for the one that is sent."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from llm_sync import LLMClient, LLMConnectorError, ModelRequest, RequestTimeoutError
from llm_sync.cache.in_flight import flights
from llm_sync.config import ConfigLoader
from llm_sync.providers import Answer, Dialect, ProviderFactory
from llm_sync.simulator import Simulator

OPENAI = "openai/gpt-4o-mini"
Cached = Callable[..., LLMClient]
PATIENCE_S = 20.0


def waiting(count: int) -> Callable[[], bool]:
    """Whether so many threads wait for a request in flight."""
    return lambda: sum(len(flight._waiting) for flight in list(flights._flights.values())) >= count


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that other threads bring about."""
    tick = threading.Event()
    for _ in range(int(PATIENCE_S / 0.01)):
        if condition():
            return
        tick.wait(0.01)
    raise AssertionError("it did not happen")


def test_threads_wait_for_the_one_that_asks(cached: Cached, upstream: Simulator) -> None:
    """Also those of another client; each gets its own response, unpaid but for one."""
    one, other = cached(), cached()
    with upstream.hold() as hold, ThreadPoolExecutor(6) as pool:
        futures = [pool.submit((one, other)[n % 2].generate, "x", OPENAI, id=n) for n in range(6)]
        hold.wait(1)
        until(waiting(5))
        hold.close()
        answers = [future.result(PATIENCE_S) for future in futures]
    assert len(upstream.requests) == 1
    assert [answer.id for answer in answers] == list(range(6))
    assert sorted(answer.cached for answer in answers) == [False] + [True] * 5
    assert len({answer.text for answer in answers}) == 1
    assert sum(answer.cost_estimate or 0 for answer in answers) == max(answer.cost_estimate or 0 for answer in answers)
    assert flights._flights == {}


def test_an_error_is_shared_and_not_stored(folder: Any) -> None:
    """Those that wait would get the same; the next request is sent again."""
    with Simulator(script={"rules": [{"error": "bad_request"}]}) as simulator:
        text = f"providers: {{openai: {{api_key: test-key, base_url: {simulator.url('openai')}, concurrency: 4}}}}"
        with LLMClient(ConfigLoader().load_text(text), cache=folder) as client:
            with simulator.hold() as hold:
                futures = [client.submit(ModelRequest("x", OPENAI)) for _ in range(4)]
                hold.wait(1)
                until(waiting(3))
                hold.close()
                errors = [future.exception(PATIENCE_S) for future in futures]
            assert [type(error).__name__ for error in errors] == ["InvalidRequestError"] * 4
            assert len({id(error) for error in errors}) == 4
            assert len(simulator.requests) == 1
            with pytest.raises(LLMConnectorError):
                client.generate("x", OPENAI)
            assert len(simulator.requests) == 2


PRICED = """
defaults: {max_retries: 0}
providers:
  openai: {api_key: k, base_url: "URL", concurrency: 4, models: [{name: gpt-4o-mini, pricing: {input: 1, output: 2}}]}
"""


def shared_errors(simulator: Simulator, folder: Any) -> list[Any]:
    """The errors of three equal requests, of which two wait for the one that is sent."""
    text = PRICED.replace("URL", simulator.url("openai"))
    with LLMClient(ConfigLoader().load_text(text), cache=folder) as client, simulator.hold() as hold:
        futures = [client.submit(ModelRequest("x", OPENAI)) for _ in range(3)]
        hold.wait(1)
        until(waiting(2))
        hold.close()
        return [future.exception(PATIENCE_S) for future in futures]


@pytest.mark.parametrize("fault", ["refusal", "empty"])
def test_an_answer_that_cannot_be_used_is_paid_once(folder: Any, fault: str) -> None:
    """Those that wait get the same error, with a response that cost nothing."""
    with Simulator(script={"rules": [{fault: True}]}) as simulator:
        errors = shared_errors(simulator, folder)
        assert len(simulator.requests) == 1
    assert len({type(error) for error in errors}) == 1
    assert sorted(error.response.cached for error in errors) == [False, True, True]
    costs = sorted(error.response.cost_estimate for error in errors)
    assert costs[:2] == [0, 0]
    assert costs[2] > 0


def test_an_error_after_sending_may_be_billed_once(folder: Any) -> None:
    """Those that wait have sent nothing."""
    with Simulator(script={"rules": [{"reset": "mid_body"}]}) as simulator:
        errors = shared_errors(simulator, folder)
    assert sorted(error.possibly_billed for error in errors) == [0, 0, 1]


def test_if_the_one_that_asks_is_given_up_another_one_asks(cached: Cached, upstream: Simulator) -> None:
    """Its caller waits no longer and withdraws it; the others have their answer all the same."""
    client = cached()
    with upstream.hold() as hold, ThreadPoolExecutor(2) as pool:
        first = client.submit(ModelRequest("x", OPENAI))
        hold.wait(1)
        second = pool.submit(client.generate, "x", OPENAI)
        until(waiting(1))
        first.withdraw()  # type: ignore[attr-defined]
        hold.wait(2)
        hold.close()
        assert second.result(PATIENCE_S).text
    assert len(upstream.requests) == 2


def test_one_that_waits_can_be_given_up(cached: Cached, upstream: Simulator) -> None:
    """Its wait_timeout counts; the one that asks goes on."""
    client = cached()
    with upstream.hold() as hold:
        first = client.submit(ModelRequest("x", OPENAI))
        hold.wait(1)
        with pytest.raises(RequestTimeoutError, match="wait_timeout"):
            client.generate("x", OPENAI, wait_timeout=0.2)
        hold.close()
        assert not first.result(PATIENCE_S).cached
    assert client.generate("x", OPENAI).cached


class FirstReading(Dialect):
    """A dialect of a test whose first version reads the wrong field."""

    type = "test-dialect"
    default_base_url = "http://127.0.0.1:9"

    def prepare_request(self, request: Any, adjustments: Any) -> dict[str, Any]:
        """As OpenAI's."""
        return {"model": request.model, "messages": [{"role": "user", "content": request.prompt}]}

    def read_answer(self, body: Any) -> Answer:
        """The id of the completion: wrong."""
        return Answer(body["id"], "stop")


class SecondReading(FirstReading):
    """The fixed version."""

    def read_answer(self, body: Any) -> Answer:
        """The text."""
        return Answer(body["choices"][0]["message"]["content"], "stop")


def test_an_answer_that_was_read_wrongly_is_read_rightly_after_the_fix(
    folder: Any, upstream: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unpaid: what is stored is the reply, and each reading of it is new."""
    config = f"providers: {{p: {{type: test-dialect, api_key: test-key, base_url: {upstream.url('openai')}}}}}"
    texts = []
    for dialect in (FirstReading, SecondReading):
        kind = type("Provider", (ProviderFactory.provider_class("openai"),), {"dialect_class": dialect})
        monkeypatch.setitem(ProviderFactory._classes, "test-dialect", kind)
        loaded = ConfigLoader(known_types=lambda _: ["test-dialect"]).load_text(config)
        with LLMClient(loaded, cache=folder) as client:
            texts.append(client.generate("Say hello", "p/gpt-4o-mini").text)
    assert len(upstream.requests) == 1
    assert texts[0].startswith("chatcmpl-")
    assert "hello" in texts[1].lower()
