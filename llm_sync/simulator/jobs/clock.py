"""Simulated time: it starts as the time of day and runs faster, so that a job of hours ends within seconds."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timezone


class SimulatedClock:
    """``speed``: simulated seconds per second; 0 stops the time, which then only ``advance`` moves. Thread-safe."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self._lock = threading.Lock()  # guards _skipped
        self._skipped = 0.0
        self._started_at, self._started = time.time(), time.monotonic()

    def now(self) -> float:
        """The simulated Unix time."""
        with self._lock:
            return self._started_at + self._skipped + (time.monotonic() - self._started) * self.speed

    def advance(self, seconds: float) -> None:
        """Skips some simulated seconds. ValueError for a negative number: time never runs backwards."""
        if not seconds >= 0:
            raise ValueError(f"the time cannot be advanced by {seconds} s; it never runs backwards")
        with self._lock:
            self._skipped += seconds

    def real_seconds(self, simulated: float) -> float | None:
        """How long some simulated seconds take; None while the time stands still."""
        return simulated / self.speed if self.speed else None


def timestamp(seconds: float) -> str:
    """A Unix time in RFC 3339, with microseconds, as Google and Anthropic write it."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
