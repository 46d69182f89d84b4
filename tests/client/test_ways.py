"""The way of single requests: by the call, else by the configuration; what a provider cannot do is said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from llm_sync import LLMClient, ModelRequest
from llm_sync.config import ConfigLoader
from llm_sync.errors import InvalidRequestError, RequestTimeoutError
from llm_sync.providers import background
from llm_sync.simulator import Simulator

CONFIG = """
providers:
  plain: {type: openai-responses, base_url: "URL", api_key: any, models: [gpt-5]}
  later:
    {type: openai-responses, base_url: "URL", api_key: any, via: background, models: [gpt-5, {name: gpt-5-mini, via: direct}]}
  jobs: {type: openai-responses, base_url: "URL", api_key: any, models: [gpt-5], via: batch}
  chat: {type: openai, base_url: "CHAT", api_key: any, models: [gpt-4o-mini]}
"""


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """Answers are made in some milliseconds."""
    monkeypatch.setattr(background, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(background, "MAX_PAUSE_S", 0.02)
    with Simulator(script={"jobs": {"speed": 2000, "answer_takes": 20}}) as started:
        yield started


@pytest.fixture
def open_client(simulator: Simulator) -> Iterator[Callable[..., LLMClient]]:
    """Makes clients of CONFIG."""
    opened: list[LLMClient] = []

    def make(**options: Any) -> LLMClient:
        text = CONFIG.replace("URL", simulator.url("openai-responses")).replace("CHAT", simulator.url("openai"))
        opened.append(LLMClient(ConfigLoader().load_text(text), **options))
        return opened[-1]

    yield make
    for client in opened:
        client.close()


@pytest.mark.parametrize(
    ("model", "via", "expected"),
    [
        ("plain/gpt-5", None, None),
        ("plain/gpt-5", "background", "background"),
        ("later/gpt-5", None, "background"),
        ("later/gpt-5", "direct", None),
        ("later/gpt-5-mini", None, None),
        ("later/not-listed", None, "background"),
        ("jobs/gpt-5", None, None),
        ("plain/gpt-nope,later/gpt-5", None, "background"),
    ],
)
def test_the_call_decides_else_the_configuration(open_client: Any, model: str, via: str | None, expected: str | None) -> None:
    """``batch`` is for batches: a single request of such a model goes directly. A route's models each go their way."""
    assert open_client().generate("x", model, via=via).metadata.get("via") == expected


def test_every_call_takes_the_way(open_client: Any) -> None:
    """Futures and requests, too."""
    client, request = open_client(), ModelRequest("x", "plain/gpt-5")
    answers = [client.generate_response(request, via="background"), client.submit(request, via="background").result()]
    assert [answer.metadata["via"] for answer in answers] == ["background"] * 2


@pytest.mark.parametrize("via", ["sideways", "", 5, "batch", ["background"]])
def test_what_is_no_way_of_a_request_is_refused(open_client: Any, simulator: Simulator, via: Any) -> None:
    """Before anything is sent."""
    with pytest.raises(InvalidRequestError, match="via="):
        open_client().generate("x", "plain/gpt-5", via=via)
    assert simulator.requests == []


def test_a_provider_without_it_is_asked_directly_and_refused_under_strict(open_client: Any) -> None:
    """With an adjustment that says so."""
    answer = open_client().generate("x", "chat/gpt-4o-mini", via="background")
    assert [(made.parameter, made.sent) for made in answer.adjustments] == [("via", "direct")]
    with pytest.raises(InvalidRequestError, match="chat makes no answers in the background"):
        open_client(strict=True).generate("x", "chat/gpt-4o-mini", via="background")


def test_a_window_without_background_is_not_sent(open_client: Any, simulator: Simulator) -> None:
    """``soonest`` is what everybody gets."""
    client = open_client()
    answers = [client.generate("x", "plain/gpt-5", completion_window=window) for window in ("2h", "soonest")]
    assert [[made.parameter for made in answer.adjustments] for answer in answers] == [["completion_window"], []]
    assert all("background_options" not in request.payload for request in simulator.requests)


def test_a_background_answer_has_an_hour_or_its_window_and_what_was_set_stays(open_client: Any) -> None:
    """The deadline; each exchange has the usual timeout."""
    client = open_client()

    def options(**call: Any) -> tuple[float, float]:
        window = call.pop("completion_window", None)
        request = ModelRequest("x", "plain/gpt-5", completion_window=window, service_tier=call.pop("service_tier", None))
        made = client.dispatcher.prepare(request, via="background", **call).options
        return made.timeout, made.deadline

    assert options() == (120.0, 3600.0)
    assert options(completion_window="8h") == (120.0, 36000.0)
    assert options(completion_window="8h", service_tier="flex") == (900.0, 36000.0)
    assert options(deadline=30.0, completion_window="8h") == (120.0, 30.0)


def test_a_caller_who_waits_no_longer_cancels_the_answer(open_client: Any) -> None:
    """``wait_timeout`` ends the wait; nobody could fetch the answer."""
    with Simulator(script={"jobs": {"speed": 0, "answer_takes": 20}}) as slow:
        text = CONFIG.replace("URL", slow.url("openai-responses")).replace("CHAT", slow.url("openai"))
        with LLMClient(ConfigLoader().load_text(text)) as client, pytest.raises(RequestTimeoutError):
            client.generate("x", "plain/gpt-5", via="background", wait_timeout=0.2)
        assert slow.requests[-1].path.endswith("/cancel")
