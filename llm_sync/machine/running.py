"""The running commands and clients of this user, read from their status files; files of dead processes are removed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from llm_sync.events import logger
from llm_sync.machine import locks, process_numbers
from llm_sync.machine.folder import private_folder, runtime_folder
from llm_sync.machine.process_numbers import foreign_namespace, parse_pid
from llm_sync.machine.semaphore_holders import FILE_ERRORS
from llm_sync.machine.status import FOLDER, SUFFIX

MAX_FILE_BYTES = 2**20  # enough for a thousand providers
_STALE_TEMPORARY_S = 60.0  # a file that is not renamed into place by then never will be

_log = logger("machine")


@dataclass(frozen=True)
class RunningProvider:
    """One provider of one process. Times are aware UTC; ``waiting``: requests in flight that wait, counted by reason."""

    queued: int = 0
    in_flight: int = 0
    oldest_in_flight_since: datetime | None = None
    waiting: Mapping[str, int] = field(default_factory=dict)
    done: int = 0
    failed: Mapping[str, int] = field(default_factory=dict)
    retries: int = 0
    cached: int = 0
    cooling_down_until: datetime | None = None
    requests_per_minute: int = 0
    breaker_open_until: datetime | None = None
    concurrency: int | None = None


@dataclass(frozen=True)
class RunningWorker:
    """A worker of a batch's engine. ``state``: "working", "ended" or "lost"; ``rate``: attempts a second; ``lost``: attempts."""

    name: str
    host: str
    in_flight: int
    done: int
    lost: int
    rate: float
    state: str


@dataclass(frozen=True)
class RunningWork:
    """What a process works on, such as a batch: its file, its requests in all and done, how long it may take, its workers."""

    file: str
    total: int
    done: int
    seconds_left: float | None = None
    workers: tuple[RunningWorker, ...] = ()


@dataclass(frozen=True)
class RunningProcess:
    """One command or client as of ``updated``; its file is rewritten only when something changes.

    ``namespace``: the pid namespace of another container, to which its process number belongs; None for this one.
    """

    pid: int
    command: str
    started: datetime
    updated: datetime
    providers: Mapping[str, RunningProvider]
    namespace: str | None = None
    work: RunningWork | None = None

    @property
    def stopped(self) -> bool:
        """Whether it is stopped (Ctrl-Z). False in another container."""
        return self.namespace is None and process_numbers.is_stopped(self.pid)


def running_processes() -> list[RunningProcess]:
    """All running ones, oldest first; files of dead processes are removed. Raises ConfigurationError and OSError."""
    folder = private_folder(os.path.join(runtime_folder(), FOLDER))
    processes = [_read_file(os.path.join(folder, name)) for name in os.listdir(folder) if name.endswith(SUFFIX)]
    return sorted((each for each in processes if each is not None), key=lambda each: (each.started, each.pid))


def _read_file(path: str) -> RunningProcess | None:
    """None for a dead process's file, one not yet in place, or an unreadable one."""
    try:
        if os.path.basename(path).startswith("."):
            if time.time() - os.lstat(path).st_mtime > _STALE_TEMPORARY_S:
                locks.owner_is_alive(path)
            return None
        if not locks.owner_is_alive(path):
            return None
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            return _parse_process(json.loads(file.read(MAX_FILE_BYTES)))
    except FileNotFoundError:  # it has just ended
        return None
    except FILE_ERRORS as error:
        _log.debug("%s is not a status file: %s", path, error)
        return None


def _parse_process(data: Any) -> RunningProcess:
    """Raises ValueError, TypeError, KeyError, AttributeError or OverflowError for anything else."""
    return RunningProcess(
        pid=parse_pid(data["pid"]),
        command=str(data["command"]),
        started=_parse_time(data["started"]),
        updated=_parse_time(data["updated"]),
        providers={str(name): _parse_provider(each) for name, each in data["providers"].items()},
        namespace=foreign_namespace(data.get("pid_namespace")),
        work=_parse_work(data.get("work")),
    )


def _parse_provider(data: Any) -> RunningProvider:
    return RunningProvider(
        queued=int(data["queued"]),
        in_flight=int(data["in_flight"]),
        oldest_in_flight_since=_parse_optional_time(data["oldest_in_flight_since"]),
        waiting=_parse_counts(data["waiting"]),
        done=int(data["done"]),
        failed=_parse_counts(data["failed"]),
        retries=int(data["retries"]),
        cached=int(data.get("cached", 0)),
        cooling_down_until=_parse_optional_time(data["cooling_down_until"]),
        breaker_open_until=_parse_optional_time(data.get("breaker_open_until")),
        requests_per_minute=int(data["requests_per_minute"]),
        concurrency=None if data.get("concurrency") is None else int(data["concurrency"]),
    )


def _parse_work(data: Any) -> RunningWork | None:
    if data is None:
        return None
    left = data["seconds_left"]
    workers = tuple(_parse_worker(each) for each in data.get("workers", ()))
    return RunningWork(str(data["file"]), int(data["total"]), int(data["done"]), None if left is None else float(left), workers)


def _parse_worker(data: Any) -> RunningWorker:
    in_flight, done, lost = (int(data[name]) for name in ("in_flight", "done", "lost"))
    return RunningWorker(str(data["name"]), str(data["host"]), in_flight, done, lost, float(data["rate"]), str(data["state"]))


def _parse_counts(data: Any) -> dict[str, int]:
    return {str(name): int(count) for name, count in data.items()}


def _parse_time(text: Any) -> datetime:
    parsed = datetime.fromisoformat(text)
    if parsed.tzinfo is None:
        raise ValueError("a time without a time zone")
    return parsed


def _parse_optional_time(text: Any) -> datetime | None:
    return None if text is None else _parse_time(text)
