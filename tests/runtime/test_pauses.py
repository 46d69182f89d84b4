"""Pauses of the process: noticed by waits that end too late, counted once, whichever threads notice them."""

from __future__ import annotations

from collections import deque

import pytest

from llm_sync.runtime import pauses
from llm_sync.runtime.interrupts import Flag


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


@pytest.mark.parametrize("stopped", [0.0, 50.0])
def test_a_wait_reports_a_pause(monkeypatch: pytest.MonkeyPatch, now: list[float], stopped: float) -> None:
    """Whatever a request or its caller waits for: a retry, a cool-down, the pace, an answer."""
    monkeypatch.setattr("llm_sync.runtime.clock.now", lambda: now[0])

    class Lock:
        """A lock on which a wait takes its time, the first one longer."""

        def acquire(self, timeout: float | None = None) -> bool:
            """Let the time pass."""
            now[0] += 0.0 if timeout is None else timeout + (stopped if now[0] == 100 else 0)
            return False

        def release(self) -> None:
            """Nothing."""

    monkeypatch.setattr("llm_sync.runtime.interrupts.threading.Lock", Lock)
    Flag().wait(5)
    assert pauses.seconds_between(0, 1000) == pytest.approx(stopped)


@pytest.mark.parametrize(("left", "part"), [(0.0, 0.0), (0.01, 0.01), (0.2, 0.05), (1.0, 0.125), (6.0, 0.75), (600.0, 1.0)])
def test_slices_are_a_small_part_of_what_is_left(left: float, part: float) -> None:
    """So a pause is noticed nearly whole, however short the time limit is."""
    assert pauses.slice_of(left) == part
