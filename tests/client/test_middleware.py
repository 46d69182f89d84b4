"""A program's own code around every call: on the worker, with all that a cache, a budget, a route or a trace needs."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from typing import Any

import pytest

from llm_sync import ClientClosedError, LLMClient, ModelRequest, ModelResponse, RateLimitError
from llm_sync.client.middleware import Next
from llm_sync.config import ConfigLoader
from llm_sync.events import Event, Finished
from llm_sync.models import PreparedRequest
from llm_sync.simulator import Response, Simulator

OPENAI = "openai/gpt-4o-mini"
ANTHROPIC = "anthropic/claude-haiku-4-5"
PATIENCE_S = 10.0
TOO_FAST = Response(429, {"error": {"message": "too fast"}})


class Limited:
    """A simulator that refuses what ``refuse`` says, and a client of it."""

    def __init__(self) -> None:
        self.refuse: Callable[[Any], bool] = lambda record: False
        self.client: LLMClient
        self.simulator = Simulator(on_request=lambda record: TOO_FAST if self.refuse(record) else None)


@pytest.fixture
def limited() -> Iterator[Limited]:
    """A provider that answers some requests only."""
    limited = Limited()
    with limited.simulator as simulator:
        entries = (f"{name}: {{api_key: k-0123456789, base_url: {simulator.url(name)}}}" for name in ("openai", "anthropic"))
        with LLMClient(ConfigLoader().load_text(f"providers: {{{', '.join(entries)}}}")) as limited.client:
            yield limited


def test_it_runs_around_every_kind_of_call_on_the_workers(client: LLMClient) -> None:
    """generate, generate_response, submit, generate_responses_concurrent and map; never in the caller's thread."""
    seen: list[tuple[str, str, bool]] = []

    def middleware(request: PreparedRequest, send: Next) -> ModelResponse:
        response = send(request)
        seen.append((request.request.prompt or "", response.provider, threading.current_thread() is caller))
        return response

    caller = threading.current_thread()
    client.add_middleware(middleware)
    client.generate("a", OPENAI)
    client.generate_response(ModelRequest("b", OPENAI))
    client.submit(ModelRequest("c", ANTHROPIC)).result(PATIENCE_S)
    client.generate_responses_concurrent([ModelRequest("d", OPENAI)])
    list(client.map([ModelRequest("e", ANTHROPIC)]))
    assert seen == [(p, o, False) for p, o in zip("abcde", ("openai", "openai", "anthropic", "openai", "anthropic"), strict=True)]


def test_it_may_answer_without_sending(client: LLMClient, upstream: Simulator) -> None:
    """As a cache does: the answer it gives is the call's."""
    kept: dict[tuple[str, bytes], ModelResponse] = {}

    def cache(request: PreparedRequest, send: Next) -> ModelResponse:
        key = request.url, request.body
        if key not in kept:
            kept[key] = send(request)
        return kept[key]

    client.add_middleware(cache)
    first, second = client.generate("x", OPENAI), client.generate("x", OPENAI)
    assert second is first
    assert client.generate("y", OPENAI) is not first
    assert len(upstream.requests) == 2


def test_it_sees_errors_and_may_send_again_elsewhere(limited: Limited) -> None:
    """As a fallback route does: another provider's request, made by the dispatcher, over that provider's gate."""
    client = limited.client
    limited.refuse = lambda record: record.payload["model"] == "gpt-4o-mini"

    def route(request: PreparedRequest, send: Next) -> ModelResponse:
        try:
            return send(request)
        except RateLimitError:
            other = dataclasses.replace(request.request, model=ANTHROPIC)
            return send(client.dispatcher.prepare(other))

    client.add_middleware(route)
    response = client.generate("x", OPENAI, max_retries=0)
    assert response.provider == "anthropic"
    assert [record.payload["model"] for record in limited.simulator.requests] == ["gpt-4o-mini", "claude-haiku-4-5"]


def test_it_may_send_again(limited: Limited) -> None:
    """Each time with all retries of the options."""
    client = limited.client
    limited.refuse = lambda record: len(limited.simulator.requests) <= 2

    def stubborn(request: PreparedRequest, send: Next) -> ModelResponse:
        while True:
            try:
                return send(request)
            except RateLimitError:  # noqa: PERF203  (sending again is what it is about)
                continue

    client.add_middleware(stubborn)
    assert client.generate("x", OPENAI, max_retries=0).text
    assert len(limited.simulator.requests) == 3


def test_what_it_raises_is_the_calls_outcome(client: LLMClient, upstream: Simulator) -> None:
    """Nothing is sent; the worker goes on, and the next call is answered."""

    def budget(request: PreparedRequest, send: Next) -> ModelResponse:
        if request.request.prompt == "dear":
            raise ZeroDivisionError("no money left")
        return send(request)

    client.add_middleware(budget)
    with pytest.raises(ZeroDivisionError, match="no money left"):
        client.generate("dear", OPENAI)
    assert upstream.requests == []
    assert client.generate("cheap", OPENAI).text


def test_it_sees_the_errors_of_the_provider_as_the_caller_would(limited: Limited) -> None:
    """With provider, model and attempts; passing it on changes nothing."""
    client = limited.client
    limited.refuse = lambda record: len(limited.simulator.requests) <= 2
    seen: list[BaseException] = []

    def watching(request: PreparedRequest, send: Next) -> ModelResponse:
        try:
            return send(request)
        except BaseException as error:
            seen.append(error)
            raise

    client.add_middleware(watching)
    with pytest.raises(RateLimitError) as caught:
        client.generate("x", OPENAI, max_retries=0)
    assert seen == [caught.value]
    assert (caught.value.provider, caught.value.model, caught.value.attempts) == ("openai", "gpt-4o-mini", 1)


def test_one_that_waits_ends_with_the_client(client: LLMClient, upstream: Simulator) -> None:
    """control.wait returns at once when the request is to stop."""
    waiting, told = threading.Event(), threading.Event()

    def patient(request: PreparedRequest, send: Next) -> ModelResponse:
        waiting.set()
        if send.control.wait(600):
            told.set()
            raise ClientClosedError("stopped while it waited")
        return send(request)

    client.add_middleware(patient)
    future = client.submit(ModelRequest("x", OPENAI))
    assert waiting.wait(PATIENCE_S)
    client.close(cancel_pending=True)
    assert told.is_set()
    assert isinstance(future.exception(PATIENCE_S), ClientClosedError)
    assert upstream.requests == []


def test_a_call_keeps_the_middleware_it_was_queued_with(client: LLMClient, upstream: Simulator) -> None:
    """What is added while a request waits holds for later ones; a cancelled one runs none."""
    runs: list[str] = []

    def middleware(request: PreparedRequest, send: Next) -> ModelResponse:
        runs.append(str(request.request.prompt))
        return send(request)

    with upstream.hold() as hold:
        first = client.submit(ModelRequest("first", OPENAI))
        hold.wait(1)
        before = client.submit(ModelRequest("before", OPENAI))
        client.add_middleware(middleware)
        after = client.submit(ModelRequest("after", OPENAI))
        cancelled = client.submit(ModelRequest("cancelled", OPENAI))
        assert cancelled.cancel()
    for future in (first, before, after):
        assert future.result(PATIENCE_S).text
    with pytest.raises(CancelledError):
        cancelled.result(PATIENCE_S)
    assert runs == ["after"]


def test_events_tell_of_a_call_that_was_not_sent(client: LLMClient) -> None:
    """It ends like any other, without an attempt."""
    events: list[Event] = []
    first = client.generate("x", OPENAI)
    client.add_listener(events.append)
    client.add_middleware(lambda request, send: first)
    client.generate("x", OPENAI)
    names = [type(event).__name__ for event in events]
    assert names == ["Queued", "Started", "Finished"]
    assert isinstance(events[-1], Finished)
    assert events[-1].error is None


def test_it_cannot_wait_for_its_own_provider(client: LLMClient) -> None:
    """A blocking call to the provider whose worker runs it would wait for itself: RuntimeError, as from a done-callback."""

    def middleware(request: PreparedRequest, send: Next) -> ModelResponse:
        return client.generate("inner", OPENAI) if request.request.prompt == "outer" else send(request)

    client.add_middleware(middleware)
    with pytest.raises(RuntimeError, match="worker"):
        client.generate("outer", OPENAI)


def test_the_next_is_typed(client: LLMClient) -> None:
    """Its control is the request's: the key that events carry."""
    keys: list[Any] = []
    events: list[Event] = []

    def middleware(request: PreparedRequest, send: Next) -> ModelResponse:
        keys.append(send.control.key)
        return send(request)

    client.add_listener(events.append)
    client.add_middleware(middleware)
    client.generate("x", OPENAI)
    assert {event.key for event in events} == set(keys)
