"""LLMClient: asking, options, listing, status, closing; what it sends, and what it refuses before anything is sent."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from llm_sync import (
    ClientClosedError,
    ConfigurationError,
    InvalidRequestError,
    LLMClient,
    LLMConfig,
    Message,
    ModelNotFoundError,
    ModelRequest,
    ModelResponse,
    ProviderStatus,
    ProviderUnavailableError,
    QueueFullError,
    RequestTimeoutError,
    StreamingNotSupportedError,
    TruncatedResponseError,
)
from llm_sync.config import ConfigLoader
from llm_sync.events import Adjusted, Event, Finished
from llm_sync.simulator import Response, Simulator

OpenClient = Callable[..., LLMClient]

OPENAI = "openai/gpt-4o-mini"
ANTHROPIC = "anthropic/claude-haiku-4-5"
PATIENCE_S = 10.0


def about(word: str) -> Callable[[Any], bool]:
    """Matches requests whose payload holds ``word``."""
    return lambda record: word in str(record.payload)


# Asking


def test_generate_returns_a_whole_answer(client: LLMClient) -> None:
    """One call gives text, who answered, how it ended, what it cost in tokens, and when."""
    response = client.generate("Say hello", OPENAI, id="first")
    assert isinstance(response, ModelResponse)
    assert "Say hello" in response.text
    assert (response.provider, response.finish_reason, response.attempts, response.id) == ("openai", "stop", 1, "first")
    assert response.model.startswith("gpt-4o-mini")
    assert response.token_count == (response.usage.input_tokens or 0) + (response.usage.output_tokens or 0) > 0
    assert response.timestamp.utcoffset() == timedelta(0)
    assert response.latency_ms > 0


def test_all_ways_of_asking_give_the_same_answer(client: LLMClient) -> None:
    """generate, generate_response, submit, map and generate_responses_concurrent differ in how one waits, not in what comes."""
    request = ModelRequest("Say hello", OPENAI)
    texts = {
        client.generate("Say hello", OPENAI).text,
        client.generate_response(request).text,
        client.submit(request).result(PATIENCE_S).text,
        client.generate_responses_concurrent([request])[0].text,
        next(client.map([request])).text,
    }
    assert len(texts) == 1


def test_generate_takes_messages_in_place_of_a_prompt(client: LLMClient, upstream: Simulator) -> None:
    """A conversation can be asked with the short call too."""
    client.generate(model=OPENAI, messages=[Message("user", "one"), Message("assistant", "two"), Message("user", "three")])
    assert [message["content"] for message in upstream.requests[0].payload["messages"]] == ["one", "two", "three"]


def test_an_unknown_field_is_a_type_error_naming_it(client: LLMClient, upstream: Simulator) -> None:
    """A misspelt parameter is a mistake of the program, told at once, not dropped and not sent."""
    for wrong, meant in (("temprature", "temperature"), ("time_out", "timeout"), ("xyzzy", None)):
        told = rf"'{wrong}': {'did you mean ' + meant if meant else 'see help'}"
        with pytest.raises(TypeError, match=told):
            client.generate("x", OPENAI, **{wrong: 0.5})
    assert upstream.requests == []


@pytest.mark.parametrize("what", ["generate_response", "submit", "generate_responses_concurrent", "map", "map in place"])
def test_what_is_no_request_is_a_type_error(client: LLMClient, what: str) -> None:
    """A string in place of a ModelRequest is a mistake of the program, even where errors of requests are given in place."""
    ask: dict[str, Callable[[], object]] = {
        "generate_response": lambda: client.generate_response("Say hello"),  # type: ignore[arg-type]
        "submit": lambda: client.submit("Say hello"),  # type: ignore[arg-type]
        "generate_responses_concurrent": lambda: client.generate_responses_concurrent(["hello"], return_exceptions=True),  # type: ignore[list-item]
        "map": lambda: list(client.map(["hello"])),  # type: ignore[list-item]
        "map in place": lambda: list(client.map(["hello"], return_exceptions=True)),  # type: ignore[list-item]
    }
    with pytest.raises(TypeError, match="ModelRequest, not str"):
        ask[what]()


# Options of a call


def unavailable(record: Any) -> Response:
    """The answer of a provider that is down."""
    return Response(503, {"error": {"message": "overloaded", "type": "server_error"}})


def test_max_retries_of_the_call_goes_before_the_configured(write_config: Any) -> None:
    """The call says how often to try; without it the configuration does."""
    with Simulator(on_request=unavailable) as failing:
        text = f"providers: {{openai: {{api_key: k, base_url: {failing.url()}, max_retries: 2, retry_base: 0}}}}"
        with LLMClient(ConfigLoader().load_text(text)) as client:
            for retries, attempts in ((0, 1), (1, 2), (None, 3)):
                with pytest.raises(ProviderUnavailableError) as raised:
                    client.generate("x", "m", max_retries=retries)
                assert raised.value.attempts == attempts
        assert len(failing.requests) == 6


def test_timeout_ends_an_attempt(client: LLMClient, upstream: Simulator) -> None:
    """A provider that says nothing costs ``timeout`` seconds for each attempt, no more."""
    with upstream.hold(), pytest.raises(RequestTimeoutError) as raised:
        client.generate("x", OPENAI, timeout=0.05, max_retries=1)
    assert raised.value.attempts == 2
    assert len(raised.value.elapsed) == 2


def test_deadline_ends_a_request(client: LLMClient, upstream: Simulator) -> None:
    """The deadline cuts an attempt short that its timeout would let run."""
    with upstream.hold(), pytest.raises(RequestTimeoutError) as raised:
        client.generate("x", OPENAI, deadline=0.05)
    assert raised.value.attempts == 1


def test_wait_timeout_withdraws_an_unsent_request(client: LLMClient, upstream: Simulator) -> None:
    """Who has waited long enough in the queue leaves it: the request is never sent."""
    with upstream.hold() as hold:
        first = client.submit(ModelRequest("first", OPENAI))
        hold.wait()
        with pytest.raises(RequestTimeoutError, match="nothing was sent"):
            client.generate("second", OPENAI, wait_timeout=0.02)
    first.result(PATIENCE_S)
    client.close()
    assert len(upstream.requests) == 1


def test_wait_timeout_lets_go_of_a_request_in_flight(client: LLMClient, upstream: Simulator) -> None:
    """A call gives up waiting; its attempt, which may be billed, goes on and the next request follows it."""
    with upstream.hold(about("slow")), pytest.raises(RequestTimeoutError, match="in flight"):
        client.generate("slow", OPENAI, wait_timeout=1.0)
    assert client.generate("next", OPENAI, wait_timeout=PATIENCE_S).text


ONE_PLACE = 'providers: {openai: {api_key: test-key, base_url: "<openai>", models: [m], max_queue: 1}}'


def test_a_full_queue(open_client: OpenClient, upstream: Simulator) -> None:
    """block=False refuses at once, wait_timeout after that time; a blocking call's wait ends as its wait_timeout says."""
    client = open_client(ONE_PLACE)
    with upstream.hold() as hold:
        client.submit(ModelRequest("in flight", "m"))
        hold.wait()
        waiting = client.submit(ModelRequest("waiting", "m"), block=False)
        with pytest.raises(QueueFullError):
            client.submit(ModelRequest("refused", "m"), block=False)
        with pytest.raises(QueueFullError, match="after 0.02 s"):
            client.submit(ModelRequest("refused", "m"), wait_timeout=0.02)
        with pytest.raises(RequestTimeoutError, match="wait_timeout"):
            client.generate("refused", "m", wait_timeout=0.02)
        assert client.status()["openai"].queued == 1
    waiting.result(PATIENCE_S)
    client.close()
    assert not [record for record in upstream.requests if about("refused")(record)]


def test_submit_waits_for_room(open_client: OpenClient, upstream: Simulator) -> None:
    """With block=True, the default, submit returns once there is room."""
    client = open_client(ONE_PLACE)
    with upstream.hold() as hold:
        futures = [client.submit(ModelRequest("in flight", "m"))]
        hold.wait()
        futures.append(client.submit(ModelRequest("waiting", "m")))
        third = threading.Thread(target=lambda: futures.append(client.submit(ModelRequest("third", "m"))))
        third.start()
        hold.release()
        third.join(PATIENCE_S)
        assert len(futures) == 3
    assert [future.result(PATIENCE_S).finish_reason for future in futures] == ["stop"] * 3


def test_a_queued_request_can_be_cancelled(client: LLMClient, upstream: Simulator) -> None:
    """The future of a request that waits can be cancelled, and the request is never sent; one in flight cannot."""
    with upstream.hold() as hold:
        flying = client.submit(ModelRequest("flying", OPENAI))
        hold.wait()
        queued = client.submit(ModelRequest("queued", OPENAI))
        assert (flying.cancel(), queued.cancel()) == (False, True)
    assert flying.result(PATIENCE_S).text
    with pytest.raises(CancelledError):
        queued.result(0)
    client.close()
    assert len(upstream.requests) == 1


# Status


def test_status_counts_by_provider(client: LLMClient, upstream: Simulator) -> None:
    """Every configured provider has a status, those never asked all zeros."""
    with upstream.hold(about("slow")) as hold:
        client.generate("quick", OPENAI)
        client.submit(ModelRequest("slow", OPENAI))
        client.submit(ModelRequest("slow", OPENAI))
        hold.wait()
        status = client.status()
    assert list(status) == ["openai", "anthropic"]
    assert status["anthropic"] == ProviderStatus()
    seen = status["openai"]
    assert (seen.queued, seen.in_flight, seen.done, seen.retries, seen.failed) == (1, 1, 1, 0, {})
    assert seen.requests_per_minute == 2
    assert seen.latency_p50_ms is not None
    assert seen.oldest_in_flight_s is not None


def test_a_listener_hears_what_happens_and_its_errors_cost_no_answer(client: LLMClient) -> None:
    """Listeners are called one after the other, also for providers that were used before."""
    heard: list[Event] = []

    def broken(event: Event) -> None:
        raise ValueError(event)

    client.generate("Hi", "openai/gpt-4o-mini")
    client.add_listener(heard.append)
    client.add_listener(broken)
    assert client.generate("Hi", "openai/gpt-4o-mini").text
    client.close()
    assert [type(event).__name__ for event in heard if not isinstance(event, Adjusted)] == [
        *("Queued", "Started", "AttemptStarted", "AttemptEnded", "Finished")
    ]


PRICED = """
providers:
  openai: {api_key: k-0123456789, base_url: "<openai>", models: [{name: gpt-4o-mini, pricing: {input: 2.0, output: 8.0}}]}
"""


def test_the_end_of_a_request_says_what_was_billed(open_client: OpenClient) -> None:
    """Usage and cost of the answer; what costs nothing because it was never answered has neither."""
    heard: list[Event] = []
    client = open_client(PRICED)
    client.add_listener(heard.append)
    response = client.generate("Hi", OPENAI)
    with pytest.raises(ModelNotFoundError):
        client.generate("Hi", "openai/no-such-model")
    client.close()
    ends = [event for event in heard if isinstance(event, Finished)]
    assert (ends[0].usage, ends[0].cost) == (response.usage, response.cost_estimate)
    assert ends[0].cost is not None
    assert (ends[1].error, ends[1].usage, ends[1].cost) == ("ModelNotFoundError", None, None)


def test_the_end_of_an_unusable_answer_says_what_was_billed(open_client: OpenClient, upstream: Simulator) -> None:
    """It is no answer, but it is paid for."""
    heard: list[Event] = []
    client = open_client(PRICED, strict=True)
    client.add_listener(heard.append)
    with pytest.raises(TruncatedResponseError) as caught:
        client.generate("Say hello", OPENAI, max_tokens=1)
    client.close()
    (end,) = [event for event in heard if isinstance(event, Finished)]
    assert end.error == "TruncatedResponseError"
    assert caught.value.response is not None
    assert (end.usage, end.cost) == (caught.value.response.usage, caught.value.response.cost_estimate)
    assert end.usage is not None
    assert end.usage.output_tokens == 1


def test_status_counts_failures_by_class(client: LLMClient) -> None:
    """A failure is counted under its error's class and told as the last one."""
    with pytest.raises(ModelNotFoundError):
        client.generate("x", "openai/no-such-model")
    status = client.status()["openai"]
    assert status.failed == {"ModelNotFoundError": 1}
    assert status.last_error is not None
    assert status.last_error.startswith("ModelNotFoundError: ")


def test_a_cool_down_shows_in_the_status(write_config: Any) -> None:
    """After a 429 with a long hint, status tells until when nothing is sent."""
    hint = Response(429, {"error": {"message": "slow down", "type": "rate_limit"}}, (("retry-after", "50"),))
    with Simulator(on_request=lambda record: hint) as limited:
        text = f"providers: {{openai: {{api_key: k, base_url: {limited.url()}, max_retries: 0}}}}"
        with LLMClient(ConfigLoader().load_text(text)) as client:
            with pytest.raises(Exception, match="slow down"):
                client.generate("x", "m")
            until = client.status()["openai"].cooling_down_until
    assert until is not None
    assert until.utcoffset() == timedelta(0)


# Ending


def test_closing_waits_for_what_is_queued(client: LLMClient, upstream: Simulator) -> None:
    """close() returns when all that was submitted is answered."""
    with upstream.hold() as hold:
        futures = [client.submit(ModelRequest(f"{n}", OPENAI)) for n in range(3)]
        closing = threading.Thread(target=client.close)
        hold.wait()
        closing.start()
        assert not any(future.done() for future in futures)
    closing.join(PATIENCE_S)
    assert [future.result(0).finish_reason for future in futures] == ["stop"] * 3


def test_closing_with_cancel_pending_sends_no_more(client: LLMClient, upstream: Simulator) -> None:
    """What waits is cancelled, what is in flight ends as it ends."""
    with upstream.hold() as hold:
        futures = [client.submit(ModelRequest(f"{n}", OPENAI)) for n in range(3)]
        hold.wait()
        closing = threading.Thread(target=client.close, args=(True,))
        closing.start()
        for waiting in futures[1:]:
            with pytest.raises(CancelledError):
                waiting.result(PATIENCE_S)
    closing.join(PATIENCE_S)
    assert futures[0].result(0).text
    assert len(upstream.requests) == 1


def test_closing_with_grace_aborts_what_is_in_flight(client: LLMClient, upstream: Simulator) -> None:
    """After ``grace`` seconds even an attempt under way is ended."""
    with upstream.hold() as hold:
        future = client.submit(ModelRequest("x", OPENAI))
        hold.wait()
        client.close(cancel_pending=True, grace=0)
        assert future.exception(0) is not None


@pytest.mark.parametrize("ask", ["generate", "submit", "generate_responses_concurrent", "map", "list_all_models"])
@pytest.mark.parametrize("used", [False, True])
def test_a_closed_client_takes_nothing(client: LLMClient, upstream: Simulator, ask: str, used: bool) -> None:
    """Every call on a closed client raises ClientClosedError, whether it was used before or not."""
    if used:
        client.generate("x", OPENAI)
        client.generate("x", ANTHROPIC)
    client.close()
    client.close()
    request = ModelRequest("x", OPENAI)
    calls: dict[str, Callable[[], object]] = {
        "generate": lambda: client.generate("x", OPENAI),
        "submit": lambda: client.submit(request),
        "generate_responses_concurrent": lambda: client.generate_responses_concurrent([request], return_exceptions=True),
        "map": lambda: list(client.map([request], return_exceptions=True)),
        "list_all_models": client.list_all_models,
    }
    with pytest.raises(ClientClosedError, match="closed"):
        calls[ask]()
    assert len(upstream.requests) == (2 if used else 0)
    assert client.status()["openai"].done == (1 if used else 0)


def test_leaving_the_block_normally_waits(open_client: OpenClient) -> None:
    """The context manager's end is a close(): what was submitted is answered."""
    with open_client() as client:
        future = client.submit(ModelRequest("x", OPENAI))
    assert future.result(0).text
    with pytest.raises(ClientClosedError):
        client.generate("x", OPENAI)


def test_leaving_the_block_by_an_exception_cancels(open_client: OpenClient, upstream: Simulator) -> None:
    """A program that fails pays for no more answers: what waits is cancelled, and the exception goes its way."""
    hold = upstream.hold()
    futures = []

    def fail() -> None:
        with open_client() as client:
            futures.extend(client.submit(ModelRequest("x", OPENAI)) for _ in range(2))
            hold.wait()
            futures[1].add_done_callback(lambda _: hold.close())  # it is cancelled while the first is still in flight
            raise KeyError("the program's own")

    with pytest.raises(KeyError, match="the program's own"):
        fail()
    assert futures[0].result(0).text
    assert futures[1].cancelled()
    assert len(upstream.requests) == 1


# Done-callbacks


@pytest.mark.parametrize("ask", ["generate", "generate_response", "generate_responses_concurrent", "map", "list_all_models"])
def test_a_blocking_call_on_the_providers_own_worker_is_refused(client: LLMClient, upstream: Simulator, ask: str) -> None:
    """In a done-callback it would wait for the very thread it runs on: RuntimeError says so instead of hanging."""
    request = ModelRequest("again", OPENAI)
    calls: dict[str, Callable[[], object]] = {
        "generate": lambda: client.generate("again", OPENAI),
        "generate_response": lambda: client.generate_response(request),
        "generate_responses_concurrent": lambda: client.generate_responses_concurrent([request]),
        "map": lambda: list(client.map([request])),
        "list_all_models": client.list_all_models,
    }
    raised: list[BaseException] = []
    called = threading.Event()

    def callback(_: object) -> None:
        try:
            calls[ask]()
        except BaseException as error:
            raised.append(error)
        finally:
            called.set()

    with upstream.hold() as hold:
        future = client.submit(ModelRequest("first", OPENAI))
        hold.wait()
        future.add_done_callback(callback)
    assert called.wait(PATIENCE_S)
    assert isinstance(raised[0], RuntimeError)
    assert "would wait for itself" in str(raised[0])
    assert not [record for record in upstream.requests if about("again")(record)]
    assert client.generate("later", OPENAI).text


def test_a_callback_may_submit_and_may_ask_others(client: LLMClient, upstream: Simulator) -> None:
    """submit never waits for an answer, and another provider has a worker of its own."""
    got: list[Any] = []
    called = threading.Event()

    def callback(_: object) -> None:
        try:
            got.extend([client.generate("x", ANTHROPIC).provider, client.submit(ModelRequest("next", OPENAI))])
        finally:
            called.set()

    with upstream.hold() as hold:
        future = client.submit(ModelRequest("first", OPENAI))
        hold.wait()
        future.add_done_callback(callback)
    assert called.wait(PATIENCE_S)
    assert got[0] == "anthropic"
    assert got[1].result(PATIENCE_S).text


# Pickling, forking

BY_REFERENCE = 'providers: {openai: {api_key: "${LLM_SYNC_TEST_KEY}", base_url: "<openai>", models: [gpt-4o-mini]}}'


def test_a_client_pickles_with_its_keys_by_reference(open_client: OpenClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pickle holds the variable's name, not the key; the restored client answers, under the same options."""
    monkeypatch.setenv("LLM_SYNC_TEST_KEY", "marker-9f2c")
    client = open_client(BY_REFERENCE, strict_streaming=True)
    client.generate("x")
    pickled = pickle.dumps(client)
    assert b"marker-9f2c" not in pickled
    with pickle.loads(pickled) as restored:  # noqa: S301  (made a line above)
        assert restored.generate("x").text == client.generate("x").text
        with pytest.raises(StreamingNotSupportedError):
            restored.generate("x", provider_specific={"stream": True})


@pytest.mark.parametrize("option", ["strict", "strict_streaming"])
def test_a_strict_client_refuses_streaming_switches_in_requests(
    open_client: OpenClient, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    """strict refuses all that would be adjusted; nothing is sent. A switch that is off is no adjustment."""
    monkeypatch.setenv("LLM_SYNC_TEST_KEY", "a-key")
    client = open_client(BY_REFERENCE, **{option: True})
    with pytest.raises(StreamingNotSupportedError, match="stream"):
        client.generate("x", provider_specific={"stream": True})
    assert client.generate("x", provider_specific={"stream": False}).adjustments == ()


def test_a_client_with_a_literal_key_does_not_pickle(client: LLMClient) -> None:
    """The error names the way out, and not the key."""
    with pytest.raises(ConfigurationError, match=r"\$\{VAR\}") as raised:
        pickle.dumps(client)
    assert "test-key" not in str(raised.value)


def test_the_repr_names_providers_and_no_key(client: LLMClient) -> None:
    """A client may be printed anywhere."""
    assert "openai" in repr(client)
    assert "test-key" not in repr(client) + repr(client.config)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this platform")
def test_the_client_answers_in_a_forked_child(client: LLMClient, upstream: Simulator) -> None:
    """Forked while a request is in flight: the child's client asks anew, and the parent's request is undisturbed."""
    client.generate("warm", ANTHROPIC)
    with upstream.hold(about("the parent's")) as hold:
        flying = client.submit(ModelRequest("the parent's", OPENAI))
        hold.wait()
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            said = "nothing"
            try:
                inherited = type(flying.exception(5)).__name__
                texts = [client.generate("the child's", model).provider for model in (OPENAI, ANTHROPIC)]
                client.close()
                said = f"{inherited} {texts} {client.status()['openai'].done}"
            except BaseException as error:
                said = repr(error)
            finally:
                os.write(writer, said.encode())
                os._exit(0)
        os.close(writer)
        with open(reader) as pipe:
            assert pipe.read() == "ClientClosedError ['openai', 'anthropic'] 1"
        os.waitpid(child, 0)
    assert flying.result(PATIENCE_S).text
    assert client.generate("after", ANTHROPIC).text
    assert len([record for record in upstream.requests if about("the parent's")(record)]) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this platform")
def test_parent_and_child_share_no_connection(client: LLMClient, upstream: Simulator) -> None:
    """Both ask after the fork, and the server holds both requests at once: on one connection the second would not arrive."""
    client.generate("warm", ANTHROPIC)
    with upstream.hold() as hold:
        child = os.fork()
        if child == 0:
            try:
                client.generate("the child's", ANTHROPIC)
            finally:
                os._exit(0)
        future = client.submit(ModelRequest("the parent's", ANTHROPIC))
        hold.wait(2, timeout=5)
    os.waitpid(child, 0)
    assert "the parent's" in future.result(PATIENCE_S).text


# Making one


def test_from_config_takes_a_path_or_a_name(write_config: Callable[[], str], tmp_path: Path) -> None:
    """A path as it is, or a name within config_dir."""
    (tmp_path / "mine.yaml").write_text(write_config())
    for client in (LLMClient.from_config(str(tmp_path / "mine.yaml")), LLMClient.from_config("mine", config_dir=str(tmp_path))):
        with client:
            assert client.generate("x", OPENAI).text


def test_from_config_tells_all_problems(tmp_path: Path) -> None:
    """A broken file is refused with every problem, each at its line."""
    (tmp_path / "bad.yaml").write_text("providers:\n  openai: {temperature: 3, modles: []}\n")
    with pytest.raises(ConfigurationError) as raised:
        LLMClient.from_config(str(tmp_path / "bad.yaml"))
    assert {problem.line for problem in raised.value.problems} == {2}
    assert len(raised.value.problems) == 2


def test_a_path_in_place_of_a_configuration_is_a_type_error() -> None:
    """The constructor takes a loaded configuration; the message names the call that takes a path."""
    with pytest.raises(TypeError, match="from_config"):
        LLMClient("config.yaml")  # type: ignore[arg-type]


def test_two_clients_of_one_configuration_are_independent(write_config: Callable[[], str]) -> None:
    """Closing one leaves the other open."""
    config: LLMConfig = ConfigLoader().load_text(write_config())
    with LLMClient(config) as second:
        LLMClient(config).close()
        assert second.generate("x", OPENAI).text


# Strict


def test_strict_refuses_what_would_be_dropped(open_client: OpenClient, upstream: Simulator) -> None:
    """Anthropic has no seed: without strict it is dropped and told, with strict the request is refused, unsent."""
    response = open_client().generate("x", ANTHROPIC, seed=1, max_tokens=50)
    assert [(a.parameter, a.asked, a.sent) for a in response.adjustments] == [("seed", 1, None)]
    sent = len(upstream.requests)
    with pytest.raises(InvalidRequestError, match="seed=1"):
        open_client(strict=True).generate("x", ANTHROPIC, seed=1, max_tokens=50)
    assert len(upstream.requests) == sent


def test_strict_raises_truncated_answers(open_client: OpenClient) -> None:
    """An answer cut by the limit is a response with ``truncated``; under strict an error that carries it, usage and all."""
    response = open_client().generate("Tell me a long story", OPENAI, max_tokens=3)
    assert (response.truncated, response.finish_reason) == (True, "length")
    with pytest.raises(TruncatedResponseError) as raised:
        open_client(strict=True).generate("Tell me a long story", OPENAI, max_tokens=3)
    carried = raised.value.response
    assert carried is not None
    assert (carried.text, carried.truncated, carried.usage) == (response.text, True, response.usage)
    assert (raised.value.provider, raised.value.attempts) == ("openai", 1)


def test_strict_may_stand_in_the_configuration(open_client: OpenClient) -> None:
    """``defaults: {strict: true}`` is as good as the argument."""
    client = open_client('defaults: {strict: true}\nproviders: {anthropic: {api_key: test-key, base_url: "<anthropic>"}}')
    with pytest.raises(InvalidRequestError, match="seed"):
        client.generate("x", "claude-haiku-4-5", seed=1)
