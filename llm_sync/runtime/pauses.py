"""Pauses of the whole process: Ctrl-Z, ``docker pause``, a frozen virtual machine.

A stopped process gets no notice of it. It can find out afterwards: a wait that was due to end at a certain time ends much
later. Waits report that here, so that time limits need not count time in which nothing could be read or sent.
"""

from __future__ import annotations

from collections import deque

from llm_sync.runtime.clock import now as monotonic

MIN_PAUSE_S = 0.5  # seconds; a shorter delay only means a busy machine
MIN_SLICE_S, MAX_SLICE_S = 0.05, 1.0  # limits of one slice of a wait, in seconds
_MAX_PAUSES = 1000  # remembered

_pauses: deque[tuple[float, float]] = deque(maxlen=_MAX_PAUSES)  # start and end, monotonic; append is atomic: no lock


def check(due: float) -> float:
    """Call this when a wait ends that was due to end at monotonic ``due``; returns the seconds of a pause, or 0.

    They count from ``due``, because it is unknown when in the wait the pause began. So short waits notice more of it.
    """
    now = monotonic()
    if now - due <= MIN_PAUSE_S:
        return 0.0
    _pauses.append((due, now))
    return now - due


def slice_of(left: float) -> float:
    """The next slice of a wait of ``left`` seconds: short enough to lose little of it to a pause that happens in it."""
    return min(left, max(left / 8, MIN_SLICE_S), MAX_SLICE_S)


def seconds_between(start: float, end: float) -> float:
    """The seconds of all pauses between two monotonic times; a pause that several threads reported counts once."""
    total, counted_to = 0.0, start
    for pause_start, pause_end in sorted(_pauses):
        begin, stop = max(pause_start, counted_to), min(pause_end, end)
        if stop > begin:
            total += stop - begin
            counted_to = stop
    return total
