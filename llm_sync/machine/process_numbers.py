"""Process numbers in shared files: which pid namespace they belong to, and whether such a process is stopped.

Containers that share the runtime folder have pid namespaces of their own: process 7 there is not process 7 here.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

MAX_PID = 2**31 - 1
_MAX_STAT_BYTES = 4096


def pid_namespace() -> str | None:
    """This process's pid namespace; None on systems without them."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return None


def parse_pid(value: Any) -> int:
    """A process number read from a file. Raises ValueError, TypeError or OverflowError for anything else."""
    pid = int(value)
    if not 0 < pid <= MAX_PID:
        raise ValueError("not a process number")
    return pid


def foreign_namespace(namespace: Any) -> str | None:
    """``namespace``, read from a file, if it differs from this process's; None if it is the same, or either is unknown."""
    own = pid_namespace()
    return namespace if isinstance(namespace, str) and own is not None and namespace != own else None


def is_stopped(pid: int) -> bool:
    """Whether a process of this namespace is stopped (Ctrl-Z); always False on systems without /proc."""
    with contextlib.suppress(OSError, IndexError), open(f"/proc/{pid}/stat", "rb") as file:
        return file.read(_MAX_STAT_BYTES).rpartition(b")")[2].split()[0] in (b"T", b"t")
    return False
