"""How long the thread that runs a batch may leave the ends of requests alone.

When it wakes for each of them, it and a provider's worker thread take the interpreter lock from each other all the time, which
costs more than the work. There are more requests in the queues than can be in flight, so there is time.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from llm_sync.batch.lane import Lane

_MAX_S = 0.005
_MIN_S = 0.0002  # a shorter pause is not worth its cost


class EndsPause:
    """Knows how often requests end. One thread at a time."""

    def __init__(self) -> None:
        self._counted_at = time.monotonic()
        self._between = 0.0  # seconds from one end to the next, lately

    def count(self, ends: int) -> None:
        """So many requests were processed since the last time."""
        now = time.monotonic()
        if ends:
            self._between = (now - self._counted_at) / ends
            self._counted_at = now

    def seconds(self, lanes: Iterable[Lane], waiting: int) -> float:
        """How long to wait now. ``waiting``: ends that are known already. Half of what is queued may be begun meanwhile."""
        queued = min((lane.queued_ahead for lane in lanes if lane.next is not None or lane.queued_ahead > 0), default=0)
        seconds = min(_MAX_S, self._between * (queued / 2 - waiting))
        return seconds if seconds >= _MIN_S else 0.0
