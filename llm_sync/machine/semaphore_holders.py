"""Who holds the slots, and who stands in line for them: told to those who wait, and by ``llm-sync status``.

Whoever locks a slot or a ticket writes into it who it is. That is for people alone: the lock decides.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from datetime import datetime, timezone

from llm_sync.machine import locks
from llm_sync.machine.folder import PROVIDERS, private_folder, runtime_folder

SLOT, TICKET = "slot-", "ticket-"  # what the files of a line begin with
_LARGEST = 4096  # bytes


@dataclass(frozen=True)
class Holder:
    """A process that holds a slot, or a place in the line, of ``provider`` (its own name for it). ``since`` is aware UTC."""

    pid: int
    provider: str
    since: datetime

    @property
    def stopped(self) -> bool:
        """Whether it is stopped (Ctrl-Z), so that it holds on until it is continued or ended."""
        return is_stopped(self.pid)


def mark(provider: str) -> bytes:
    """What this process writes into a file that it has locked."""
    return json.dumps({"pid": os.getpid(), "provider": provider}).encode()


def read(path: str) -> Holder | None:
    """Who has locked ``path``; None when nobody has, or it cannot be made out."""
    try:
        if not locks.is_locked(path):
            return None
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            told = json.loads(file.read(_LARGEST))
            since = datetime.fromtimestamp(os.fstat(descriptor).st_mtime, timezone.utc)
        return Holder(int(told["pid"]), str(told["provider"]), since)
    except (OSError, ValueError, TypeError, KeyError, OverflowError):  # released just now, or not ours
        return None


def in_line(folder: str, start: str) -> list[Holder]:
    """Those of the files in one line's folder that begin with ``start``."""
    try:
        names = sorted(name for name in os.listdir(folder) if name.startswith(start))
    except OSError:
        return []
    found = (read(os.path.join(folder, name)) for name in names)
    return [holder for holder in found if holder is not None]


def slots() -> list[Holder]:
    """Every slot that is held on this machine by this user's processes. Raises ConfigurationError."""
    folder = os.path.join(private_folder(runtime_folder()), PROVIDERS)
    try:
        lines = sorted(os.listdir(folder))
    except OSError:  # nobody has asked for one yet
        return []
    return [holder for line in lines for holder in in_line(os.path.join(folder, line), SLOT)]


def is_stopped(pid: int) -> bool:
    """Whether a process is stopped; False where the system does not tell (it does on Linux)."""
    with contextlib.suppress(OSError, IndexError), open(f"/proc/{pid}/stat", "rb") as file:
        return file.read(_LARGEST).rpartition(b")")[2].split()[0] in (b"T", b"t")
    return False
