"""Routes: several models under one name, asked in turn until one answers."""

from __future__ import annotations

import copy
import dataclasses
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import llm_sync
from llm_sync import (
    AuthenticationError,
    BatchError,
    BudgetExceededError,
    ClientClosedError,
    ConfigurationError,
    ContentBlockedError,
    InvalidRequestError,
    LLMClient,
    LLMConnectorError,
    ModelNotFoundError,
    ModelRequest,
    ProviderConnectionError,
    ProviderUnavailableError,
    QuotaExceededError,
    RequestTimeoutError,
)
from llm_sync.config import ConfigLoader
from llm_sync.events import Event, Finished, Rerouted
from llm_sync.models.record import record
from llm_sync.models.route import Route
from llm_sync.simulator import Response, Simulator

PATIENCE_S = 10.0
MAX_ADDED_CALLS = 15  # a plain call has some 110 there; with 90 more a route cost a third of a call's time
THREE = """
defaults: {retry_base: 0, max_retries: 1, model: smart}
providers:
  first: {type: openai, api_key: test-key-1, base_url: "<first>", models: [gpt-4o-mini], timeout: 5}
  second: {type: anthropic, api_key: test-key-2, base_url: "<second>", models: [claude-haiku-4-5]}
  third: {type: openrouter, api_key: test-key-3, base_url: "<third>", models: [openai/gpt-4o-mini]}
routes:
  smart: [first/gpt-4o-mini, second/claude-haiku-4-5, third/openai/gpt-4o-mini]
"""
DIALECTS = {"first": "openai", "second": "anthropic", "third": "openrouter"}

Answering = Callable[[Any], "Response | None"]


class Providers:
    """Three simulated providers; ``behave[name]`` decides what a provider answers (None: as usual)."""

    def __init__(self) -> None:
        self.behave: dict[str, Answering] = {}
        self.simulators = {name: Simulator(on_request=self._on(name)) for name in DIALECTS}

    def _on(self, name: str) -> Answering:
        def answer(request: Any) -> Response | None:
            behaviour = self.behave.get(name)
            return None if behaviour is None else behaviour(request)

        return answer

    def asked(self) -> dict[str, int]:
        """How many requests each provider got."""
        return {name: len(simulator.requests) for name, simulator in self.simulators.items()}

    def config(self, text: str = THREE) -> str:
        for name, dialect in DIALECTS.items():
            text = text.replace(f"<{name}>", self.simulators[name].url(dialect))
        return text


@pytest.fixture
def providers() -> Iterator[Providers]:
    """Three running providers."""
    made = Providers()
    for simulator in made.simulators.values():
        simulator.start()
    yield made
    for simulator in made.simulators.values():
        simulator.stop()


@pytest.fixture
def opened(providers: Providers) -> Iterator[Callable[..., LLMClient]]:
    """Makes clients of the three providers, closed with the test."""
    clients: list[LLMClient] = []

    def make(text: str = THREE, **options: Any) -> LLMClient:
        clients.append(LLMClient(ConfigLoader().load_text(providers.config(text)), **options))
        return clients[-1]

    yield make
    for client in clients:
        client.close(cancel_pending=True, grace=0)


def status(code: int, kind: str = "server_error", message: str = "no", **headers: str) -> Answering:
    """Answers every request with an error."""
    body = {"error": {"message": message, "type": kind, "code": kind}}
    return lambda _: Response(code, body, (("content-type", "application/json"), *headers.items()))


def closed_port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def steps_of(response: Any) -> list[tuple[str, str | None, int]]:
    """What a test compares of a route."""
    return [(step.provider, step.error, step.attempts) for step in response.route]


# Going on


@pytest.mark.parametrize(
    ("behaviour", "error", "requests"),
    [
        (status(503), "ProviderUnavailableError", 2),
        (status(429, "rate_limit_exceeded", **{"retry-after": "3600"}), "RateLimitError", 1),
        (status(429, "insufficient_quota"), "QuotaExceededError", 1),
        (status(403, "permission_denied"), "PermissionDeniedError", 1),
        (status(404, "model_not_found"), "ModelNotFoundError", 1),
        (lambda _: Response(504, b"", ()), "RequestTimeoutError", 2),
        (lambda _: Response(200, b"<html>hello</html>", (("content-type", "text/html"),)), "ResponseValidationError", 1),
        (lambda _: Response(200, b'{"cut off', ()), "ResponseValidationError", 2),
        (lambda _: Response(200, {"unknown": "shape"}), "ResponseValidationError", 1),
    ],
    ids=["down", "rate limited", "no money", "forbidden", "no such model", "gateway", "a page", "cut off", "garbage"],
)
def test_the_second_answers_for_the_first(
    providers: Providers, opened: Callable[..., LLMClient], behaviour: Answering, error: str, requests: int
) -> None:
    """Each failure of the first provider is answered by the second, after exactly the attempts that are due."""
    providers.behave["first"] = behaviour
    response = opened().generate("hello")
    assert response.provider == "second"
    assert steps_of(response) == [("first", error, requests), ("second", None, 1)]
    assert providers.asked() == {"first": requests, "second": 1, "third": 0}


def test_a_dead_port_is_passed_over(opened: Callable[..., LLMClient], providers: Providers) -> None:
    """No connection to the first, then an error of the second: the third answers, and the route lists both."""
    providers.behave["second"] = status(529, "overloaded_error")
    client = opened(THREE.replace('"<first>"', f'"http://127.0.0.1:{closed_port()}/v1"'))
    response = client.generate("hello", "smart")
    assert steps_of(response) == [
        ("first", "ProviderConnectionError", 2),
        ("second", "ProviderUnavailableError", 2),
        ("third", None, 1),
    ]


@pytest.mark.parametrize("retry", [True, False])
def test_a_timeout_after_sending_goes_on_only_where_asking_again_is_allowed(
    providers: Providers, opened: Callable[..., LLMClient], retry: bool
) -> None:
    """A slow first answer is listed as possibly billed; with retry_timeouts off nobody else is asked."""
    hold = providers.simulators["first"].hold()
    text = THREE.replace("timeout: 5", f"timeout: 0.3, max_retries: 0, retry_timeouts: {str(retry).lower()}")
    client = opened(text)
    try:
        if not retry:
            with pytest.raises(RequestTimeoutError) as caught:
                client.generate("hello")
            assert caught.value.possibly_billed == 1
            assert caught.value.route[0].possibly_billed == 1
            assert providers.asked()["second"] == 0
            return
        response = client.generate("hello")
    finally:
        hold.close()
    assert response.provider == "second"
    assert response.route[0].possibly_billed == 1


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (status(400, "invalid_request_error"), InvalidRequestError),
        (status(400, "content_policy_violation"), ContentBlockedError),
        (status(401, "invalid_api_key"), AuthenticationError),
    ],
)
def test_what_the_request_is_to_blame_for_ends_the_route(
    providers: Providers, opened: Callable[..., LLMClient], behaviour: Answering, kind: type[Exception]
) -> None:
    """A refused request, blocked content and a refused key are raised at once: nobody else is asked."""
    providers.behave["first"] = behaviour
    with pytest.raises(kind):
        opened().generate("hello")
    assert providers.asked() == {"first": 1, "second": 0, "third": 0}


def test_the_classes_are_declared(providers: Providers, opened: Callable[..., LLMClient]) -> None:
    """``go_on_after`` replaces the default: a refused key then goes on, an outage does not."""
    text = THREE + "  strange: {models: [first/gpt-4o-mini, second/claude-haiku-4-5], go_on_after: [authentication]}\n"
    client = opened(text)
    providers.behave["first"] = status(401, "invalid_api_key")
    assert client.generate("hello", "strange").provider == "second"
    providers.behave["first"] = status(503)
    with pytest.raises(ProviderUnavailableError):
        client.generate("hello", "strange")


def test_the_last_error_is_raised_with_the_route(providers: Providers, opened: Callable[..., LLMClient]) -> None:
    """If nobody answers, the last error is raised; it lists the others, and its record has the route."""
    providers.behave.update(first=status(503), second=status(529, "overloaded_error"), third=status(402, "insufficient_quota"))
    with pytest.raises(QuotaExceededError) as caught:
        opened().generate("hello")
    assert [step.provider for step in caught.value.route] == ["first", "second", "third"]
    assert "first/gpt-4o-mini (ProviderUnavailableError)" in str(caught.value)
    written = record(0, Route("first", "gpt-4o-mini"), caught.value)
    assert [step["error"] for step in written["route"]] == [
        "ProviderUnavailableError",
        "ProviderUnavailableError",
        "QuotaExceededError",
    ]


def test_an_ad_hoc_route(providers: Providers, opened: Callable[..., LLMClient]) -> None:
    """Models with a comma between are a route, wherever a model is named."""
    providers.behave["first"] = status(503)
    client = opened()
    response = client.generate("hello", "first/gpt-4o-mini, third/openai/gpt-4o-mini")
    assert [step.provider for step in response.route] == ["first", "third"]
    assert client.submit(ModelRequest("hi", "first/gpt-4o-mini,second/claude-haiku-4-5")).result(PATIENCE_S).provider == "second"


@pytest.mark.parametrize("name", ["first/gpt-4o-mini,", ",", "first/gpt-4o-mini,first/gpt-4o-mini", "smart,smart", " , ,"])
def test_impossible_ad_hoc_routes_are_refused(opened: Callable[..., LLMClient], name: str) -> None:
    """Empty parts, one model twice and routes in routes are errors before anything is sent."""
    with pytest.raises((InvalidRequestError, ModelNotFoundError)):
        opened().generate("hello", name)


def test_an_unknown_part_is_reported_before_anything_is_sent(providers: Providers, opened: Callable[..., LLMClient]) -> None:
    """A misspelt second model is an error of the call, not a surprise when the first one fails."""
    with pytest.raises(ModelNotFoundError):
        opened().generate("hello", "first/gpt-4o-mini,claude-nonsense")
    assert providers.asked()["first"] == 0


def test_single_models_have_no_route(opened: Callable[..., LLMClient]) -> None:
    """A plain call answers as before: no route, and no key for one in its record."""
    response = opened().generate("hello", "second/claude-haiku-4-5")
    assert response.route == ()
    assert "route" not in response.to_dict()
    assert "route" not in record(0, Route("second", "claude-haiku-4-5"), response)


# What each entry gets


def test_each_entry_has_its_own_defaults(providers: Providers, opened: Callable[..., LLMClient]) -> None:
    """Settings of an entry apply to it alone; the call's own win."""
    text = THREE.replace(
        "smart: [first/gpt-4o-mini,",
        "smart: [{model: first/gpt-4o-mini, max_tokens: 7, max_retries: 0, system_prompt: Be brief.},",
    )
    providers.behave["first"] = status(503)
    client = opened(text)
    client.generate("hello", max_tokens=9)
    client.generate("hello")
    first = [request.payload for request in providers.simulators["first"].requests]
    second = [request.payload for request in providers.simulators["second"].requests]
    assert [payload["max_tokens"] for payload in first] == [9, 7]
    assert first[1]["messages"][0]["content"] == "Be brief."
    assert [payload["max_tokens"] for payload in second] == [9, 4096]
    assert "system" not in second[1]


def test_what_the_next_model_does_not_take_is_an_adjustment(providers: Providers, opened: Callable[..., LLMClient]) -> None:
    """A field that the second dialect lacks is not sent to it, and the answer says so."""
    providers.behave["first"] = status(503)
    response = opened().generate("hello", seed=7)
    assert [adjustment.parameter for adjustment in response.adjustments if adjustment.sent is None] == ["seed"]


def test_a_smaller_context_is_passed_over(providers: Providers, opened: Callable[..., LLMClient]) -> None:
    """A model whose declared window cannot hold the request is not asked instead of one that failed."""
    providers.behave["first"] = status(503)
    text = THREE.replace("models: [claude-haiku-4-5]", "models: [{name: claude-haiku-4-5, context_window: 1000}]")
    response = opened(text).generate("word " * 4000)
    assert steps_of(response)[1] == ("second", "ContextLengthExceededError", 0)
    assert response.provider == "third"
    assert providers.asked()["second"] == 0


def test_the_request_is_copied_when_it_is_submitted(providers: Providers, opened: Callable[..., LLMClient]) -> None:
    """What the caller changes afterwards reaches no later entry."""
    hold = providers.simulators["first"].hold()
    providers.behave["first"] = status(503)
    specific = {"top_k": 1}
    future = opened().submit(ModelRequest("hello", provider_specific=specific))
    assert hold.wait(1)
    specific["top_k"] = 2
    hold.close()
    future.result(PATIENCE_S)
    assert providers.simulators["second"].requests[0].payload["top_k"] == 1


def test_what_goes_into_an_empty_mapping_later_reaches_no_entry(providers: Providers, opened: Callable[..., LLMClient]) -> None:
    """The caller's ``provider_specific`` was empty when it asked, and stays so for each entry."""
    hold = providers.simulators["first"].hold()
    providers.behave["first"] = status(503)
    specific: dict[str, Any] = {}
    future = opened().submit(ModelRequest("hello", provider_specific=specific))
    assert hold.wait(1)
    specific["top_k"] = 2
    hold.close()
    future.result(PATIENCE_S)
    assert "top_k" not in providers.simulators["second"].requests[0].payload


# The caller's future waits for the first step itself


def test_the_first_step_counts_once(providers: Providers, opened: Callable[..., LLMClient]) -> None:
    """While it is queued and in flight, and when it has failed and the route has gone on, its provider has one request."""
    holds = [providers.simulators[name].hold() for name in ("first", "second")]
    providers.behave["first"] = status(503)
    client = opened()
    future = client.submit(ModelRequest("hello"))
    assert holds[0].wait(1)
    assert (client.status()["first"].queued, client.status()["first"].in_flight) == (0, 1)
    holds[0].close()
    assert holds[1].wait(1)
    first, second = client.status()["first"], client.status()["second"]
    assert (first.in_flight, first.failed, second.in_flight) == (0, {"ProviderUnavailableError": 1}, 1)
    assert not future.done()
    holds[1].close()
    assert future.result(PATIENCE_S).provider == "second"
    assert client.status()["first"].failed == {"ProviderUnavailableError": 1}
    assert client.status()["second"].done == 1


def test_an_aborted_first_step_ends_the_route(providers: Providers, opened: Callable[..., LLMClient]) -> None:
    """Who withdraws a request wants no other model either."""
    hold = providers.simulators["first"].hold()
    future: Any = opened().submit(ModelRequest("hello"))
    assert hold.wait(1)
    future.withdraw()
    assert isinstance(future.exception(PATIENCE_S), ClientClosedError)
    hold.close()
    assert providers.asked() == {"first": 1, "second": 0, "third": 0}


def test_a_first_step_that_nobody_waits_for_ends_the_route(providers: Providers, opened: Callable[..., LLMClient]) -> None:
    """It counts as cancelled, whatever comes of it, and no other model is asked."""
    hold = providers.simulators["first"].hold()
    providers.behave["first"] = status(503)
    client = opened(THREE.replace("max_retries: 1", "max_retries: 4"))
    with pytest.raises(RequestTimeoutError, match="wait_timeout"):
        client.generate("hello", wait_timeout=0.2)
    hold.close()
    client.close()
    assert client.status()["first"].failed == {}
    assert providers.asked() == {"first": 1, "second": 0, "third": 0}


def test_a_failed_request_leaves_no_prompt_behind(providers: Providers, opened: Callable[..., LLMClient]) -> None:
    """A stored future holds the answer, not the call."""
    providers.behave["first"] = status(503)
    future: Any = opened().submit(ModelRequest("hello"))
    future.result(PATIENCE_S)
    with pytest.raises(RuntimeError):
        _ = future.call


def test_what_a_program_completes_is_not_sent_again(providers: Providers, opened: Callable[..., LLMClient]) -> None:
    """A future that other code completes keeps that value; the queue goes on with the next request."""
    hold = providers.simulators["first"].hold()
    client = opened()
    busy, completed, after = (client.submit(ModelRequest(text)) for text in ("one", "two", "three"))
    assert hold.wait(1)
    completed.set_result("mine")  # type: ignore[arg-type]
    hold.close()
    assert [busy.result(PATIENCE_S).provider, after.result(PATIENCE_S).provider] == ["first", "first"]
    assert completed.result(0) == "mine"
    assert providers.asked()["first"] == 2


def test_the_costs_of_a_route_are_those_of_its_answers(providers: Providers, opened: Callable[..., LLMClient]) -> None:
    """A price is looked up when somebody reads it: of the response, of its step, of a copy and of a record."""
    text = THREE.replace("models: [gpt-4o-mini]", "models: [{name: gpt-4o-mini, pricing: {input: 2, output: 8}}]")
    response = opened(text).generate("hello")
    assert response.route[-1].cost == response.cost_estimate is not None
    unpickled = pickle.loads(pickle.dumps(response))  # noqa: S301
    assert unpickled.route == response.route
    assert unpickled.route[-1].to_dict()["cost"] == response.cost_estimate


def test_the_steps_of_an_answer_are_the_same_however_they_are_looked_at(
    providers: Providers, opened: Callable[..., LLMClient]
) -> None:
    """They are made when somebody looks: by name, pickled, copied, as a record, in a comparison, or as text."""
    client = opened(THREE.replace('"<first>"', f'"http://127.0.0.1:{closed_port()}/v1"'))
    for _ in range(2):
        client.generate("hello")
    expected = [("first", "ProviderUnavailableError", 0), ("second", None, 1)]
    assert steps_of(client.generate("hello")) == expected
    assert steps_of(pickle.loads(pickle.dumps(client.generate("hello")))) == expected  # noqa: S301
    assert steps_of(copy.copy(client.generate("hello"))) == expected
    assert steps_of(dataclasses.replace(client.generate("hello"), attempts=1)) == expected
    assert [step["provider"] for step in client.generate("hello").to_dict()["route"]] == ["first", "second"]
    assert "route=(RouteStep(provider='first'" in repr(client.generate("hello"))
    response = client.generate("hello")
    other = copy.copy(response)
    assert other == response
    assert response.route is response.route


def test_an_answer_that_middleware_keeps_is_not_changed(providers: Providers, opened: Callable[..., LLMClient]) -> None:
    """What a route puts on an answer stands on the caller's only: middleware may give the same one to several."""
    client, kept = opened(), []

    def keep(prepared: Any, send: Any) -> Any:
        kept.append(send(prepared))
        return kept[0]

    client.dispatcher.add_middleware(keep)
    assert [client.generate("hello").route[-1].provider for _ in range(2)] == ["first", "first"]
    assert kept[0].route == ()


def test_a_route_adds_few_calls_of_its_own(providers: Providers, opened: Callable[..., LLMClient]) -> None:
    """Counted, not timed, in the caller's thread: own functions that run for a call of a route beyond those of a plain call."""
    client = opened(THREE.replace('"<first>"', f'"http://127.0.0.1:{closed_port()}/v1"'))
    package, counts = os.path.dirname(llm_sync.__file__), dict.fromkeys(("second/claude-haiku-4-5", "smart"), 0)

    def count(frame: Any, event: str, _: Any) -> None:
        counts[model] += event == "call" and frame.f_code.co_filename.startswith(package)

    for model in counts:
        for _ in range(4):  # the breaker opens
            client.generate("hello", model)
        sys.setprofile(count)
        try:
            client.generate("hello", model)
        finally:
            sys.setprofile(None)
    assert 0 < counts["smart"] - counts["second/claude-haiku-4-5"] <= MAX_ADDED_CALLS


# Time, cancelling, closing


def test_one_deadline_covers_the_route(providers: Providers, opened: Callable[..., LLMClient]) -> None:
    """When the first model has used up the deadline, nobody else is asked, and the error says why."""
    hold = providers.simulators["first"].hold()
    try:
        began = time.monotonic()
        with pytest.raises(RequestTimeoutError, match="deadline"):
            opened().generate("hello", deadline=0.4)
        assert time.monotonic() - began < 3
    finally:
        hold.close()
    assert providers.asked()["second"] == 0


def test_wait_timeout_covers_the_route(providers: Providers, opened: Callable[..., LLMClient]) -> None:
    """A call gives up after wait_timeout, whichever entry is being asked, and nothing more is sent."""
    providers.behave["first"] = status(503)
    hold = providers.simulators["second"].hold()
    try:
        with pytest.raises(RequestTimeoutError, match="wait_timeout") as caught:
            opened().generate("hello", wait_timeout=0.5)
    finally:
        hold.close()
    assert caught.value.provider == "second"
    assert caught.value.attempts == 3
    assert providers.asked()["third"] == 0


def test_a_queued_route_can_be_cancelled(providers: Providers, opened: Callable[..., LLMClient]) -> None:
    """Until its first model is asked, the future cancels, and nothing is sent."""
    hold = providers.simulators["first"].hold()
    client = opened()
    busy = client.submit(ModelRequest("first"))
    assert hold.wait(1)
    waiting = client.submit(ModelRequest("second"))
    assert waiting.cancel()
    assert not busy.cancel()
    hold.close()
    busy.result(PATIENCE_S)
    assert providers.asked() == {"first": 1, "second": 0, "third": 0}


def test_closing_finishes_routes_that_are_under_way(providers: Providers, opened: Callable[..., LLMClient]) -> None:
    """``close`` waits for a route and lets it go on to providers that were not used before."""
    hold = providers.simulators["first"].hold()
    providers.behave["first"] = status(503)
    client = opened()
    future = client.submit(ModelRequest("hello"))
    assert hold.wait(1)
    closing = threading.Thread(target=client.close)
    closing.start()
    while closing.is_alive():  # until it refuses
        try:
            client.submit(ModelRequest("too late")).cancel()
        except ClientClosedError:  # noqa: PERF203
            break
    hold.close()
    closing.join(PATIENCE_S)
    assert not closing.is_alive()
    assert future.result(0).provider == "second"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("llm-sync-second")]


def test_closing_with_cancel_pending_ends_routes(providers: Providers, opened: Callable[..., LLMClient]) -> None:
    """``close(cancel_pending=True)`` asks nobody else; the error is that of the attempt under way."""
    hold = providers.simulators["first"].hold()
    providers.behave["first"] = status(503)
    client = opened()
    under_way, queued = client.submit(ModelRequest("one")), client.submit(ModelRequest("two"))
    assert hold.wait(1)
    closing = threading.Thread(target=client.close, args=(True,))
    closing.start()
    assert queued.cancelled() or queued.exception(PATIENCE_S) is not None
    hold.close()
    closing.join(PATIENCE_S)
    assert under_way.exception(0) is not None
    assert providers.asked() == {"first": 1, "second": 0, "third": 0}


def test_a_full_queue_takes_the_next_step(providers: Providers, opened: Callable[..., LLMClient]) -> None:
    """A route that goes on is not refused by ``max_queue``: it was accepted before."""
    providers.behave["first"] = status(503)
    hold = providers.simulators["second"].hold()
    client = opened(THREE.replace("models: [claude-haiku-4-5]", "models: [claude-haiku-4-5], max_queue: 1"))
    futures = [client.submit(ModelRequest(f"number {number}")) for number in range(6)]
    assert hold.wait(1)
    hold.close()
    assert [future.result(PATIENCE_S).provider for future in futures] == ["second"] * 6


def test_a_blocking_call_on_a_worker_of_the_route_is_refused(opened: Callable[..., LLMClient]) -> None:
    """It could wait for itself: a done-callback of any of the route's providers gets a RuntimeError."""
    client = opened()
    caught: list[BaseException] = []
    done = threading.Event()

    def callback(_: Any) -> None:
        try:
            client.generate("hello")
        except RuntimeError as error:
            caught.append(error)
        finally:
            done.set()

    client.submit(ModelRequest("hi", "second/claude-haiku-4-5")).add_done_callback(callback)
    assert done.wait(PATIENCE_S)
    assert "worker" in str(caught[0])


# Several requests at once


def test_results_come_in_input_order(providers: Providers, opened: Callable[..., LLMClient]) -> None:
    """Routes and single models may be mixed in ``generate_responses_concurrent`` and ``map``."""
    providers.behave["first"] = status(503)
    client = opened()
    requests = [ModelRequest("a"), ModelRequest("b", "third/openai/gpt-4o-mini"), ModelRequest("c", "smart")]
    assert [each.provider for each in client.generate_responses_concurrent(requests)] == ["second", "third", "second"]
    assert [each.provider for each in client.map(requests)] == ["second", "third", "second"]
    providers.behave.update(second=status(529), third=status(503))
    with pytest.raises(BatchError) as caught:
        client.generate_responses_concurrent(requests)
    assert len(caught.value.results) == 3


def test_events_tell_of_each_step(providers: Providers, opened: Callable[..., LLMClient]) -> None:
    """Each entry counts where it was asked, and one event says that the route went on, and why."""
    providers.behave["first"] = status(503)
    client = opened()
    events: list[Event] = []
    client.add_listener(events.append)
    client.generate("hello")
    went = [event for event in events if isinstance(event, Rerouted)]
    assert [(event.provider, event.error, event.target, event.attempts) for event in went] == [
        ("first", "ProviderUnavailableError", "second/claude-haiku-4-5", 2)
    ]
    ends = [(event.provider, event.error) for event in events if isinstance(event, Finished)]
    assert ends == [("first", "ProviderUnavailableError"), ("second", None)]
    assert client.status()["first"].failed == {"ProviderUnavailableError": 1}
    assert client.status()["second"].done == 1


# Spread


def test_round_robin_takes_turns(providers: Providers, opened: Callable[..., LLMClient]) -> None:
    """Each request begins at the next entry, and goes on to the others if that one fails."""
    text = THREE.replace(
        "smart: [first/gpt-4o-mini, second/claude-haiku-4-5, third/openai/gpt-4o-mini]",
        "smart: {spread: round-robin, models: [first/gpt-4o-mini, second/claude-haiku-4-5, third/openai/gpt-4o-mini]}",
    )
    client = opened(text)
    assert [client.generate("hello").provider for _ in range(4)] == ["first", "second", "third", "first"]
    providers.behave["second"] = status(529)
    assert steps_of(client.generate("hello"))[-1] == ("third", None, 1)


def test_weights_are_kept_exactly(opened: Callable[..., LLMClient]) -> None:
    """Of every four requests, the entry of weight 3 gets three."""
    text = THREE.replace(
        "smart: [first/gpt-4o-mini, second/claude-haiku-4-5, third/openai/gpt-4o-mini]",
        "smart: {spread: weights, models: [{model: first/gpt-4o-mini, weight: 3}, second/claude-haiku-4-5]}",
    )
    client = opened(text)
    asked = [client.generate("hello").provider for _ in range(8)]
    assert (asked.count("first"), asked.count("second")) == (6, 2)


def test_least_busy_avoids_a_queue(providers: Providers, opened: Callable[..., LLMClient]) -> None:
    """While the first has a request in flight, the next one begins at the second."""
    hold = providers.simulators["first"].hold()
    text = THREE.replace(
        "smart: [first/gpt-4o-mini, second/claude-haiku-4-5, third/openai/gpt-4o-mini]",
        "smart: {spread: least-busy, models: [first/gpt-4o-mini, second/claude-haiku-4-5]}",
    )
    client = opened(text)
    busy = client.submit(ModelRequest("one"))
    assert hold.wait(1)
    assert client.generate("two").provider == "second"
    hold.close()
    assert busy.result(PATIENCE_S).provider == "first"


# Configuration


@pytest.mark.parametrize(
    ("routes", "problem"),
    [
        ("a/b: [first/gpt-4o-mini]", "is not a route's name"),
        ("gpt-4o-mini: [second/claude-haiku-4-5]", "is also a model that first lists"),
        ("x: [nonsense]", "no provider lists nonsense"),
        ("x: [first/gpt-4o-mini, first/gpt-4o-mini]", "is named twice"),
        ("x: [smart]", "is a route itself"),
        ("x: []", "routes.x.models"),
        ("x: {models: [first/gpt-4o-mini], spread: random}", "routes.x.spread"),
        ("x: {models: [first/gpt-4o-mini], go_on_after: [content_blocked]}", "routes.x.go_on_after"),
        ("x: {models: [{model: first/gpt-4o-mini, weight: 2}]}", "has no effect"),
        ("x: {models: [{model: first/gpt-4o-mini, stream: 3, temprature: 1}]}", "temprature"),
    ],
)
def test_problems_of_routes_are_reported_with_their_lines(providers: Providers, routes: str, problem: str) -> None:
    """Whatever is wrong with a route is a problem of the file, at its line."""
    from llm_sync.providers.factory import ProviderFactory

    loader = ConfigLoader(known_types=ProviderFactory.types_for)
    with pytest.raises(ConfigurationError) as caught:
        loader.load_text(providers.config(THREE) + f"  {routes}\n")
    assert any(problem in str(each) and each.line for each in caught.value.problems), str(caught.value)


def test_no_connection_at_all(opened: Callable[..., LLMClient]) -> None:
    """A route whose models are all unreachable fails as the last of them does."""
    text = THREE
    for name in DIALECTS:
        text = text.replace(f'"<{name}>"', f'"http://127.0.0.1:{closed_port()}/v1"')
    with pytest.raises(ProviderConnectionError) as caught:
        opened(text).generate("hello")
    assert len(caught.value.route) == 3


# The breaker


def test_a_dead_provider_is_no_longer_asked(providers: Providers, opened: Callable[..., LLMClient]) -> None:
    """After four failed attempts routes pass it over: the second answers without a request to the first, and status says so."""
    providers.behave["first"] = status(503)
    client = opened()
    responses = [client.generate("hello") for _ in range(20)]
    assert {response.provider for response in responses} == {"second"}
    assert providers.asked()["first"] == 4  # of two requests with two attempts each
    assert steps_of(responses[-1]) == [("first", "ProviderUnavailableError", 0), ("second", None, 1)]
    assert client.status()["first"].breaker_open_until is not None
    assert client.status()["second"].breaker_open_until is None


def test_short_runs_learn_of_a_dead_provider_from_each_other(providers: Providers, opened: Callable[..., LLMClient]) -> None:
    """With machine_wide, one request with the default retries is enough: a new process does not repeat them."""
    providers.behave["first"] = status(503)
    text = THREE.replace("max_retries: 1, ", "").replace("timeout: 5", "timeout: 5, machine_wide: true")
    for client in (opened(text), opened(text)):
        assert client.generate("hello").provider == "second"
    assert providers.asked()["first"] == 4
    providers.behave.clear()


def test_a_call_without_a_route_asks_a_failing_provider_all_the_same(
    providers: Providers, opened: Callable[..., LLMClient]
) -> None:
    """The breaker is for routes: a plain call fails as it did before, after its own attempts."""
    providers.behave["first"] = status(503)
    client = opened()
    for _ in range(5):
        client.generate("hello")
    before = providers.asked()["first"]
    with pytest.raises(ProviderUnavailableError):
        client.generate("hello", "first/gpt-4o-mini")
    assert providers.asked()["first"] == before + 2


def test_where_all_keep_failing_the_first_is_asked(providers: Providers, opened: Callable[..., LLMClient]) -> None:
    """No route fails without asking anybody: if all are known to fail, the first one is asked, as without a route."""
    for name in DIALECTS:
        providers.behave[name] = status(503)
    client = opened()
    for _ in range(4):
        with pytest.raises(ProviderUnavailableError):
            client.generate("hello")
    providers.behave.clear()
    assert client.generate("hello").provider == "first"


def test_a_rate_limit_of_an_hour_costs_one_request(providers: Providers, opened: Callable[..., LLMClient]) -> None:
    """While the first provider wants to be left alone for longer than a request may wait, it is passed over unasked."""
    providers.behave["first"] = status(429, "rate_limit_exceeded", **{"retry-after": "3600"})
    client = opened()
    responses = [client.generate("hello") for _ in range(5)]
    assert {response.provider for response in responses} == {"second"}
    assert providers.asked()["first"] == 1
    assert steps_of(responses[-1])[0] == ("first", "RateLimitError", 0)


# Together with what else a client does


def test_a_stored_answer_is_found_by_a_route(providers: Providers, opened: Callable[..., LLMClient], tmp_path: Any) -> None:
    """The answer cache is asked for each model of the route, before anything is sent to it."""
    providers.behave["first"] = status(503)
    cache = str(tmp_path / "answers")
    first = opened(cache=cache).generate("hello")
    assert (first.provider, first.cached) == ("second", False)
    before = providers.asked()["second"]
    again = opened(cache=cache).generate("hello")
    assert (again.provider, again.cached) == ("second", True)
    assert [step.provider for step in again.route] == ["first", "second"]
    assert providers.asked()["second"] == before
    providers.behave.clear()
    plain = opened(cache=cache).generate("hello", "second/claude-haiku-4-5")
    assert plain.cached


def test_a_spent_budget_ends_the_route(providers: Providers, opened: Callable[..., LLMClient]) -> None:
    """A model that would cost more than is left is not replaced by a cheaper one, whichever entry it is."""
    cheap, dear = (f"max_tokens: 4000, pricing: {{input: {price}, output: {price}}}" for price in (0, 1000000))
    text = THREE.replace("models: [claude-haiku-4-5]", f"models: [{{name: claude-haiku-4-5, {dear}}}]")
    text = text.replace("models: [gpt-4o-mini]", f"models: [{{name: gpt-4o-mini, {cheap}}}]")
    providers.behave["first"] = status(503)
    with pytest.raises(BudgetExceededError):
        opened(text, max_cost=0.01).generate("hello")
    assert providers.asked()["third"] == 0


@pytest.mark.parametrize("at", ["first", "second"])
def test_ctrl_c_ends_a_route_at_once(providers: Providers, opened: Callable[..., LLMClient], at: str) -> None:
    """In whichever step: the caller gets KeyboardInterrupt, nobody else is asked, and the workers are free again."""
    hold = providers.simulators[at].hold()
    if at == "second":
        providers.behave["first"] = status(503)
    client = opened()

    def interrupt() -> None:
        hold.wait(1)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        client.generate("hello")
    assert time.monotonic() - began < PATIENCE_S
    thread.join(PATIENCE_S)
    hold.close()
    assert providers.asked()["third"] == 0
    providers.behave.clear()
    assert client.generate("hello again").provider == "first"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_has_routes_of_its_own(providers: Providers, opened: Callable[..., LLMClient]) -> None:
    """What the parent has under way stays the parent's; the child's client works."""
    hold = providers.simulators["first"].hold(lambda record: "parent" in str(record.payload))
    client = opened()
    future = client.submit(ModelRequest("of the parent"))
    assert hold.wait(1)
    child = os.fork()
    if child == 0:
        try:
            inherited = isinstance(future.exception(5), ClientClosedError)
            os._exit(0 if inherited and client.generate("of the child").provider == "first" else 1)
        except BaseException:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    hold.close()
    assert future.result(PATIENCE_S).provider == "first"


def test_a_program_that_ends_finishes_its_routes(providers: Providers) -> None:
    """What was submitted is asked of the next model, too, before the interpreter ends."""
    providers.behave["first"] = status(503)
    program = (
        "from llm_sync import LLMClient, ModelRequest\n"
        "from llm_sync.config import ConfigLoader\n"
        f"client = LLMClient(ConfigLoader().load_text('''{providers.config()}'''))\n"
        "for number in range(3):\n"
        "    future = client.submit(ModelRequest(f'number {number}'))\n"
        "    future.add_done_callback(lambda future: print(future.exception() or future.result().provider, flush=True))\n"
    )
    place = str(Path(llm_sync.__file__).parents[1])
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": place},
        capture_output=True,
        text=True,
        timeout=45,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (0, "second\n" * 3), ran.stderr


# Hostile input


@pytest.mark.parametrize(
    "behaviour",
    [
        lambda _: Response(200, b"\x00\xff" * 500, (("content-type", "application/json"),)),
        lambda _: Response(200, b"[" * 100_000, (("content-type", "application/json"),)),
        lambda _: Response(200, {"choices": []}),
        lambda _: Response(200, b""),
        lambda _: Response(503, {"error": {"message": "x" * 100_000 + "\x1b[31m\n" * 50}}),
        lambda _: Response(503, {"error": {"message": "rest"}}, (("retry-after", "1e308"),)),
        lambda _: Response(429, {"error": {"message": "slow"}}, (("retry-after", "-5"),)),
        lambda _: Response(429, {"error": {"message": "slow"}}, (("retry-after", "999999999"),)),
        lambda _: Response(302, b"", (("location", "http://169.254.169.254/"),)),
        lambda _: Response(500, b"\xff\xfe" * 10, (("content-type", "text/html"),)),
    ],
    ids=range(10),
)
def test_whatever_the_first_sends_the_route_ends_in_order(
    providers: Providers, opened: Callable[..., LLMClient], behaviour: Answering
) -> None:
    """Answered by another model, or with an error of this library whose route says what came; never hung, never lost."""
    providers.behave["first"] = behaviour
    client = opened(THREE.replace("max_retries: 1", "max_retries: 0"))
    try:
        end: Any = client.generate("hello", deadline=20)
    except LLMConnectorError as error:
        end = error
    assert (end.route[0].provider, end.route[0].error is None) == ("first", False)
    assert isinstance(end, LLMConnectorError) or end.provider in ("second", "third")
    assert len(str(record(0, Route("first", "gpt-4o-mini"), end)["route"])) < 250_000


@pytest.mark.parametrize("name", ["a" * 10_000 + ",b", "first/gpt-4o-mini," * 500, "\x1b[31m,b", "first/,second/"])
def test_hostile_names_are_refused(opened: Callable[..., LLMClient], name: str, providers: Providers) -> None:
    """Nothing is sent for a route that cannot be."""
    with pytest.raises((InvalidRequestError, ModelNotFoundError)):
        opened().generate("hello", name)
    assert providers.asked() == {"first": 0, "second": 0, "third": 0}


def test_many_in_flight_go_on_together(providers: Providers, opened: Callable[..., LLMClient]) -> None:
    """With a concurrency above 1, a worker goes on with all its requests in steps; each is answered, and listed, by itself."""
    providers.behave["first"] = lambda record: status(503)(record) if "odd" in str(record.payload) else None
    text = THREE.replace("timeout: 5}", "timeout: 5, concurrency: 16}").replace(
        "models: [claude-haiku-4-5]", "models: [claude-haiku-4-5], concurrency: 16"
    )
    requests = [ModelRequest(f"{'odd' if number % 7 == 3 else 'even'} {number}", id=number) for number in range(200)]
    answers = opened(text).generate_responses_concurrent(requests)
    assert [answer.id for answer in answers] == list(range(200))
    second = [answer.id for answer in answers if answer.provider == "second"]
    assert second == [number for number in range(200) if number % 7 == 3]
