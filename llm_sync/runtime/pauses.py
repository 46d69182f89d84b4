"""Pauses of the whole process: Ctrl-Z, ``docker pause``, a frozen virtual machine.

A process is not told that it was stopped. It can notice afterwards: a wait that was due to end at a certain time ends much
later. Waits report that here, so that time limits need not count time in which nothing could be read or sent.
"""

from __future__ import annotations

from collections import deque

from llm_sync.runtime.clock import now as monotonic

MIN_PAUSE_S = 0.5  # shorter delays are a busy machine
_MAX_PAUSES = 1000  # remembered

_pauses: deque[tuple[float, float]] = deque(maxlen=_MAX_PAUSES)  # start and end, monotonic; append is atomic: no lock


def check(due: float, started: float | None = None) -> float:
    """Call this when a wait ends that was due to end at monotonic ``due``; returns the seconds of a pause, or 0.

    When in the wait the pause began is unknown: it counts from ``started`` if given, else from ``due``.
    """
    now = monotonic()
    if now - due <= MIN_PAUSE_S:
        return 0.0
    start = due if started is None else started
    _pauses.append((start, now))
    return now - start


def seconds_between(start: float, end: float) -> float:
    """The seconds of all pauses between two monotonic times; a pause that several threads reported counts once."""
    total, counted_to = 0.0, start
    for pause_start, pause_end in sorted(_pauses):
        begin, stop = max(pause_start, counted_to), min(pause_end, end)
        if stop > begin:
            total += stop - begin
            counted_to = stop
    return total
