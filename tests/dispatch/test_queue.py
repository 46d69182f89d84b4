"""One queue: order, workers, outcomes, cancelling, closing, room, status."""

from __future__ import annotations

import gc
import threading
import time
import traceback
import weakref
from collections.abc import Callable
from concurrent.futures import CancelledError
from queue import Empty
from types import SimpleNamespace
from typing import Any

import pytest

from llm_sync.dispatch import shutdown
from llm_sync.dispatch.queue import ProviderRequestQueue
from llm_sync.errors import ClientClosedError, LLMConnectorError, QueueFullError
from llm_sync.events import AttemptStarted, Event, Finished, Queued, Retrying, Started

PATIENCE_S = 10.0
BRIEF_S = 0.2


def threads_of(queue: ProviderRequestQueue) -> list[str]:
    """The names of its living threads."""
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith(f"llm-sync-{queue.name}-"))


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a state that no event reports."""
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.001)


def ended(future: Any) -> BaseException | None:
    """What it ended with."""
    return future.exception(PATIENCE_S)


# Order and workers


def test_one_worker_takes_requests_in_order(workshop):
    """With concurrency 1, requests run in the order of submission, each after the former."""
    queue = workshop.queue()
    first = workshop.occupy(queue)
    ran: list[int] = []
    futures = [queue.submit(lambda number=number: ran.append(number)) for number in range(50)]
    first.released.set()
    for future in futures:
        assert ended(future) is None
    assert ran == list(range(50))


def test_no_more_than_concurrency_in_flight(workshop):
    """A third request waits while two are in flight at concurrency 2, and runs when one ends."""
    queue = workshop.queue(concurrency=2)
    first, second = workshop.occupy(queue), workshop.occupy(queue)
    third = workshop.held(3)
    future = queue.submit(third)
    assert not third.entered.wait(BRIEF_S)
    first.released.set()
    assert third.entered.wait(PATIENCE_S)
    third.released.set()
    assert future.result(PATIENCE_S) == 3
    assert not second.released.is_set()


def test_threads_start_on_first_use_and_are_named(workshop):
    """A queue has no thread before its first request; its workers are named by provider and number."""
    queue = workshop.queue("lazy", concurrency=2)
    assert threads_of(queue) == []
    workshop.occupy(queue)
    assert threads_of(queue) == ["llm-sync-lazy-1"]
    workshop.occupy(queue)
    assert threads_of(queue) == ["llm-sync-lazy-1", "llm-sync-lazy-2"]


def test_idle_worker_ends_and_a_new_one_starts(workshop):
    """After idle_timeout without work the thread ends; the next request starts one of the same name."""
    queue = workshop.queue("idle", idle_timeout=0.01)
    assert queue.submit(lambda: 1).result(PATIENCE_S) == 1
    for thread in list(queue._pool._threads):
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    assert queue.submit(lambda: threading.current_thread().name).result(PATIENCE_S) == "llm-sync-idle-1"


def test_idle_timeout_zero_runs_everything(workshop):
    """A worker that never idles still loses nothing."""
    queue = workshop.queue(idle_timeout=0)
    assert [queue.submit(lambda n=n: n).result(PATIENCE_S) for n in range(200)] == list(range(200))


@pytest.mark.parametrize("settings", [{}, {"idle_timeout": 0}], ids=["closed", "idle timeout 0"])
def test_a_worker_that_is_not_to_wait_never_does(settings):
    """On Python 3.10, SimpleQueue.get(timeout=0) waited for ever once in some ten thousand times, after a put and a get."""
    queue = ProviderRequestQueue("a", **settings)
    if not settings:
        queue.stop()
    done = threading.Event()

    def take_often():
        for _ in range(100_000):
            queue._put(None)
            assert queue.take(None) is None
            with pytest.raises(Empty):
                queue.take(None)
        done.set()

    threading.Thread(target=take_often, daemon=True).start()
    assert done.wait(20)


@pytest.mark.parametrize("settings", [{"concurrency": 0}, {"max_queue": 0}, {"idle_timeout": -1}, {"idle_timeout": float("nan")}])
def test_impossible_settings(settings):
    """Settings that could only hang are refused, naming the provider."""
    with pytest.raises(ValueError, match="'p'"):
        ProviderRequestQueue("p", **settings)


def test_endless_idle_timeout(workshop):
    """An infinite idle_timeout is the longest wait the platform knows, not an OverflowError in the worker."""
    assert workshop.queue(idle_timeout=float("inf")).submit(lambda: 1).result(PATIENCE_S) == 1


def test_what_cannot_be_called_is_refused(workshop):
    """submit(func()) for submit(func) is a TypeError in the caller's face, and nothing is queued."""
    queue = workshop.queue()
    with pytest.raises(TypeError, match="cannot be called"):
        queue.submit(None)
    assert queue.status().queued == 0


# Outcomes


class BrokenError(Exception):
    """Neither text nor truth."""

    def __str__(self) -> str:
        raise SystemExit("no text")

    __repr__ = __str__


class FalseError(Exception):
    """False in a boolean context, as an exception with an empty __len__ is."""

    def __bool__(self) -> bool:
        return False


@pytest.mark.parametrize("kind", [ValueError, SystemExit, KeyboardInterrupt, MemoryError, GeneratorExit, BrokenError, FalseError])
def test_whatever_a_call_raises_goes_to_its_future(workshop, kind):
    """The future gets the very exception, and the same worker makes the next call."""
    queue = workshop.queue()
    error = kind("x")

    def fail() -> None:
        raise error

    before = queue.submit(threading.get_ident)
    failing = queue.submit(fail)
    after = queue.submit(threading.get_ident)
    assert ended(failing) is error
    with pytest.raises(kind):
        failing.result(PATIENCE_S)
    assert after.result(PATIENCE_S) == before.result(PATIENCE_S)
    assert queue.status().failed == {kind.__name__: 1}


@pytest.mark.parametrize(("kind", "inner"), [(LLMConnectorError, False), (ValueError, True)], ids=["an outcome", "a fault"])
def test_only_a_fault_of_the_program_shows_the_frames_of_the_worker(workshop, kind, inner):
    """The error of a request has the caller's frames only in its traceback, and keeps no prompt alive."""

    def fail() -> None:
        raise kind("x")

    error = ended(workshop.queue().submit(fail))
    frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    assert ("fail" in frames) is inner


@pytest.mark.parametrize("kind", [ValueError, SystemExit, KeyboardInterrupt])
def test_a_done_callback_that_raises_ends_no_worker(workshop, kind, caplog):
    """Also one that raises SystemExit, which Future lets through."""
    queue = workshop.queue()
    call = workshop.held()
    future = queue.submit(call)

    def callback(_: object) -> None:
        raise kind("from a callback")

    future.add_done_callback(callback)
    before = queue.submit(threading.get_ident)
    call.released.set()
    assert ended(future) is None
    assert queue.submit(threading.get_ident).result(PATIENCE_S) == before.result(PATIENCE_S)
    assert "callback" in caplog.text


@pytest.mark.parametrize("kind", [ValueError, SystemExit])
def test_a_listener_that_raises_costs_no_answer(workshop, kind, caplog):
    """A bug in a listener of events is logged; the request is answered and the worker lives on."""

    def listener(event: Event) -> None:
        if not isinstance(event, Queued):
            raise kind("from a listener")

    queue = workshop.queue(emit=listener)
    assert queue.submit(lambda: 1).result(PATIENCE_S) == 1
    assert queue.submit(lambda: 2).result(PATIENCE_S) == 2
    assert "listener" in caplog.text


def test_a_listener_that_raises_in_submit(workshop, caplog):
    """The caller of submit gets the future all the same."""

    def listener(event: Event) -> None:
        raise ValueError(event)

    assert workshop.queue(emit=listener).submit(lambda: 1).result(PATIENCE_S) == 1


def test_a_request_that_ended_keeps_nothing(workshop):
    """Neither the waiting worker nor the kept future holds the call, and the dropped future holds no answer."""

    class Thing:
        pass

    class Ask:
        def __init__(self) -> None:
            self.prompt = Thing()

        def __call__(self) -> Thing:
            return Thing()

    queue = workshop.queue()
    ask = Ask()
    prompt = weakref.ref(ask.prompt)
    future = queue.submit(ask)
    answer = weakref.ref(future.result(PATIENCE_S))
    del ask
    wait_until(lambda: not queue._pool.in_flight())  # the worker is through with the callbacks
    assert prompt() is None
    assert answer() is not None
    del future
    assert answer() is None


def test_a_failure_makes_no_reference_cycle(workshop):
    """A future dropped with its exception goes without the garbage collector, and so does that: long runs stay flat."""

    class WrongError(Exception):
        pass

    def fail() -> None:
        raise WrongError("x")

    queue = workshop.queue()
    gc.disable()
    try:
        future = queue.submit(fail)
        with pytest.raises(WrongError):
            future.result(PATIENCE_S)
        wait_until(lambda: not queue._pool.in_flight())
        gone, error_gone = weakref.ref(future), weakref.ref(future.exception())
        del future
        assert gone() is None
        assert error_gone() is None
    finally:
        gc.enable()


def test_a_cancelled_request_keeps_nothing(workshop):
    """What was cancelled drops its call at once, though its place in the line is still there."""

    class Ask:
        def __call__(self) -> None:
            raise AssertionError("it was cancelled")

    queue = workshop.queue()
    workshop.occupy(queue)
    ask = Ask()
    gone = weakref.ref(ask)
    future = queue.submit(ask)
    del ask
    assert future.cancel()
    assert gone() is None


def test_a_worker_that_fails_itself_leaves_nothing_pending(workshop, caplog):
    """Where a worker cannot even take work (no memory), what waits is cancelled, and the next request starts a new one."""

    class Starving(ProviderRequestQueue):
        starving = True

        def take(self, worker: Any) -> Any:
            if self.starving:
                assert go.wait(PATIENCE_S)
                raise MemoryError
            return super().take(worker)

    go = threading.Event()
    queue = workshop._kept(Starving("p"))
    futures = [queue.submit(lambda: 1) for _ in range(3)]
    go.set()
    for future in futures:
        with pytest.raises(CancelledError):
            future.result(PATIENCE_S)
    Starving.starving = False
    assert queue.submit(lambda: 2).result(PATIENCE_S) == 2
    assert "3 waiting requests are cancelled" in caplog.text


def test_a_future_settled_from_outside_is_not_run(workshop):
    """Code that sets the result of a queued future affects only that one, and the future takes up no room."""
    queue = workshop.queue(max_queue=1)
    first = workshop.occupy(queue)
    future = queue.submit(lambda: pytest.fail("it must not run"))
    future.set_result("mine")
    other = queue.submit(lambda: 2, block=False)
    first.released.set()
    assert other.result(PATIENCE_S) == 2
    assert future.result() == "mine"


def test_a_future_settled_while_in_flight(workshop, caplog):
    """A result set from outside on a request in flight stays; the worker discards the answer and continues without a log."""
    queue = workshop.queue()
    call = workshop.held("answer")
    future = queue.submit(call)
    assert call.entered.wait(PATIENCE_S)
    future.set_result("mine")
    call.released.set()
    assert queue.submit(lambda: 2).result(PATIENCE_S) == 2
    assert future.result() == "mine"
    assert caplog.records == []


# Cancelling


def test_cancelled_while_queued_never_runs(workshop):
    """A queued request that is cancelled is not made."""
    queue = workshop.queue()
    first = workshop.occupy(queue)
    ran: list[int] = []
    unwanted = queue.submit(lambda: ran.append(1))
    wanted = queue.submit(lambda: ran.append(2))
    assert unwanted.cancel()
    assert queue.status().queued == 1
    first.released.set()
    assert ended(wanted) is None
    assert ran == [2]
    assert (queue.status().done, queue.status().failed) == (2, {})
    with pytest.raises(CancelledError):
        unwanted.result(0)


def test_cancel_in_flight_is_refused(workshop):
    """What is being sent cannot be cancelled and gives its answer."""
    queue = workshop.queue()
    call = workshop.held("answer")
    future = queue.submit(call)
    assert call.entered.wait(PATIENCE_S)
    assert not future.cancel()
    call.released.set()
    assert future.result(PATIENCE_S) == "answer"


def test_withdrawn_before_it_is_queued(workshop):
    """A future cancelled between prepare and accept (Ctrl-C may) is refused, never made, and takes up no room."""
    queue = workshop.queue(max_queue=1)
    first = workshop.occupy(queue)
    future = queue.prepare(lambda: pytest.fail("it was cancelled"))
    future.cancel()
    with pytest.raises(ClientClosedError, match="cancelled before it was sent"):
        queue.accept(future)
    other = queue.submit(lambda: 2, block=False)
    first.released.set()
    assert other.result(PATIENCE_S) == 2


def test_cancelling_in_the_middle_of_a_submit(workshop):
    """The collector may close a forgotten map() while the lock is held: its cancelling must not wait for that lock."""

    class Collected(ProviderRequestQueue):
        def _put(self, future: Any) -> None:
            if victims:
                victims.pop().cancel()
            super()._put(future)

    victims: list[Any] = []
    queue = workshop._kept(Collected("p"))
    workshop.occupy(queue)
    victims.append(queue.submit(lambda: 1))
    victim = victims[0]
    submitting = workshop.in_thread(lambda: queue.submit(lambda: 2))
    submitting.outcome()
    assert victim.cancelled()


def test_counting_in_the_middle_of_counting(workshop):
    """The same for the counts: a request cancelled by the collector while an event is counted is counted too."""
    queue = workshop.queue()

    def count() -> None:
        with queue._counts._lock:
            queue.emit(Finished("p", 1))

    workshop.in_thread(count).outcome()
    assert queue.status().done == 1


# Room


def test_full_queue_refuses_without_block(workshop):
    """block=False with max_queue waiting raises QueueFullError, retryable; those in flight do not count."""
    queue = workshop.queue(max_queue=2)
    workshop.occupy(queue)
    queue.submit(lambda: 1)
    queue.submit(lambda: 2)
    with pytest.raises(QueueFullError, match="the queue is full: 2 requests") as raised:
        queue.submit(lambda: 3, block=False)
    assert raised.value.retryable
    assert raised.value.provider == "p"


def test_full_queue_blocks_until_a_worker_takes_one(workshop):
    """submit waits for room and then queues."""
    queue = workshop.queue(max_queue=1)
    first = workshop.occupy(queue)
    queue.submit(lambda: 1)
    submitting = workshop.in_thread(lambda: queue.submit(lambda: 2))
    assert submitting.hangs_for_now()
    first.released.set()
    assert submitting.outcome().result(PATIENCE_S) == 2


def test_cancelling_makes_room_at_once(workshop):
    """A cancelled request frees its place though no worker has come to it yet."""
    queue = workshop.queue(max_queue=1)
    workshop.occupy(queue)
    waiting = queue.submit(lambda: 1)
    submitting = workshop.in_thread(lambda: queue.submit(lambda: 2))
    assert submitting.hangs_for_now()
    assert waiting.cancel()
    assert not submitting.outcome().done()


def test_timeout_bounds_the_wait_for_room(workshop):
    """After timeout seconds without room submit raises and says how long it waited."""
    queue = workshop.queue(max_queue=1)
    workshop.occupy(queue)
    queue.submit(lambda: 1)
    with pytest.raises(QueueFullError, match=r"after 0\.01 s"):
        queue.submit(lambda: 2, timeout=0.01)
    with pytest.raises(QueueFullError):
        queue.submit(lambda: 2, timeout=-5)
    with pytest.raises(ValueError, match="not a number"):
        queue.submit(lambda: 2, timeout=float("nan"))
    assert queue.status().queued == 1


@pytest.mark.parametrize("cancel_pending", [False, True])
def test_closing_ends_the_wait_for_room(workshop, cancel_pending):
    """Who waits for room when the queue closes gets ClientClosedError, now."""
    queue = workshop.queue(max_queue=1)
    workshop.occupy(queue)
    queue.submit(lambda: 1)
    submitting = workshop.in_thread(lambda: queue.submit(lambda: 2))
    assert submitting.hangs_for_now()
    queue.stop(cancel_pending)
    with pytest.raises(ClientClosedError):
        submitting.outcome()


def test_an_interrupted_wait_leaves_the_room_to_others(workshop, monkeypatch):
    """Ctrl-C that hits a submit which was woken for the free place: another one that waits gets the place."""
    queue = workshop.queue(max_queue=1)
    first = workshop.occupy(queue)
    queue.submit(lambda: 1)
    unlucky = queue.prepare(lambda: pytest.fail("it was interrupted"))
    plain_add, looks = queue._waiting.add, []

    def interrupted(future: Any) -> bool:
        if future is unlucky:
            looks.append(1)
            if len(looks) > 2:  # the first time without waiting, the second before it waits, the third when there is room
                raise KeyboardInterrupt
        return plain_add(future)

    monkeypatch.setattr(queue._waiting, "add", interrupted)
    interrupted_one = workshop.in_thread(lambda: queue.accept(unlucky))
    lucky = workshop.in_thread(lambda: queue.submit(lambda: 3))
    assert lucky.hangs_for_now()
    assert interrupted_one.hangs_for_now()
    first.released.set()
    assert lucky.outcome().result(PATIENCE_S) == 3
    with pytest.raises(KeyboardInterrupt):
        interrupted_one.outcome()
    assert unlucky.cancelled()


def test_waiting_for_room_on_the_own_worker_is_refused(workshop):
    """A callback that submits to its own full queue would wait for itself."""
    queue = workshop.queue(max_queue=1)
    call = workshop.held()
    future = queue.submit(call)
    refused: list[BaseException] = []

    def callback(_: object) -> None:
        try:
            queue.submit(lambda: 2)
        except RuntimeError as error:
            refused.append(error)

    future.add_done_callback(callback)
    assert call.entered.wait(PATIENCE_S)
    waiting = queue.submit(lambda: 1)
    call.released.set()
    assert ended(waiting) is None
    assert "wait for itself" in str(refused[0])


# Threads that do not start


def test_a_thread_that_cannot_start_leaves_nothing(workshop):
    """submit raises, saying what to do; no future stays behind, and the next request finds the queue whole."""

    class Poor(ProviderRequestQueue):
        poor = True

        def _start_thread(self, worker: Any) -> None:
            if self.poor:
                raise RuntimeError("can't start new thread")
            super()._start_thread(worker)

        def _enqueue(self, future: Any) -> None:
            futures.append(future)
            super()._enqueue(future)

    futures: list[Any] = []
    queue = workshop._kept(Poor("p", max_queue=1))
    with pytest.raises(LLMConnectorError, match="can't start new thread") as raised:
        queue.submit(lambda: 1)
    assert "ulimit" in str(raised.value)
    assert futures[0].done()
    assert queue.status().queued == 0
    Poor.poor = False
    assert queue.submit(lambda: 2, block=False).result(PATIENCE_S) == 2


def test_a_further_thread_that_cannot_start_is_done_without(workshop, caplog):
    """Where some workers run, a request waits for them instead of failing."""

    class Poor(ProviderRequestQueue):
        def _start_thread(self, worker: Any) -> None:
            if worker.number > 1:
                raise RuntimeError("can't start new thread")
            super()._start_thread(worker)

    queue = workshop._kept(Poor("p", concurrency=3))
    first = workshop.occupy(queue)
    future = queue.submit(lambda: 2)
    first.released.set()
    assert future.result(PATIENCE_S) == 2
    assert "1 continue" in caplog.text


def test_a_thread_that_cannot_start_because_the_program_ends(workshop, monkeypatch):
    """From Python 3.12 on no thread starts any more at the end of the process: the calling thread runs the request."""
    monkeypatch.setattr(shutdown, "_state", shutdown._ShutdownState())

    class Late(ProviderRequestQueue):
        def _start_thread(self, worker: Any) -> None:
            raise RuntimeError("can't create new thread at interpreter shutdown")

    assert workshop._kept(Late("p")).submit(threading.get_ident).result(0) == threading.get_ident()


def test_an_interrupt_while_a_thread_starts(workshop):
    """Ctrl-C between the start and its notice: nothing is pending, and there is no second worker beside the one that runs."""

    class Interrupted(ProviderRequestQueue):
        interrupted = True

        def _start_thread(self, worker: Any) -> None:
            super()._start_thread(worker)
            if self.interrupted:
                raise KeyboardInterrupt

    queue = workshop._kept(Interrupted("interrupted"))
    with pytest.raises(KeyboardInterrupt):
        queue.submit(lambda: pytest.fail("nobody waits for this"))
    assert queue.status().queued == 0
    Interrupted.interrupted = False
    assert queue.submit(lambda: 2).result(PATIENCE_S) == 2
    assert threads_of(queue) == ["llm-sync-interrupted-1"]
    queue.close()
    assert threads_of(queue) == []


def test_an_interrupt_before_a_thread_starts(workshop):
    """Ctrl-C before there is a thread: a request of another thread that counted on that worker is served all the same."""

    class Interrupted(ProviderRequestQueue):
        interrupted = True

        def _start_thread(self, worker: Any) -> None:
            if self.interrupted:
                self.interrupted = False
                others.append(self.submit(lambda: "other"))
                raise KeyboardInterrupt
            super()._start_thread(worker)

    others: list[Any] = []
    queue = workshop._kept(Interrupted("p"))
    with pytest.raises(KeyboardInterrupt):
        queue.submit(lambda: pytest.fail("nobody waits for this"))
    assert others[0].result(PATIENCE_S) == "other"


# Closing


def test_close_drains(workshop):
    """close() returns when everything queued is done, and no thread is left."""
    queue = workshop.queue("drained", concurrency=2)
    first = workshop.occupy(queue)
    futures = [queue.submit(lambda n=n: n) for n in range(20)]
    closing = workshop.in_thread(queue.close)
    first.released.set()
    closing.outcome()
    assert [future.result(0) for future in futures] == list(range(20))
    assert threads_of(queue) == []
    with pytest.raises(ClientClosedError):
        queue.submit(lambda: 1)


def test_close_cancelling(workshop):
    """close(cancel_pending=True) cancels queued requests, stops retries of those in flight, and waits for these."""
    queue = workshop.queue()
    first = workshop.occupy(queue)
    futures = [queue.submit(lambda: pytest.fail("it was cancelled")) for _ in range(3)]
    closing = workshop.in_thread(lambda: queue.close(cancel_pending=True))
    assert closing.hangs_for_now()
    assert all(future.cancelled() for future in futures)
    assert first.notified == ["stop_retrying"]
    first.released.set()
    closing.outcome()


def test_close_then_cancel(workshop):
    """A close that drains can be hurried by one that cancels."""
    queue = workshop.queue()
    first = workshop.occupy(queue)
    future = queue.submit(lambda: 1)
    draining = workshop.in_thread(queue.close)
    assert draining.hangs_for_now()
    queue.stop(cancel_pending=True)
    assert future.cancelled()
    first.released.set()
    draining.outcome()


def test_close_wakes_idle_workers_and_may_be_repeated(workshop):
    """Idle workers end at once, not after idle_timeout; an unused queue closes too."""
    queue = workshop.queue("sleepy", idle_timeout=3600)
    queue.submit(lambda: 1).result(PATIENCE_S)
    workshop.in_thread(queue.close).outcome()
    workshop.in_thread(queue.close).outcome()
    assert threads_of(queue) == []
    workshop.in_thread(workshop.queue("unused").close).outcome()


def test_close_from_a_callback(workshop):
    """A done-callback may close the queue it runs on: it does not wait for itself."""
    queue = workshop.queue()
    call = workshop.held()
    future = queue.submit(call)
    closed = threading.Event()
    future.add_done_callback(lambda _: (queue.close(), closed.set()))
    behind = queue.submit(lambda: 2)
    call.released.set()
    assert closed.wait(PATIENCE_S)
    assert behind.result(PATIENCE_S) == 2


def test_a_cancelled_requests_callback_stops_no_closing(workshop, caplog):
    """A callback that raises SystemExit while the queue closes leaves the other requests cancelled all the same."""
    queue = workshop.queue()
    first = workshop.occupy(queue)
    futures = [queue.submit(lambda: 1) for _ in range(3)]

    def callback(_: object) -> None:
        raise SystemExit

    futures[0].add_done_callback(callback)
    queue.stop(cancel_pending=True)
    assert all(future.cancelled() for future in futures)
    first.released.set()


def test_a_broken_stop_retrying_stops_no_closing(workshop, caplog):
    """A call whose stop_retrying raises keeps running; the next call is still notified."""

    class Broken:
        def __call__(self) -> None:
            entered.set()
            assert go.wait(PATIENCE_S)

        def stop_retrying(self) -> None:
            raise ValueError("broken")

    entered, go = threading.Event(), threading.Event()
    queue = workshop.queue(concurrency=2)
    queue.submit(Broken())
    assert entered.wait(PATIENCE_S)
    good = workshop.occupy(queue)
    queue.stop(cancel_pending=True)
    go.set()
    assert good.notified == ["stop_retrying"]


# Looking on


def test_events_of_one_request(workshop):
    """Queued, Started and Finished, with one key, the model, the depth and the error."""

    class Ask:
        key = 77
        model = "m"

        def __call__(self) -> None:
            raise ValueError("wrong")

    queue = workshop.queue()
    first = workshop.occupy(queue)
    queue.submit(lambda: 0)
    future = queue.submit(Ask())
    first.released.set()
    ended(future)
    mine = [event for event in workshop.events if event.key == 77]
    assert [type(event) for event in mine] == [Queued, Started, Finished]
    assert (mine[0].model, mine[0].depth) == ("m", 2)
    assert (mine[2].error, mine[2].message) == ("ValueError", "wrong")
    assert {event.provider for event in mine} == {"p"}
    assert len({event.key for event in workshop.events}) == 3


def test_the_end_of_a_request_carries_what_its_result_says(workshop):
    """Usage and cost are read from whatever the call returns, or the error holds as its response: the queue knows no models."""

    class Billed(Exception):
        response = SimpleNamespace(usage="tokens", cost_estimate=0.5)

    def fail() -> None:
        raise Billed

    queue = workshop.queue()
    ended(queue.submit(lambda: SimpleNamespace(usage="more tokens", cost_estimate=0.25)))
    ended(queue.submit(fail))
    ended(queue.submit(lambda: "anything else"))
    ends = [event for event in workshop.events if isinstance(event, Finished)]
    assert [(end.usage, end.cost) for end in ends] == [("more tokens", 0.25), ("tokens", 0.5), (None, None)]


def test_events_of_a_cancelled_request(workshop):
    """It is queued and finished, once each, as cancelled; a refused one is neither."""
    queue = workshop.queue(max_queue=1)
    workshop.occupy(queue)
    workshop.events.clear()
    future = queue.submit(lambda: 1)
    with pytest.raises(QueueFullError):
        queue.submit(lambda: 2, block=False)
    future.cancel()
    future.cancel()
    assert [type(event) for event in workshop.events] == [Queued, Finished]
    assert workshop.events[1].error == "cancelled"


def test_status_counts(workshop):
    """Queued, in flight with age, done, failed by class, last error; percentiles of the answered."""
    now = [100.0]
    queue = workshop.queue(clock=lambda: now[0])
    empty = queue.status()
    assert (empty.queued, empty.in_flight, empty.oldest_in_flight_s, empty.latency_p50_ms) == (0, 0, None, None)
    call = workshop.occupy(queue)
    futures = [queue.submit(lambda: 1), queue.submit(lambda: 1 / 0)]
    now[0] += 3
    status = queue.status()
    assert (status.queued, status.in_flight, status.oldest_in_flight_s) == (2, 1, 3.0)
    call.released.set()
    for future in futures:
        ended(future)
    status = queue.status()
    assert (status.queued, status.in_flight, status.oldest_in_flight_s) == (0, 0, None)
    assert (status.done, status.failed) == (2, {"ZeroDivisionError": 1})
    assert status.last_error == "ZeroDivisionError: division by zero"
    assert (status.latency_p50_ms, status.latency_p95_ms) == (0.0, 3000.0)


def test_status_is_right_when_the_answer_is_there(workshop):
    """Whoever holds the answer sees it counted."""
    queue = workshop.queue()
    for number in range(1, 100):
        queue.submit(lambda: 1).result(PATIENCE_S)
        status = queue.status()
        assert (status.done, status.in_flight) == (number, 0)


def test_status_counts_what_the_attempts_tell(workshop):
    """Events of the attempts, emitted into the queue, count as retries and as requests per minute."""
    now = [1000.0]
    queue = workshop.queue(clock=lambda: now[0])
    queue.emit(AttemptStarted("p", 1))
    now[0] += 30
    queue.emit(AttemptStarted("p", 1, number=2))
    queue.emit(AttemptStarted("p", 1, number=3))
    queue.emit(Retrying("p", 1, number=1, error="RateLimitError", message="slow down"))
    status = queue.status()
    assert (status.retries, status.requests_per_minute) == (1, 3)
    assert status.last_error == "RateLimitError: slow down"
    now[0] += 31
    assert queue.status().requests_per_minute == 2
    now[0] += 60
    assert queue.status().requests_per_minute == 0
    assert AttemptStarted in {type(event) for event in workshop.events}


def test_status_memory_is_bounded(workshop):
    """However many requests end and however long it runs, the same few numbers are kept."""
    now = [0.0]
    queue = workshop.queue(emit=None, clock=lambda: now[0])
    for number in range(5000):
        now[0] += 1
        queue.emit(AttemptStarted("p", number))
        queue.emit(Finished("p", number, elapsed=number / 1000))
    assert len(queue._counts._latencies) == 1024
    assert len(queue._counts._attempts) == 60
    status = queue.status()
    assert status.done == 5000
    assert status.latency_p50_ms == 4487.0
    assert status.latency_p95_ms == 4948.0


def test_blocking_on_the_own_worker_is_refused(workshop):
    """future.result() in a callback of the same provider raises instead of waiting for itself; a done one may be read."""
    queue = workshop.queue()
    call = workshop.held("first")
    future = queue.submit(call)
    later = queue.submit(lambda: 2)
    seen: list[object] = []

    def callback(done: Any) -> None:
        seen.append(done.result())
        try:
            later.result()
        except RuntimeError as error:
            seen.append(str(error))

    future.add_done_callback(callback)
    call.released.set()
    assert later.result(PATIENCE_S) == 2
    assert seen[0] == "first"
    assert "wait for itself" in str(seen[1])


def test_a_thousand_threads(workshop):
    """1,000 threads at once on one queue: each gets its own answer, and one worker made all calls."""
    queue = workshop.queue("crowd")
    start = threading.Event()
    answers: dict[int, object] = {}
    idents: set[int] = set()

    def answer(number: int) -> int:
        idents.add(threading.get_ident())
        return number * number

    def ask(number: int) -> None:
        start.wait(PATIENCE_S)
        answers[number] = queue.submit(lambda: answer(number)).result(PATIENCE_S * 3)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(1000)]
    for thread in threads:
        thread.start()
    start.set()
    for thread in threads:
        thread.join(PATIENCE_S * 3)
    assert answers == {number: number * number for number in range(1000)}
    assert len(idents) == 1
    queue.close()
    assert threads_of(queue) == []
    assert queue.status().done == 1000
