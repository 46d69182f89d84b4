"""Ctrl-C between two bytecodes, forced where the standard library's conditions would stay locked or lose a wake-up."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from llm_sync.dispatch import wait as dispatch_wait
from llm_sync.dispatch.worker import Worker
from llm_sync.runtime.interrupts import POLL_S, Condition, SafeQueue

PATIENCE_S = 10.0


def interrupted_in(names: set[str], what: Callable[[], object]) -> bool:
    """Run ``what`` with a KeyboardInterrupt on entering the first Python function of such a name; whether one came."""

    def trace(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_name in names:
            sys.settrace(None)
            raise KeyboardInterrupt

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        what()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def free(lock: Any) -> bool:
    """Whether another thread gets the lock."""
    got: list[bool] = []

    def take() -> None:
        got.append(lock.acquire(timeout=1))
        if got[0]:
            lock.release()

    thread = threading.Thread(target=take)
    thread.start()
    thread.join(PATIENCE_S)
    return got == [True]


def test_a_condition_is_entered_and_left_in_c(workshop):
    """No Python function runs between taking a future's, an inbox's or a starting thread's lock and the with-block."""
    queue = workshop.queue()
    future = queue.prepare(lambda: 1)
    inbox: SafeQueue[int] = SafeQueue()
    worker = Worker(queue, 1, daemon=True)
    for what, lock in (
        (future.done, future._condition._lock),
        (future.cancel, future._condition._lock),
        (lambda: inbox.put(1), inbox.mutex),
        (lambda: worker._started.wait(0), worker._started._cond._lock),
    ):
        assert not interrupted_in({"__enter__", "__exit__"}, what)
        assert free(lock)


def test_the_trace_of_these_tests_detects_a_locked_condition():
    """The standard library's own condition stays locked in this test."""
    condition = threading.Condition()

    def use() -> None:
        with condition:
            pass

    assert interrupted_in({"__exit__"}, use)
    assert not free(condition._lock)


def test_interrupted_before_waiting():
    """Interrupted after releasing the lock, before waiting: KeyboardInterrupt is raised, not an error about the lock."""
    condition = Condition()
    release = condition._release_save

    def cut_off() -> None:
        release()
        raise KeyboardInterrupt

    condition._release_save = cut_off

    def use() -> None:
        with condition:
            condition.wait(PATIENCE_S)

    with pytest.raises(KeyboardInterrupt):
        use()
    assert free(condition._lock)


def test_interrupted_while_waking(workshop):
    """Interrupted when a waiter is woken but not yet removed: the next notify must wake another waiter."""

    class Cut(deque):  # type: ignore[type-arg]
        cut = True

        def remove(self, value: Any) -> None:
            if self.cut:
                self.cut = False
                raise KeyboardInterrupt
            super().remove(value)

    condition = Condition()
    condition._waiters = Cut()
    waits = []

    def wait() -> bool:
        with condition:
            waits.append(1)
            return condition.wait(PATIENCE_S)

    def count() -> int:
        with condition:
            return len(waits)

    def notify() -> None:
        with condition:
            condition.notify()

    first = workshop.in_thread(wait)
    while count() < 1:
        pass
    second = workshop.in_thread(wait)
    while count() < 2:
        pass
    with pytest.raises(KeyboardInterrupt):
        notify()
    assert first.outcome()
    notify()
    assert second.outcome()


def test_the_main_thread_waits_in_slices(workshop, monkeypatch):
    """A signal that arrives just before the main thread blocks does not wake it, so only the main thread waits in slices."""
    manager = workshop.manager()
    call = workshop.held("answer")
    future = manager.submit("a", call)
    pieces: list[float | None] = []

    def wait(timeout: float | None = None) -> bool:
        pieces.append(timeout)
        if len(pieces) == 5:
            call.released.set()
            assert future.exception(PATIENCE_S) is None
        return len(pieces) >= 5

    monkeypatch.setattr(future, "wait", wait)
    assert manager.result(future) == "answer"
    assert pieces == [POLL_S] * 5
    assert POLL_S <= 0.2
    pieces[:] = [0.0] * 4
    assert workshop.in_thread(lambda: manager.result(future)).outcome() == "answer"
    assert pieces[4:] == [None]


def test_an_interrupt_right_after_the_submit(workshop, monkeypatch):
    """Ctrl-C between queueing and waiting, where neither sees it: the request is withdrawn all the same."""
    manager = workshop.manager()
    call = workshop.held()

    def cut_off(*_: object) -> None:
        assert call.entered.wait(PATIENCE_S)
        raise KeyboardInterrupt

    monkeypatch.setattr(dispatch_wait, "outcome_within", cut_off)
    with pytest.raises(KeyboardInterrupt):
        manager.call("a", call)
    assert call.notified == ["abort"]
    monkeypatch.undo()
    assert manager.call("a", lambda: 2) == 2


def test_close_again_after_an_interrupted_close(workshop):
    """A close that Ctrl-C cut off before every worker had its signal is completed by the next one."""
    queue = workshop.gated(idle_timeout=3600)
    queue.submit(lambda: 1).result(PATIENCE_S)
    plain_put = queue._put

    def cut_off(_: object) -> None:
        queue._put = plain_put
        raise KeyboardInterrupt

    queue._put = cut_off
    with pytest.raises(KeyboardInterrupt):
        queue.stop()
    workshop.in_thread(queue.close).outcome()
    assert not queue._pool._threads[0].is_alive()
