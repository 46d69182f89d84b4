"""Pauses of the process: noticed by waits that end too late, counted once, whichever threads notice them."""

from __future__ import annotations

from collections import deque

import pytest

from llm_sync.runtime import pauses
from llm_sync.runtime.cancellation import CallControl


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock, in a list; no pause is remembered from before."""
    clock = [100.0]
    monkeypatch.setattr(pauses, "monotonic", lambda: clock[0])
    monkeypatch.setattr(pauses, "_pauses", deque(maxlen=3))
    return clock


@pytest.mark.parametrize(("due", "paused"), [(100.0, 0), (105.0, 0), (99.6, 0), (99.0, 1.0), (40.0, 60.0)])
def test_a_wait_that_ends_much_too_late_is_a_pause(due: float, paused: float) -> None:
    """A little late is a busy machine, early is a wait that was cut short."""
    assert pauses.check(due) == paused
    assert pauses.seconds_between(0, 1000) == paused


def test_threads_that_notice_the_same_pause_count_it_once(now: list[float]) -> None:
    """Each saw another part of it, depending on when its wait was due."""
    for due in (70.0, 80.0, 75.0):
        pauses.check(due)
    assert pauses.seconds_between(0, 1000) == 30
    assert pauses.seconds_between(90, 1000) == 10
    assert pauses.seconds_between(0, 85) == 15
    assert pauses.seconds_between(100, 1000) == 0
    now[0] = 200.0
    pauses.check(190.0)  # a later one; the first is forgotten, as only three are remembered here
    assert pauses.seconds_between(85, 1000) == 25


def test_a_wait_of_a_request_reports_a_pause(monkeypatch: pytest.MonkeyPatch, now: list[float]) -> None:
    """Whatever it waits for: a retry, a cool-down, the pace."""
    monkeypatch.setattr("llm_sync.runtime.clock.now", lambda: now[0])
    monkeypatch.setattr("llm_sync.runtime.interrupts.Flag.wait", lambda flag, seconds: now.__setitem__(0, now[0] + seconds + 50))
    CallControl().wait(5)
    assert pauses.seconds_between(0, 1000) == 50
