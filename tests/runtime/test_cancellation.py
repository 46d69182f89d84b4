"""Callbacks for stopping a request are called, whenever the stop comes."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from llm_sync.runtime.cancellation import CallControl


@pytest.mark.parametrize("how", ["stop_retrying", "abort"])
def test_stopping_calls_the_callback(how: str) -> None:
    """The callback is called by both methods, and the request counts as stopped by then."""
    control, calls = CallControl(), []
    control.on_stop(lambda: calls.append(control.stopped))
    assert calls == []
    getattr(control, how)()
    assert calls == [True]


def test_a_telling_that_came_before_is_not_lost() -> None:
    """It is made up for at once."""
    control, calls = CallControl(), []
    control.stop_retrying()
    control.on_stop(lambda: calls.append("calls"))
    assert calls == ["calls"]


def test_a_removed_callback_is_not_called() -> None:
    """The wait is over."""
    control, calls = CallControl(), []
    control.on_stop(lambda: calls.append("calls"))
    control.on_stop(None)
    control.stop_retrying()
    assert calls == []


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_stop_in_between_is_not_lost(moment: str) -> None:
    """The stop comes just before or just after on_stop looks whether there was one: one of the two calls the callback."""
    calls = []

    class Between(CallControl):
        """Another thread's stop_retrying at the edge of the look."""

        was_stopped = False

        @property
        def stopped(self) -> bool:
            if moment == "before":
                self.was_stopped = True
            was_stopped = self.was_stopped
            if moment == "after" and not was_stopped:
                self.stop_retrying()
            return was_stopped

        @stopped.setter
        def stopped(self, value: bool) -> None:
            self.was_stopped = value

    Between().on_stop(lambda: calls.append("calls"))
    assert calls


def test_given_up_before_an_attempt_it_is_not_started() -> None:
    """What is given up while it waits is not sent; give_up says what it waited for."""
    control = CallControl()
    control.waiting_for = "pace"
    assert control.give_up() == (False, 0, "pace")
    assert not control.start_attempt()


def test_given_up_during_an_attempt_it_has_no_further_one() -> None:
    """The running attempt goes on, and give_up says that it runs."""
    control = CallControl()
    assert control.start_attempt()
    assert control.give_up() == (True, 1, "")
    control.end_attempt()
    assert not control.start_attempt()


def test_given_up_between_attempts() -> None:
    """The attempts that were made are counted, and there is no other."""
    control = CallControl()
    assert control.start_attempt()
    control.end_attempt()
    control.waiting_for = "retry"
    assert control.give_up() == (False, 1, "retry")
    assert not control.start_attempt()


def test_given_up_as_an_attempt_starts() -> None:
    """The start that comes just before the decision of give_up wins: the request is in flight."""
    control = CallControl()

    class Late(dict):  # type: ignore[type-arg]
        def setdefault(self, number: Any, decision: Any) -> Any:
            if decision is False:
                super().setdefault(number, True)  # the other thread's start_attempt
            return super().setdefault(number, decision)

    control._once = Late()
    assert control.give_up().in_flight


@pytest.mark.parametrize("aborted", [False, True])
def test_releasing_a_socket_waits_for_an_abort_of_it(aborted: bool) -> None:
    """detach returns only when a shutdown under way is over, and says that the socket is unusable."""
    control, order = CallControl(), []
    shutting, go = threading.Event(), threading.Event()

    def shut() -> None:
        shutting.set()
        assert go.wait(5)
        order.append("shut")

    control.attach(shut)
    aborting = threading.Thread(target=control.abort)
    if aborted:
        aborting.start()
        assert shutting.wait(5)
        threading.Timer(0.05, go.set).start()
    assert control.detach() is aborted
    order.append("detached")
    assert order == (["shut", "detached"] if aborted else ["detached"])
    if aborted:
        aborting.join(5)


def test_a_wait_ends_when_stopped() -> None:
    """At once, whether it had begun or not; otherwise with its time."""
    control = CallControl()
    assert control.wait(0) is False
    waiting, calls = threading.Event(), []

    def wait() -> None:
        waiting.set()
        calls.append(control.wait(30))

    thread = threading.Thread(target=wait)
    thread.start()
    assert waiting.wait(5)
    control.stop_retrying()
    thread.join(5)
    assert calls == [True]
    assert control.wait(30) is True
