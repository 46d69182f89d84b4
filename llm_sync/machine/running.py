"""Who is running: the status files of the living, read; those of the dead, removed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from llm_sync.events import logger
from llm_sync.machine import locks
from llm_sync.machine.folder import private_folder, runtime_folder
from llm_sync.machine.status import FOLDER, SUFFIX

_LARGEST = 2**20  # bytes; a thousand providers fit in
_HALF_WRITTEN_S = 60.0  # what is still not in its place after this long never will be

_log = logger("machine")


@dataclass(frozen=True)
class RunningProvider:
    """One provider of one process. Times are aware UTC; ``waiting``: how many of those in flight wait, by what they wait for."""

    queued: int = 0
    in_flight: int = 0
    oldest_in_flight_since: datetime | None = None
    waiting: Mapping[str, int] = field(default_factory=dict)
    done: int = 0
    failed: Mapping[str, int] = field(default_factory=dict)
    retries: int = 0
    cooling_down_until: datetime | None = None
    requests_per_minute: int = 0


@dataclass(frozen=True)
class Running:
    """One command or client, as it last told of itself at ``updated``; it says nothing while nothing changes."""

    pid: int
    command: str
    started: datetime
    updated: datetime
    providers: Mapping[str, RunningProvider]


def running() -> list[Running]:
    """All that run, oldest first; what dead ones left is removed. Raises ConfigurationError, and OSError."""
    folder = private_folder(os.path.join(runtime_folder(), FOLDER))
    found = [_look(os.path.join(folder, name)) for name in os.listdir(folder) if name.endswith(SUFFIX)]
    return sorted((each for each in found if each is not None), key=lambda each: (each.started, each.pid))


def _look(path: str) -> Running | None:
    """None for what is dead or in the making, or cannot be made out."""
    try:
        if os.path.basename(path).startswith("."):
            if time.time() - os.lstat(path).st_mtime > _HALF_WRITTEN_S:
                locks.lives(path)
            return None
        if not locks.lives(path):
            return None
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            return _read(json.loads(file.read(_LARGEST)))
    except FileNotFoundError:  # it has just ended
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        _log.debug("%s is not a status file: %s", path, error)
        return None


def _read(told: Any) -> Running:
    """Raises what reading something else raises."""
    return Running(
        pid=int(told["pid"]),
        command=str(told["command"]),
        started=_time(told["started"]),
        updated=_time(told["updated"]),
        providers={str(name): _provider(each) for name, each in told["providers"].items()},
    )


def _provider(told: Any) -> RunningProvider:
    return RunningProvider(
        queued=int(told["queued"]),
        in_flight=int(told["in_flight"]),
        oldest_in_flight_since=_time_or_none(told["oldest_in_flight_since"]),
        waiting=_counts(told["waiting"]),
        done=int(told["done"]),
        failed=_counts(told["failed"]),
        retries=int(told["retries"]),
        cooling_down_until=_time_or_none(told["cooling_down_until"]),
        requests_per_minute=int(told["requests_per_minute"]),
    )


def _counts(told: Any) -> dict[str, int]:
    return {str(name): int(count) for name, count in told.items()}


def _time(told: Any) -> datetime:
    found = datetime.fromisoformat(told)
    if found.tzinfo is None:
        raise ValueError("a time without its zone")
    return found


def _time_or_none(told: Any) -> datetime | None:
    return None if told is None else _time(told)
