"""Who waits in a way of their own is told when a request is to stop, whenever that is."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from llm_sync.runtime.cancellation import CallControl


@pytest.mark.parametrize("how", ["stop_retrying", "abort"])
def test_the_one_who_waits_is_told(how: str) -> None:
    """Whichever way the request is told, and by then it counts as stopped."""
    control, told = CallControl(), []
    control.on_stop(lambda: told.append(control.stopped))
    assert told == []
    getattr(control, how)()
    assert told == [True]


def test_a_telling_that_came_before_is_not_lost() -> None:
    """It is made up for at once."""
    control, told = CallControl(), []
    control.stop_retrying()
    control.on_stop(lambda: told.append("told"))
    assert told == ["told"]


def test_who_waits_no_more_is_not_told() -> None:
    """The wait is over."""
    control, told = CallControl(), []
    control.on_stop(lambda: told.append("told"))
    control.on_stop(None)
    control.stop_retrying()
    assert told == []


@pytest.mark.parametrize("moment", ["__enter__", "__exit__"])
def test_a_telling_in_between_is_not_lost(monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    """It comes just before or just after the one step that on_stop makes under the lock: one of the two tells."""
    control, told = CallControl(), []

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
    control.on_stop(lambda: told.append("told"))
    assert told


def test_a_wait_ends_when_told_to_stop() -> None:
    """At once, whether it had begun or not; otherwise with its time."""
    control = CallControl()
    assert control.wait(0) is False
    waiting, told = threading.Event(), []

    def wait() -> None:
        waiting.set()
        told.append(control.wait(30))

    thread = threading.Thread(target=wait)
    thread.start()
    assert waiting.wait(5)
    control.stop_retrying()
    thread.join(5)
    assert told == [True]
    assert control.wait(30) is True
