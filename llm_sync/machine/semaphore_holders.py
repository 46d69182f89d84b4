"""Which processes hold or wait for the slots of a provider's semaphore: for log messages and ``llm-sync status``.

A process that locks a slot or a ticket writes its process ID and the provider's name into the file. Only people read that; the
locks decide.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime, timezone

from llm_sync.machine import locks, process_numbers
from llm_sync.machine.folder import PROVIDERS, private_folder, runtime_folder
from llm_sync.machine.process_numbers import foreign_namespace, parse_pid, pid_namespace

SLOT, TICKET = "slot-", "ticket-"  # prefixes of the file names
MAX_FILE_BYTES = 4096
# What reading a file raises that another program, or another version of this one, wrote; deep nesting is a RecursionError.
FILE_ERRORS = (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)


@dataclass(frozen=True)
class Holder:
    """A process that holds a slot or a ticket of ``provider`` (as its own configuration names it). ``since`` is aware UTC.

    ``namespace``: the pid namespace of another container, to which its process number belongs; None for this one.
    """

    pid: int
    provider: str
    since: datetime
    namespace: str | None = None

    @property
    def stopped(self) -> bool:
        """Whether it is stopped (Ctrl-Z): it keeps what it holds until continued or ended. False in another container."""
        return self.namespace is None and process_numbers.is_stopped(self.pid)


def owner_record(provider: str) -> bytes:
    """What this process writes into a file that it has locked."""
    return json.dumps({"pid": os.getpid(), "provider": provider, "pid_namespace": pid_namespace()}).encode()


def read_holder(path: str) -> Holder | None:
    """The process that has locked ``path``; None if none has, or the file is unreadable."""
    try:
        if not locks.is_locked(path):
            return None
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            record = json.loads(file.read(MAX_FILE_BYTES))
            since = datetime.fromtimestamp(os.fstat(descriptor).st_mtime, timezone.utc)
        namespace = foreign_namespace(record.get("pid_namespace"))
        if not isinstance(record["provider"], str):
            return None
        return Holder(parse_pid(record["pid"]), record["provider"], since, namespace)
    except FILE_ERRORS:  # just released, or not written by this program
        return None


def holders_in(folder: str, prefix: str) -> list[Holder]:
    """The holders of the files in ``folder`` whose names begin with ``prefix``."""
    try:
        names = sorted(name for name in os.listdir(folder) if name.startswith(prefix))
    except OSError:
        return []
    holders = (read_holder(os.path.join(folder, name)) for name in names)
    return [holder for holder in holders if holder is not None]


def count_locked(folder: str, prefix: str) -> int:
    """How many of the files in ``folder`` whose names begin with ``prefix`` are locked. Raises OSError."""
    paths = [os.path.join(folder, name) for name in os.listdir(folder) if name.startswith(prefix)]
    return sum(locks.is_locked(path) for path in paths)


def slot_holders() -> list[Holder]:
    """The holders of all slots that processes of this user hold on this machine. Raises ConfigurationError."""
    folder = os.path.join(private_folder(runtime_folder()), PROVIDERS)
    try:
        providers = sorted(os.listdir(folder))
    except OSError:  # no slot was ever requested
        return []
    return [holder for provider in providers for holder in holders_in(os.path.join(folder, provider), SLOT)]
