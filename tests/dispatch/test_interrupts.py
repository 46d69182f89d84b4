"""Ctrl-C between two bytecodes, forced where the standard library's conditions would stay locked or lose a wake-up."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from llm_sync.dispatch.future import RequestFuture
from llm_sync.runtime import interrupts
from llm_sync.runtime.interrupts import POLL_OTHERS_S, POLL_S, Condition, Flag

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


def test_a_future_is_locked_and_unlocked_in_c(workshop):
    """No Python function runs between taking the lock of a future and the with-block."""
    future = workshop.queue().prepare(lambda: 1)
    for use in (future.cancel, lambda: future.add_done_callback(print)):
        assert not interrupted_in({"__enter__", "__exit__"}, use)
        assert free(future._condition._lock)


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


def test_a_flag_wakes_all_who_wait(workshop):
    """Several threads wait for one flag; setting it wakes each, and it stays set."""
    flag = Flag()
    waiting = [workshop.in_thread(lambda: flag.wait(PATIENCE_S)) for _ in range(3)]
    while len(flag._sleepers) < 3:
        pass
    assert not any(thread.error for thread in waiting)
    flag.set()
    assert [thread.outcome() for thread in waiting] == [True] * 3
    assert flag.wait(0)
    assert flag._sleepers == []


def test_a_flag_waits_no_longer_than_asked():
    """With no time it returns at once, with a little time after that, unset."""
    flag = Flag()
    assert not flag.wait(0)
    assert not flag.wait(0.001)
    assert flag._sleepers == []


def test_an_interrupt_while_a_flag_is_set(workshop):
    """Cut off between two threads that wait: both are woken all the same."""

    class Cut(list):  # type: ignore[type-arg]
        cut = True

        def __iter__(self) -> Any:
            yield self[0]
            if self.cut:
                self.cut = False
                raise KeyboardInterrupt
            yield from self[1:]

    flag = Flag()
    flag._sleepers = Cut()
    waiting = [workshop.in_thread(lambda: flag.wait(PATIENCE_S)) for _ in range(2)]
    while len(flag._sleepers) < 2:
        pass
    with pytest.raises(KeyboardInterrupt):
        flag.set()
    assert [thread.outcome() for thread in waiting] == [True] * 2


def test_the_main_thread_waits_in_slices(workshop):
    """A signal that arrives just before the main thread blocks does not wake it, so that waits in short slices."""
    assert interrupts.poll_interval() == POLL_S <= 0.2
    assert workshop.in_thread(interrupts.poll_interval).outcome() == POLL_OTHERS_S
    manager = workshop.manager()
    call = workshop.held("answer")
    future = manager.submit("a", call)
    timeouts: list[float | None] = []

    class Sliced(Flag):
        def wait_once(self, timeout: float | None) -> bool:
            timeouts.append(timeout)
            if len(timeouts) == 3:
                call.released.set()
            return super().wait_once(timeout)

    future._once["reported"] = Sliced()
    assert manager.result(future) == "answer"
    assert timeouts[:3] == [None] * 3


def test_an_interrupt_right_after_the_submit(workshop, monkeypatch):
    """Ctrl-C between queueing and waiting, where neither sees it: the request is withdrawn all the same."""
    manager = workshop.manager()
    call = workshop.held()

    def cut_off(*_: object) -> None:
        assert call.entered.wait(PATIENCE_S)
        raise KeyboardInterrupt

    monkeypatch.setattr(RequestFuture, "wait", cut_off)
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
