"""The time that budgets go by: the clock at the first use after a boot, and from then on the machine's running time.

A clock that is set a day forward or back opens no window again: while the machine runs, the ledger's time goes on with it, and
after a boot it never goes back behind the latest time that the ledger has seen. Only a boot, or ``llm-sync spend --accept``,
takes a new reading of the clock.
"""

from __future__ import annotations

import subprocess
import time
from functools import lru_cache
from typing import NamedTuple


class Reading(NamedTuple):
    """``wall``: seconds since 1970 by the clock. ``uptime``: seconds since the boot, sleep included. ``boot``: which boot."""

    wall: float
    uptime: float
    boot: str


class Reference(NamedTuple):
    """What the ledger has stored: at ``uptime`` of ``boot`` it was ``at``; ``latest``: the latest time it has given."""

    boot: str
    uptime: float
    at: float
    latest: float


def read_clock() -> Reading:
    """The clocks, now."""
    counter = getattr(time, "CLOCK_BOOTTIME", None) or getattr(time, "CLOCK_MONOTONIC", None)
    uptime = time.monotonic() if counter is None else time.clock_gettime(counter)
    return Reading(time.time(), uptime, boot_id())


def trusted_time(reading: Reading, stored: Reference | None) -> tuple[float, Reference]:
    """The time by the ledger, and the reference to be stored."""
    if stored is None:
        return reading.wall, Reference(reading.boot, reading.uptime, reading.wall, reading.wall)
    if stored.boot == reading.boot and reading.uptime >= stored.uptime:
        now = max(stored.latest, stored.at + (reading.uptime - stored.uptime))
        return now, stored._replace(latest=now)
    now = max(stored.latest, reading.wall)
    return now, Reference(reading.boot, reading.uptime, now, now)


@lru_cache(maxsize=1)
def boot_id() -> str:
    """A text that every boot changes; empty where the system tells none."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        pass
    try:  # macOS
        command = ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"]
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ""
