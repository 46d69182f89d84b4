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


@pytest.mark.parametrize("moment", ["__enter__", "__exit__"])
def test_a_telling_in_between_is_not_lost(monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """The stop comes just before or after the locked step of on_stop: one of the two calls the callback."""
    control, calls = CallControl(), []

    class Between:
        """The lock, with another thread's stop_retrying at its edge."""

        def __init__(self, lock: Any) -> None:
            self.lock = lock

        def stop(self, name: str) -> None:
            if name == moment:
                monkeypatch.undo()
                control.stop_retrying()

        def __enter__(self) -> None:
            self.stop("__enter__")
            self.lock.acquire()

        def __exit__(self, *_: object) -> None:
            self.lock.release()
            self.stop("__exit__")

    monkeypatch.setattr(control, "_lock", Between(control._lock))
    control.on_stop(lambda: calls.append("calls"))
    assert calls


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
