"""Which process a reservation belongs to, and whether it is still there."""

from __future__ import annotations

import os

from llm_sync.machine.process_numbers import pid_namespace
from llm_sync.spending.trusted_time import boot_id


def own_identity() -> str:
    """This process: its number, when it started, its boot, and its namespace of process numbers."""
    pid = os.getpid()
    return " ".join((str(pid), _started(pid) or "-", boot_id() or "-", pid_namespace() or "-"))


def is_gone(identity: str) -> bool:
    """Whether that process has certainly ended; False where nobody can tell."""
    parts = identity.split(" ")
    if len(parts) != 4 or not parts[0].isdecimal():
        return False
    pid, started, boot, namespace = int(parts[0]), *parts[1:]
    if boot != (boot_id() or "-"):
        return True
    if namespace != (pid_namespace() or "-"):  # of another container: its numbers mean nothing here
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    now = _started(pid)
    return now is not None and started not in ("-", now)


def _started(pid: int) -> str | None:
    """When a process started, in ticks since the boot; None where the system does not tell, or it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None
