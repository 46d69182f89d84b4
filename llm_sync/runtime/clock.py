"""The clock for time limits and waits.

Libraries such as freezegun replace ``time.monotonic`` by a clock that stands still. A wait that measured itself with that
clock would never end, so the system clock is read directly where Python offers that.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable

now: Callable[[], float] = time.monotonic
"""Seconds, comparable with ``time.monotonic()``: on Unix both read the same clock."""
if hasattr(time, "clock_gettime"):
    now = functools.partial(time.clock_gettime, time.CLOCK_MONOTONIC)


def clamp_timeout(timeout: float | None) -> float | None:
    """Limit ``timeout`` (seconds; None: no limit) to what threading accepts. Raises ValueError for NaN."""
    if timeout is None:
        return None
    if timeout != timeout:  # noqa: PLR0124  (only NaN)
        raise ValueError("timeout is not a number: give seconds, or None for no limit")
    return min(max(0.0, timeout), threading.TIMEOUT_MAX)
