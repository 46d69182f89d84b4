"""Many requests at once: one in flight per provider, all providers at work, answers in the order of the questions."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from llm_sync import (
    BatchError,
    ClientClosedError,
    InvalidRequestError,
    LLMClient,
    ModelNotFoundError,
    ModelRequest,
    ModelResponse,
)
from llm_sync.simulator import Simulator

OPENAI = "openai/gpt-4o-mini"
ANTHROPIC = "anthropic/claude-haiku-4-5"
PATIENCE_S = 10.0


def ask(word: object, model: str = OPENAI) -> ModelRequest:
    """A request known by its word."""
    return ModelRequest(f"Say {word}", model, id=str(word))


def shown(outcomes: Any) -> list[Any]:
    """Ids of answers, class names of errors."""
    return [outcome.id if isinstance(outcome, ModelResponse) else type(outcome).__name__ for outcome in outcomes]


class Source:
    """An input that counts what was taken from it."""

    def __init__(self, requests: Any) -> None:
        self.taken = 0
        self._requests = iter(requests)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        request = next(self._requests)
        self.taken += 1
        return request


# One provider at a time, all providers at once


def test_each_provider_gets_one_request_at_a_time_and_all_work_at_once(client: LLMClient, upstream: Simulator) -> None:
    """Five requests to each of two providers: at every step both servers hold one request, and neither ever two."""
    requests = [ask(n, (OPENAI, ANTHROPIC)[n % 2]) for n in range(10)]
    with upstream.hold() as hold:
        answers: list[Any] = []
        asking = threading.Thread(target=lambda: answers.extend(client.generate_responses_concurrent(requests)))
        asking.start()
        for _ in range(5):
            assert sorted(record.provider for record in hold.wait(2)) == ["anthropic", "openai"]
            hold.release(2)
        asking.join(PATIENCE_S)
    assert [answer.id for answer in answers] == [str(n) for n in range(10)]
    assert len(upstream.requests) == 10
    assert {record.provider_concurrency for record in upstream.requests} == {1}
    assert max(record.concurrency for record in upstream.requests) == 2


def test_a_provider_that_hangs_holds_up_no_other(client: LLMClient, upstream: Simulator) -> None:
    """While one provider has not answered its first request, the other answers all of its own."""
    with upstream.hold(lambda record: record.provider == "anthropic") as hold:
        stuck = [client.submit(ask(n, ANTHROPIC)) for n in range(5)]
        hold.wait()
        quick = [client.submit(ask(n)) for n in range(5)]
        assert [future.result(PATIENCE_S).provider for future in quick] == ["openai"] * 5
        assert not any(future.done() for future in stuck)
        assert len(hold.held) == 1
    assert [future.result(PATIENCE_S).provider for future in stuck] == ["anthropic"] * 5


def test_requests_of_one_provider_are_sent_in_the_order_of_submitting(client: LLMClient, upstream: Simulator) -> None:
    """The queue is first in, first out."""
    futures = [client.submit(ask(n)) for n in range(8)]
    for future in futures:
        future.result(PATIENCE_S)
    assert [record.payload["messages"][0]["content"] for record in upstream.requests] == [f"Say {n}" for n in range(8)]


def test_concurrency_lets_a_provider_have_several_in_flight(open_client: Callable[..., LLMClient], upstream: Simulator) -> None:
    """With ``concurrency: 2`` the server holds two at a time and never three."""
    client = open_client('providers: {openai: {api_key: test-key, base_url: "<openai>", concurrency: 2}}')
    with upstream.hold() as hold:
        futures = [client.submit(ModelRequest("x", "gpt-4o-mini")) for _ in range(6)]
        for _ in range(3):
            hold.wait(2)
            hold.release(2)
        for future in futures:
            future.result(PATIENCE_S)
    assert max(record.provider_concurrency for record in upstream.requests) == 2


def test_many_threads_may_share_a_client(client: LLMClient, upstream: Simulator) -> None:
    """Calls from eight threads are each answered with their own question, one at a time."""
    ready = threading.Barrier(8)
    texts: dict[int, str] = {}

    def call(number: int) -> None:
        ready.wait(PATIENCE_S)
        texts[number] = client.generate(f"Say word{number}", OPENAI).text

    threads = [threading.Thread(target=call, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert all(f"word{number}" in text for number, text in texts.items())
    assert len(texts) == 8
    assert {record.provider_concurrency for record in upstream.requests} == {1}


# generate_responses_concurrent


def test_answers_stand_in_the_order_of_the_requests(client: LLMClient, upstream: Simulator) -> None:
    """Also when a later one is answered first."""
    with upstream.hold(lambda record: record.provider == "openai") as hold:
        client.submit(ask("before"))
        hold.wait()
        done: list[Any] = []
        asking = threading.Thread(
            target=lambda: done.extend(client.generate_responses_concurrent([ask("a"), ask("b", ANTHROPIC)]))
        )
        asking.start()
        upstream.wait_for_requests(2)
    asking.join(PATIENCE_S)
    assert shown(done) == ["a", "b"]


def test_nothing_asked_nothing_answered(client: LLMClient) -> None:
    """An empty list is no error."""
    assert client.generate_responses_concurrent([]) == []
    assert list(client.map([])) == []
    assert list(client.map([], return_exceptions=True)) == []


def test_failures_raise_a_batch_error_that_keeps_every_answer(client: LLMClient, upstream: Simulator) -> None:
    """All requests are made; the error holds answers and exceptions in place, so no paid answer is lost."""
    with pytest.raises(BatchError, match="1 of 3 requests failed, first with ModelNotFoundError") as raised:
        client.generate_responses_concurrent([ask("a"), ask("b", "openai/no-such-model"), ask("c", ANTHROPIC)])
    assert shown(raised.value.results) == ["a", "ModelNotFoundError", "c"]
    assert len(upstream.requests) == 3


def test_return_exceptions_gives_failures_in_place(client: LLMClient) -> None:
    """With return_exceptions nothing is raised; what failed stands where its answer would."""
    outcomes = client.generate_responses_concurrent([ask("b", "openai/no-such-model"), ask("a")], return_exceptions=True)
    assert shown(outcomes) == ["ModelNotFoundError", "a"]


def test_all_requests_are_checked_before_any_is_sent(client: LLMClient, upstream: Simulator) -> None:
    """A wrong one at the end costs no answers of those before it."""
    with pytest.raises(ModelNotFoundError, match="nowhere/model"):
        client.generate_responses_concurrent([ask("a"), ask("b"), ask("c", "nowhere/model")])
    assert upstream.requests == []


def test_return_exceptions_gives_wrong_requests_in_place(client: LLMClient, upstream: Simulator) -> None:
    """Whoever asks for exceptions in place gets those of wrong requests there too; the others are answered."""
    wrong = ModelRequest("x", OPENAI, images=["/no/such.png"])
    outcomes = client.generate_responses_concurrent(
        [ask("a", "nowhere/model"), ask("b"), wrong, ask("c", ANTHROPIC)], return_exceptions=True
    )
    assert shown(outcomes) == ["ModelNotFoundError", "b", "InvalidRequestError", "c"]
    assert len(upstream.requests) == 2


def test_a_generator_that_raises_sends_nothing(client: LLMClient, upstream: Simulator) -> None:
    """The list of requests is taken whole before anything is sent, whatever goes wrong in making it."""

    def requests() -> Iterator[ModelRequest]:
        yield ask("a")
        raise KeyError("the program's own")

    with pytest.raises(KeyError, match="the program's own"):
        client.generate_responses_concurrent(requests(), return_exceptions=True)
    assert upstream.requests == []


# map


@pytest.mark.parametrize("in_place", [False, True])
def test_map_gives_answers_in_input_order(client: LLMClient, in_place: bool) -> None:
    """Over several providers, in the order of the questions."""
    requests = [ask(n, (OPENAI, ANTHROPIC)[n % 2]) for n in range(9)]
    assert shown(client.map(requests, return_exceptions=in_place)) == [str(n) for n in range(9)]


@pytest.mark.parametrize("in_place", [False, True])
def test_map_takes_nothing_before_the_first_answer_is_asked_for(client: LLMClient, in_place: bool) -> None:
    """It is lazy: making the iterator costs nothing and starts nothing."""
    source = Source(ask(n) for n in itertools.count())
    answers = client.map(source, return_exceptions=in_place)
    assert source.taken == 0
    assert next(answers).id == "0"
    assert source.taken > 0


@pytest.mark.parametrize("in_place", [False, True])
def test_map_of_an_endless_input_keeps_a_window(client: LLMClient, upstream: Simulator, in_place: bool) -> None:
    """Never more than ``window`` requests are taken ahead of the answers given."""
    source = Source(ask(n) for n in itertools.count())
    answers = client.map(source, window=4, return_exceptions=in_place)
    for given in range(12):
        assert next(answers).id == str(given)
        assert source.taken <= given + 4
    answers.close()  # type: ignore[attr-defined]
    client.close()
    assert len(upstream.requests) <= source.taken


@pytest.mark.parametrize("in_place", [False, True])
def test_leaving_map_early_cancels_what_waits(client: LLMClient, upstream: Simulator, in_place: bool) -> None:
    """Who wants no more answers pays for no more: what is queued is withdrawn with the iterator."""
    source = Source(ask(n, ANTHROPIC if n < 3 else OPENAI) for n in itertools.count())
    answers = client.map(source, window=5, return_exceptions=in_place)
    with upstream.hold(lambda record: record.provider == "openai") as hold:
        assert [next(answers).id for _ in range(3)] == ["0", "1", "2"]
        hold.wait()
        assert client.status()["openai"].queued >= 2  # each answer given makes room for two requests
        answers.close()  # type: ignore[attr-defined]
        assert client.status()["openai"].queued == 0
    client.close()
    assert len(upstream.requests) == 4


@pytest.mark.parametrize("in_place", [False, True])
def test_what_the_input_raises_comes_after_the_answers_before_it(client: LLMClient, in_place: bool) -> None:
    """A broken file at line 3 costs the answers of lines 1 and 2 nothing, and is no request's own error."""

    def requests() -> Iterator[ModelRequest]:
        yield ask("a")
        yield ask("b")
        raise KeyError("the program's own")

    answers = client.map(requests(), return_exceptions=in_place)
    assert [next(answers).id, next(answers).id] == ["a", "b"]
    with pytest.raises(KeyError, match="the program's own"):
        next(answers)


def test_a_wrong_request_ends_map_in_its_place(client: LLMClient, upstream: Simulator) -> None:
    """Those before it are answered, its error is raised, and what comes after it is not sent."""
    answers = client.map([ask("a"), ask("b", "nowhere/model"), ask("c")])
    assert next(answers).id == "a"
    with pytest.raises(ModelNotFoundError, match="nowhere/model"):
        next(answers)
    assert list(answers) == []
    assert len(upstream.requests) == 1


def test_a_failed_request_ends_map_in_its_place(client: LLMClient) -> None:
    """Without return_exceptions the first failure is raised where its answer would stand."""
    answers = client.map([ask("a"), ask("b", "openai/no-such-model"), ask("c")])
    assert next(answers).id == "a"
    with pytest.raises(ModelNotFoundError):
        next(answers)
    assert list(answers) == []


def test_return_exceptions_lets_map_go_on_past_every_error(client: LLMClient) -> None:
    """Wrong requests, at the ends and next to each other, and failed ones stand in place; all others are answered."""
    requests = [
        ask(0, "nowhere/model"),
        ask(1),
        ask(2, "openai/no-such-model"),
        ModelRequest("x", OPENAI, provider_specific={"a": {1}}),
        ask(4, "nowhere/model"),
        ask(5, ANTHROPIC),
        ask(6, "nowhere/model"),
    ]
    outcomes = list(client.map(requests, return_exceptions=True))
    assert shown(outcomes) == [
        "ModelNotFoundError",
        "1",
        "ModelNotFoundError",
        "InvalidRequestError",
        "ModelNotFoundError",
        "5",
        "ModelNotFoundError",
    ]
    assert isinstance(outcomes[3], InvalidRequestError)


def test_an_endless_input_of_wrong_requests_keeps_map_lazy(client: LLMClient) -> None:
    """Each error is given when it is asked for, with a window of requests at most taken ahead."""
    source = Source(ask(n, "nowhere/model") for n in itertools.count())
    answers = client.map(source, window=4, return_exceptions=True)
    for taken in range(1, 12):
        assert isinstance(next(answers), ModelNotFoundError)
        assert source.taken <= taken + 4


def test_a_mistake_of_the_program_ends_map_even_in_place(client: LLMClient) -> None:
    """What is no ModelRequest has no place among the outcomes: TypeError, after the answers before it."""
    answers = client.map([ask("a"), "no request", ask("c")], return_exceptions=True)  # type: ignore[list-item]
    assert next(answers).id == "a"
    with pytest.raises(TypeError, match="not str"):
        next(answers)


@pytest.mark.parametrize("in_place", [False, True])
def test_closing_the_client_ends_map(client: LLMClient, in_place: bool) -> None:
    """A closed client answers no further question, in place or not; without this an endless input would go on for ever."""
    answers = client.map((ask(n) for n in itertools.count()), window=1, return_exceptions=in_place)
    assert next(answers).id == "0"
    client.close()
    with pytest.raises(ClientClosedError):
        list(answers)


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("window", [0, -1])
def test_a_window_of_nothing_is_refused_at_once(client: LLMClient, window: int, in_place: bool) -> None:
    """Not first when an answer is asked for, which may be far from the mistake."""
    with pytest.raises(ValueError, match=f"window={window}"):
        client.map([ask("a")], window=window, return_exceptions=in_place)
