"""All queues of a client: isolation, input order, the blocking wait, map's window, Ctrl-C."""

from __future__ import annotations

import contextlib
import gc
import itertools
import random
import signal
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from llm_sync.dispatch import shutdown
from llm_sync.dispatch.manager import ConcurrentLLMManager
from llm_sync.dispatch.queue import ProviderRequestQueue
from llm_sync.errors import (
    AuthenticationError,
    BatchError,
    ClientClosedError,
    RateLimitError,
    RequestTimeoutError,
)

PATIENCE_S = 10.0
BRIEF_S = 0.2


def fail() -> None:
    """A call that fails."""
    raise RateLimitError("too fast")


@pytest.fixture
def ctrl_c() -> Iterator[Callable[[Callable[[], bool]], None]]:
    """``ctrl_c(when)`` interrupts the main thread once ``when()`` holds; the test is inside pytest.raises by then."""
    threads: list[threading.Thread] = []
    over = threading.Event()

    def arm(when: Callable[[], bool]) -> None:
        def watch() -> None:
            while not when():
                if over.wait(0.001):
                    return
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

        threads.append(threading.Thread(target=watch))
        threads[-1].start()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield arm
    over.set()
    for thread in threads:
        thread.join()
    signal.signal(signal.SIGINT, before)
    shutdown.clear_interrupt()


def somebody_waits_for(futures: list[Any], position: int = -1) -> bool:
    """Whether a thread blocks on that future."""
    return bool(futures) and bool(futures[position].reported._sleepers)


class Recording(ConcurrentLLMManager):
    """Keeps the futures of the requests that were queued."""

    futures: list[Any]


@pytest.fixture
def recording(workshop: Any) -> Recording:
    """A manager whose futures the test can look at."""
    futures: list[Any] = []
    manager = Recording(lambda name: workshop.recording(futures, name))
    manager.futures = futures
    return manager


# Queues


def test_all_use_the_queue_that_was_opened_first(workshop):
    """16 threads that use a new provider at once may open several queues, but use one; an unused provider has none."""
    opened: list[Any] = []
    twice = threading.Event()

    def open_queue(name: str) -> Any:
        opened.append(workshop.queue(name))
        if len(opened) > 1:
            twice.set()
        twice.wait(BRIEF_S)
        return opened[-1]

    manager = ConcurrentLLMManager(open_queue)
    start = threading.Barrier(16)

    def use() -> object:
        start.wait(PATIENCE_S)
        return manager.call("a", lambda: 1)

    asking = [workshop.in_thread(use) for _ in range(16)]
    assert [each.outcome() for each in asking] == [1] * 16
    assert sorted(queue.status().done for queue in opened) == [0] * (len(opened) - 1) + [16]
    assert manager.queue("a").status().done == 16
    assert list(manager.status()) == ["a"]


def test_providers_do_not_wait_for_each_other(workshop):
    """While one provider's worker is stuck, and its queue fails, another's requests are answered."""
    manager = workshop.manager()
    stuck = workshop.held()
    manager.submit("slow", stuck)
    assert stuck.entered.wait(PATIENCE_S)
    assert manager.call("fast", lambda: 1) == 1
    with pytest.raises(RateLimitError):
        manager.call("failing", fail)
    assert manager.call("fast", lambda: 2) == 2


def test_nothing_is_opened_after_close(workshop):
    """A closed manager refuses known and new providers, and opens no queue."""
    manager = workshop.manager()
    manager.call("a", lambda: 1)
    manager.close()
    for provider in ("a", "new"):
        with pytest.raises(ClientClosedError, match=provider):
            manager.submit(provider, lambda: 1)
    with pytest.raises(ClientClosedError):
        manager.run([("a", lambda: 1)], return_exceptions=True)
    assert list(manager.status()) == ["a"]


def test_closing_closes_all_queues_together(workshop):
    """A provider that drains slowly does not let another take new work in the meantime."""
    manager = workshop.manager()
    calls = {name: workshop.held(name) for name in ("a", "b")}
    futures = {name: manager.submit(name, call) for name, call in calls.items()}
    closing = workshop.in_thread(manager.close)
    assert closing.hangs_for_now()
    for name in calls:
        with pytest.raises(ClientClosedError):
            manager.submit(name, lambda: 1)
    for call in calls.values():
        call.released.set()
    closing.outcome()
    assert {name: future.result(0) for name, future in futures.items()} == {"a": "a", "b": "b"}


def test_closing_with_grace_aborts_what_is_late(workshop):
    """What is in flight longer than grace after a cancelling close is aborted."""
    manager = workshop.manager()
    call = workshop.held("late")
    future = manager.submit("a", call)
    assert call.entered.wait(PATIENCE_S)
    manager.close(cancel_pending=True, grace=0.01)
    assert call.notified == ["stop_retrying", "abort"]
    assert future.result(0) == "late"


# The blocking wait


def test_result_gives_answers_and_raises_errors(workshop):
    """The very exception, and without keeping the future alive."""
    manager = workshop.manager()
    assert manager.result(manager.submit("a", lambda: 1)) == 1
    gc.disable()
    try:
        future = manager.submit("a", fail)
        with pytest.raises(RateLimitError):
            manager.result(future)
        manager.call("a", lambda: 1)
        gone = weakref.ref(future)
        del future
        assert gone() is None
    finally:
        gc.enable()


def test_a_cancelled_future_raises_client_closed(workshop):
    """Who blocks on a request that close() cancels learns that the client is closed, not CancelledError."""
    manager = workshop.manager()
    stuck = workshop.held()
    manager.submit("a", stuck)
    assert stuck.entered.wait(PATIENCE_S)
    waiting = workshop.in_thread(lambda: manager.call("a", lambda: 1))
    assert waiting.hangs_for_now()
    closing = workshop.in_thread(lambda: manager.close(cancel_pending=True))
    with pytest.raises(ClientClosedError, match="cancelled before it was sent") as raised:
        waiting.outcome()
    assert raised.value.provider == "a"
    stuck.released.set()
    closing.outcome()


def test_wait_timeout_cancels_what_is_unsent(workshop):
    """After the timeout a queued request is cancelled, never run, and the error says so."""
    manager = workshop.manager()
    stuck = workshop.held()
    manager.submit("a", stuck)
    assert stuck.entered.wait(PATIENCE_S)
    with pytest.raises(RequestTimeoutError, match=r"within 0\.02 s.*nothing was sent") as raised:
        manager.call("a", lambda: pytest.fail("it was cancelled"), timeout=0.02)
    assert raised.value.provider == "a"
    assert raised.value.guidance
    assert manager.status()["a"].queued == 0
    stuck.released.set()
    assert manager.call("a", lambda: 2) == 2


def test_wait_timeout_leaves_what_is_in_flight(workshop):
    """After the timeout a request in flight continues, and the error says so."""
    manager = workshop.manager()
    call = workshop.held("late")
    future = manager.submit("a", call)
    assert call.entered.wait(PATIENCE_S)
    with pytest.raises(RequestTimeoutError, match="in flight and continues"):
        manager.result(future, 0.01)
    assert call.notified == []
    call.released.set()
    assert manager.result(future) == "late"


def test_wait_timeout_includes_the_wait_for_room(workshop):
    """A full queue spends the same limit, and ends it in the same error."""
    manager = workshop.manager(max_queue=1)
    stuck = workshop.held()
    manager.submit("a", stuck)
    assert stuck.entered.wait(PATIENCE_S)
    manager.submit("a", lambda: 1)
    with pytest.raises(RequestTimeoutError, match="nothing was sent"):
        manager.call("a", lambda: 2, timeout=0.02)


def test_answered_at_the_last_moment(workshop, monkeypatch):
    """A request that ends just when the wait expires gives its answer."""
    manager = workshop.manager()
    call = workshop.held("just in time")
    future = manager.submit("a", call)
    assert call.entered.wait(PATIENCE_S)
    plain_cancel = future.cancel

    def cancel() -> bool:
        call.released.set()
        future.exception(PATIENCE_S)
        return plain_cancel()

    monkeypatch.setattr(future, "cancel", cancel)
    assert manager.result(future, 0.01) == "just in time"


@pytest.mark.parametrize("timeout", [0, -1, 1e300, float("inf")])
def test_odd_timeouts(workshop, timeout):
    """Zero and less wait not at all, enormous ones as long as the platform can: a done future answers in each."""
    manager = workshop.manager()
    future = manager.submit("a", lambda: 1)
    assert future.result(PATIENCE_S) == 1
    assert manager.result(future, timeout) == 1


def test_nan_is_no_timeout(workshop):
    """NaN is refused, and the request withdrawn."""
    manager = workshop.manager()
    stuck = workshop.held()
    manager.submit("a", stuck)
    future = manager.submit("a", lambda: pytest.fail("it was withdrawn"))
    with pytest.raises(ValueError, match="not a number"):
        manager.result(future, float("nan"))
    assert future.cancelled()


def test_a_job_that_raises_timeout_error(workshop):
    """A call's own TimeoutError is its outcome, not the end of the wait."""

    def slow() -> None:
        raise TimeoutError("mine")

    manager = workshop.manager()
    with pytest.raises(TimeoutError, match="mine"):
        manager.call("a", slow, timeout=PATIENCE_S)


def test_a_programs_own_alarm(workshop, recording):
    """A SIGALRM handler that raises TimeoutError ends the wait as itself, and withdraws the request."""

    def on_alarm(*_: object) -> None:
        raise TimeoutError("the program's own")

    stuck = workshop.held()
    recording.submit("a", stuck)
    assert stuck.entered.wait(PATIENCE_S)
    before = signal.signal(signal.SIGALRM, on_alarm)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(TimeoutError, match="own"):
            recording.call("a", lambda: 1, timeout=PATIENCE_S)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert recording.futures[1].cancelled()


@pytest.mark.parametrize("blocking", ["call", "result", "run", "map"])
def test_blocking_calls_on_the_own_worker_raise(workshop, blocking):
    """In a done-callback every blocking call to the same provider raises RuntimeError, sends nothing and harms nothing."""
    manager = workshop.manager()
    call = workshop.held()
    future = manager.submit("a", call)
    seen: list[BaseException] = []
    ran: list[int] = []

    def callback(_: object) -> None:
        try:
            if blocking == "call":
                manager.call("a", lambda: ran.append(1))
            elif blocking == "result":
                manager.result(manager.submit("a", lambda: ran.append(1)))
            elif blocking == "run":
                manager.run([("b", lambda: ran.append(1)), ("a", lambda: ran.append(1))])
            else:
                list(manager.map([("a", lambda: ran.append(1))]))
        except RuntimeError as error:
            seen.append(error)

    future.add_done_callback(callback)
    call.released.set()
    assert manager.call("a", lambda: 3) == 3
    assert "wait for itself" in str(seen[0])
    assert "'a'" in str(seen[0])
    assert ran == []


@pytest.mark.parametrize("blocking", ["call", "run", "map"])
def test_nothing_is_sent_on_the_own_worker(workshop, blocking):
    """Not even where another worker of the provider is free to take the request before the refusal."""

    class Eager(ProviderRequestQueue):
        def accept(self, future: Any, **options: Any) -> None:
            super().accept(future, **options)
            if self.on_worker():
                future.wait(PATIENCE_S)  # the other worker is faster than the refusal

    manager = ConcurrentLLMManager(lambda name: workshop._kept(Eager(name, concurrency=2)))
    call, ran, over = workshop.held(), threading.Event(), threading.Event()
    future = manager.submit("a", call)

    def callback(_: object) -> None:
        with contextlib.suppress(RuntimeError):
            if blocking == "call":
                manager.call("a", ran.set)
            elif blocking == "run":
                manager.run([("a", ran.set)])
            else:
                next(manager.map([("a", ran.set)]))
        over.set()

    future.add_done_callback(callback)
    call.released.set()
    assert over.wait(PATIENCE_S)
    manager.close()
    assert not ran.is_set()


@pytest.mark.parametrize("blocking", ["call", "result", "map"])
def test_a_failed_call_leaves_no_reference_cycle(workshop, blocking):
    """An error that was raised and handled goes without the garbage collector."""

    class WrongError(Exception):
        pass

    def go_wrong() -> None:
        raise WrongError

    def ask() -> weakref.ref[BaseException]:
        try:
            if blocking == "call":
                manager.call("a", go_wrong)
            elif blocking == "result":
                manager.result(manager.submit("a", go_wrong))
            else:
                next(manager.map([("a", go_wrong)]))
        except WrongError as error:
            return weakref.ref(error)
        raise AssertionError

    manager = workshop.manager()
    gc.disable()
    try:
        gone = ask()
        manager.close()
        assert gone() is None
    finally:
        gc.enable()


def test_another_providers_worker_may_block(workshop):
    """A done-callback of one provider may ask another one."""
    manager = workshop.manager()
    call = workshop.held()
    future = manager.submit("a", call)
    seen: list[object] = []
    asked = threading.Event()
    future.add_done_callback(lambda _: (seen.append(manager.call("b", lambda: "from b")), asked.set()))
    call.released.set()
    assert asked.wait(PATIENCE_S)
    assert seen == ["from b"]


# Ctrl-C


def test_ctrl_c_cancels_the_own_queued_request(workshop, recording, ctrl_c):
    """KeyboardInterrupt reaches the caller; its queued request is cancelled, the one in flight is not touched."""
    stuck = workshop.held("other")
    other = recording.submit("a", stuck)
    assert stuck.entered.wait(PATIENCE_S)
    ctrl_c(lambda: len(recording.futures) == 2 and somebody_waits_for(recording.futures))
    with pytest.raises(KeyboardInterrupt):
        recording.call("a", lambda: pytest.fail("it was cancelled"))
    assert recording.futures[1].cancelled()
    assert stuck.notified == []
    stuck.released.set()
    assert recording.result(other) == "other"


def test_ctrl_c_aborts_the_own_request_in_flight(workshop, recording, ctrl_c):
    """KeyboardInterrupt reaches the caller at once; its request in flight is aborted, so that the worker is free."""
    call = workshop.held()
    ctrl_c(lambda: call.entered.is_set() and somebody_waits_for(recording.futures))
    with pytest.raises(KeyboardInterrupt):
        recording.call("a", call)
    assert call.notified == ["abort"]
    assert recording.call("a", lambda: 2) == 2


def test_ctrl_c_withdraws_a_whole_run(workshop, recording, ctrl_c):
    """All requests of an interrupted run end; those of others stay."""
    stuck, other = workshop.held(), workshop.held("other")
    others = recording.submit("b", other)
    ctrl_c(lambda: stuck.entered.is_set() and len(recording.futures) == 6 and somebody_waits_for(recording.futures, 1))
    with pytest.raises(KeyboardInterrupt):
        recording.run([("a", stuck)] + [("a", lambda: pytest.fail("cancelled"))] * 4)
    assert stuck.notified == ["abort"]
    assert all(future.cancelled() for future in recording.futures[2:])
    assert other.notified == []
    other.released.set()
    assert recording.result(others) == "other"


def test_ctrl_c_withdraws_a_map(workshop, recording, ctrl_c):
    """All pending requests of an interrupted map end."""
    stuck = workshop.held()
    ctrl_c(lambda: stuck.entered.is_set() and len(recording.futures) == 4 and somebody_waits_for(recording.futures, 0))
    calls = itertools.chain([("a", stuck)], itertools.repeat(("a", lambda: pytest.fail("cancelled"))))
    with pytest.raises(KeyboardInterrupt):
        next(recording.map(calls, window=4))
    assert stuck.notified == ["abort"]
    assert all(future.cancelled() for future in recording.futures[1:])


def test_a_jobs_keyboard_interrupt_is_no_ctrl_c(workshop):
    """A call that raises KeyboardInterrupt passes it to its caller; the other requests of the caller continue."""

    def interrupted() -> None:
        raise KeyboardInterrupt

    manager = workshop.manager()
    with pytest.raises(BatchError) as raised:
        manager.run([("a", interrupted), ("a", lambda: 2)])
    assert isinstance(raised.value.results[0], KeyboardInterrupt)
    assert raised.value.results[1] == 2
    assert not shutdown._state.interrupted


# Several


def test_run_gives_results_in_input_order(workshop):
    """Whatever provider answers first."""
    manager = workshop.manager()
    slow = workshop.held("slow")
    running = workshop.in_thread(lambda: manager.run([("a", slow), ("b", lambda: "fast"), ("a", lambda: "behind")]))
    assert slow.entered.wait(PATIENCE_S)
    slow.released.set()
    assert running.outcome() == ["slow", "fast", "behind"]
    assert manager.run([]) == []
    assert manager.run(("a", lambda number=number: number) for number in range(3)) == [0, 1, 2]


def test_run_waits_for_all_then_raises(workshop):
    """One failure costs no other answer: BatchError comes last, with all outcomes in place."""
    manager = workshop.manager()
    slow = workshop.held("paid")
    running = workshop.in_thread(lambda: manager.run([("a", fail), ("b", slow), ("a", fail)]))
    assert slow.entered.wait(PATIENCE_S)
    assert running.hangs_for_now()
    slow.released.set()
    with pytest.raises(BatchError, match="2 of 3 requests failed, first with RateLimitError") as raised:
        running.outcome()
    assert [type(each) for each in raised.value.results] == [RateLimitError, str, RateLimitError]
    assert raised.value.__cause__ is raised.value.results[0]


def test_run_returns_exceptions_in_place(workshop):
    """With return_exceptions nothing is raised."""
    results = workshop.manager().run([("a", fail), ("a", lambda: 1)], return_exceptions=True)
    assert isinstance(results[0], RateLimitError)
    assert results[1] == 1


def test_run_goes_on_when_one_cannot_be_queued(workshop):
    """A provider that cannot be opened fails its own requests alone."""

    def open_queue(name: str) -> Any:
        if name == "keyless":
            raise AuthenticationError("no key")
        return workshop.queue(name)

    manager = ConcurrentLLMManager(open_queue)
    with pytest.raises(AuthenticationError):
        manager.submit("keyless", lambda: 1)
    calls = [("a", lambda: 1), ("keyless", lambda: 2), ("a", lambda: 3)]
    for results in (manager.run(calls, return_exceptions=True), list(manager.map(calls, return_exceptions=True))):
        assert [type(each) for each in results] == [int, AuthenticationError, int]


def test_a_refused_request_fails_with_its_own_reason(workshop):
    """If no thread can be started for one provider, its result is that error, not a cancellation."""

    class Poor(ProviderRequestQueue):
        def _start_thread(self, worker: Any) -> None:
            raise RuntimeError("can't start new thread")

    manager = ConcurrentLLMManager(lambda name: workshop._kept(Poor(name)) if name == "poor" else workshop.queue(name))
    calls = [("a", lambda: 1), ("poor", lambda: 2), ("a", lambda: 3)]
    for results in (manager.run(calls, return_exceptions=True), list(manager.map(calls, return_exceptions=True))):
        assert [results[0], results[2]] == [1, 3]
        assert "no worker thread could be started" in str(results[1])


def test_run_closed_midway_keeps_the_answers(workshop):
    """What was answered before a close is in the results, the rest are ClientClosedError."""
    manager = workshop.manager()
    closed: list[Any] = []

    def close() -> str:
        manager._closed = True
        closed.append(workshop.in_thread(lambda: manager.close(cancel_pending=True)))
        assert closed[0].hangs_for_now()
        return "paid"

    results = manager.run([("a", close), ("a", lambda: 1), ("a", lambda: 2)], return_exceptions=True)
    assert [type(each) for each in results] == [str, ClientClosedError, ClientClosedError]
    closed[0].outcome()


# map


def test_map_is_lazy_and_bounded(workshop):
    """Nothing is taken before the first result is asked for, and never more than window ahead; the input may be endless."""
    taken: list[int] = []

    def calls() -> Iterator[Any]:
        for number in itertools.count():
            taken.append(number)
            yield "a", lambda number=number: number

    results = workshop.manager().map(calls(), window=5)
    assert taken == []
    for number in range(100):
        assert next(results) == number
        assert len(taken) <= number + 6
    results.close()


def test_map_fills_its_window_while_it_waits(workshop):
    """While the first answer is awaited, window requests are on their way, to all workers."""
    manager = workshop.manager(concurrency=4)
    together = threading.Barrier(4)

    def meet() -> str:
        together.wait(PATIENCE_S)
        return "met"

    assert list(manager.map([("a", meet)] * 8, window=4)) == ["met"] * 8


def test_map_holds_no_answer_back_for_slow_input(workshop):
    """Input that comes line by line: an answer that is there is given before the window is full."""
    answered = threading.Event()
    requested: list[int] = []

    def calls() -> Iterator[Any]:
        yield "a", lambda: answered.set() or "first"
        assert answered.wait(PATIENCE_S)
        manager.call("a", lambda: "the first is settled")
        for number in range(3):
            requested.append(number)
            yield "a", lambda: "later"

    manager = workshop.manager()
    results = manager.map(calls())
    assert next(results) == "first"
    assert requested == [0]
    assert list(results) == ["later"] * 3


def test_map_raises_the_inputs_error_in_its_place(workshop):
    """The results before it come first."""

    def calls() -> Iterator[Any]:
        yield "a", lambda: 1
        yield "a", lambda: 2
        raise OSError("input broke")

    results = workshop.manager().map(calls())
    assert [next(results), next(results)] == [1, 2]
    with pytest.raises(OSError, match="input broke"):
        next(results)


@pytest.mark.parametrize("garbage", [None, ("a",), ("a", None)])
def test_map_with_garbage_in_the_input(workshop, garbage):
    """What is no call raises in its place, after the answers before it."""
    results = workshop.manager().map([("a", lambda: 1), garbage])
    assert next(results) == 1
    with pytest.raises((TypeError, ValueError)):
        next(results)


def test_map_raises_a_failure_in_its_place_and_cancels_the_rest(workshop, recording):
    """Without return_exceptions the first failure ends the iteration; what is queued behind it is never made."""
    held = workshop.held()

    def fail_late() -> None:
        assert held.released.wait(PATIENCE_S)
        fail()

    calls = [("a", lambda: 1), ("a", fail_late), *[("b", workshop.held())], *[("b", lambda: pytest.fail("cancelled"))] * 3]
    results = recording.map(calls)
    assert next(results) == 1
    held.released.set()
    with pytest.raises(RateLimitError):
        next(results)
    assert all(future.cancelled() for future in recording.futures[3:])


def test_map_goes_on_with_return_exceptions(workshop):
    """Failures stand in place."""
    results = list(workshop.manager().map([("a", fail), ("a", lambda: 1)], return_exceptions=True))
    assert [type(each) for each in results] == [RateLimitError, int]


def test_map_closed_early_cancels_what_is_pending(workshop, recording):
    """Leaving the loop cancels what is queued; what is in flight ends by itself."""
    held = workshop.held("in flight")
    calls = itertools.chain([("a", lambda: 1), ("a", held)], itertools.repeat(("a", lambda: pytest.fail("cancelled"))))
    results = recording.map(calls, window=4)
    assert next(results) == 1
    results.close()
    assert all(future.cancelled() for future in recording.futures[2:])
    assert "abort" not in held.notified
    assert len(recording.futures) <= 5


def test_map_on_a_closed_client_ends(workshop):
    """An endless input does not give endless errors: ClientClosedError comes once, after the answers."""
    manager = workshop.manager()
    results = manager.map(itertools.repeat(("a", lambda: 1)), window=3, return_exceptions=True)
    assert next(results) == 1
    manager.close()
    answers = itertools.takewhile(lambda answer: answer == 1, results)
    with pytest.raises(ClientClosedError):
        list(itertools.islice(answers, 10))


def test_map_past_one_providers_backlog(workshop):
    """A full queue holds map back, not up: every request is answered, in order, in bounded memory."""
    manager = workshop.manager(max_queue=1)
    calls = [("ab"[number % 10 == 9], lambda number=number: number) for number in range(200)]
    assert list(manager.map(calls, window=8)) == list(range(200))


def test_map_refuses_an_impossible_window(workshop):
    """At once, not at the first result."""
    with pytest.raises(ValueError, match="window=0"):
        workshop.manager().map([], window=0)


@pytest.mark.parametrize("seed", range(30))
def test_order_property(workshop, seed):
    """Random providers, failures, cancellations, windows and speeds: each request is made once at most, results in order."""
    rng = random.Random(seed)  # noqa: S311  (a reproducible test)
    count = rng.randrange(1, 60)
    kinds = [rng.choice(["answer", "answer", "fail", "cancel"]) for _ in range(count)]
    pauses = [rng.choice([0, 0, 0.0005]) for _ in range(count)]
    made: list[int] = []
    futures: list[Any] = []
    settings = {"concurrency": rng.randrange(1, 4), "max_queue": rng.choice([None, 2])}
    manager = ConcurrentLLMManager(lambda name: workshop.recording(futures, name, **settings))

    def call_for(number: int) -> Callable[[], int]:
        def call() -> int:
            made.append(number)
            threading.Event().wait(pauses[number])
            if kinds[number] == "fail":
                raise RateLimitError(str(number))
            if kinds[number] == "cancel":
                for other in futures[number + 1 : number + 3]:
                    other.cancel()
            return number

        return call

    calls = [(rng.choice("abc"), call_for(number)) for number in range(count)]
    if seed % 2:
        results = manager.run(calls, return_exceptions=True)
    else:
        results = list(manager.map(iter(calls), window=rng.randrange(1, 12), return_exceptions=True))
    assert len(results) == count
    assert sorted(made) == sorted(set(made))
    for number, result in enumerate(results):
        if isinstance(result, ClientClosedError):
            assert number not in made
        elif isinstance(result, RateLimitError):
            assert (kinds[number], result.message) == ("fail", str(number))
        else:
            assert result == number
