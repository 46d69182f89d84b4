"""Status files: one for each running command, and for each client that asks for one, with the state of its providers.

The file is locked while its process lives. The lock, not the process number, tells the living from the dead.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from llm_sync.events import AttemptStarted, Event, Finished, Listener, Waiting, logger
from llm_sync.machine import locks
from llm_sync.machine.folder import private_folder, runtime_folder
from llm_sync.machine.locks import FileLock
from llm_sync.machine.process_numbers import pid_namespace

INTERVAL_S = 1.0  # at most one write per interval …
SETTLE_S = 0.05  # … and this long after an event: of several in a row, the state after the last one is written
RATE_REFRESH_S = 5.0  # how often falling requests per minute are written while nothing else happens
FOLDER, SUFFIX = "running", ".json"

MAX_NAME_LENGTH = 100  # characters of a program's name

_log = logger("machine")
_command: list[str] = []  # the name of this process, if it was set
_work: list[Callable[[], Mapping[str, Any] | None]] = []  # describes what this process works on, if it was set


class Provider(Protocol):
    """The state of one provider: dispatch's ProviderStatus."""

    @property
    def queued(self) -> int: ...  # noqa: D102
    @property
    def in_flight(self) -> int: ...  # noqa: D102
    @property
    def oldest_in_flight_s(self) -> float | None: ...  # noqa: D102
    @property
    def done(self) -> int: ...  # noqa: D102
    @property
    def failed(self) -> Mapping[str, int]: ...  # noqa: D102
    @property
    def retries(self) -> int: ...  # noqa: D102
    @property
    def cooling_down_until(self) -> datetime | None: ...  # noqa: D102
    @property
    def breaker_open_until(self) -> datetime | None: ...  # noqa: D102
    @property
    def requests_per_minute(self) -> int: ...  # noqa: D102
    @property
    def concurrency(self) -> int | None: ...  # noqa: D102


class Client(Protocol):
    """An LLMClient."""

    def status(self) -> Mapping[str, Provider]:
        """The state of each provider, by name."""

    def add_listener(self, listener: Listener) -> None:
        """Call ``listener`` with every event from now on."""


def set_process_name(command: str) -> None:
    """Write ``command`` as the name of this process into status files from now on; the default is the program's name."""
    _command[:] = [command]


def set_work(describe: Callable[[], Mapping[str, Any] | None]) -> None:
    """Write into status files what this process works on: ``file``, ``total``, ``done`` and ``seconds_left``, JSON-ready.

    ``describe`` is called on a thread of its own, about once a second while requests are sent.
    """
    _work[:] = [describe]


def publish_command(command: str) -> StatusFile:
    """Keep a status file of this process, named ``command`` and without a client, until ``close()`` is called on it."""
    set_process_name(command)
    return StatusFile(dict)


class StatusFile:
    """One status file, written at once, then kept up to date by a daemon thread that starts with the first request.

    A failure to write it affects no request. It is logged once: as a warning if a program asked for the file, at debug
    level for a command, which always has one. A forked child gets a file of its own with its first request. Any thread may
    call its methods.
    """

    def __init__(self, status: Callable[[], Mapping[str, Provider] | None]) -> None:
        self._status = status
        self._closed = False
        self._reset()
        self._write()

    def _reset(self) -> None:
        self._process = os.getpid()
        self._name = f"{self._process}-{os.urandom(4).hex()}{SUFFIX}"
        self._started = _now()
        # Guards _file and _last_written. Held while the file is written or removed: no request waits for it.
        # Re-entrant: the garbage collector may close a client meanwhile.
        self._lock = threading.RLock()
        self._file: FileLock | None = None
        self._last_written: object = None
        self._failure_logged = False
        self._waits: dict[int, tuple[str, str]] = {}  # by request key: provider, and what it waits for
        # SimpleQueues instead of Events: written in C, they have no lock that an interrupt or the garbage collector could
        # leave taken, so that waking the thread never blocks a request.
        self._woken = False  # whether _wake has an item
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._closing: SimpleQueue[None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def on_event(self, event: Event) -> None:
        """Have the file rewritten within INTERVAL_S. Never blocks."""
        if isinstance(event, Waiting):
            self._waits[event.key] = (event.provider, event.reason)
        elif isinstance(event, (AttemptStarted, Finished)):
            self._waits.pop(event.key, None)
        if not self._woken:
            self._woken = True
            self._wake.put(None)
        # Started by workers only, which Ctrl-C does not interrupt; every request reaches one.
        if self._thread is None and threading.current_thread() is not threading.main_thread():
            self._start()

    def close(self) -> None:
        """Remove the file for good; may be repeated. In a forked child the parent's file is left alone."""
        self._closed = True
        self._wake.put(None)
        self._closing.put(None)
        if self._process == os.getpid():
            with self._lock:
                if self._file is not None:
                    self._file.release(remove=True)
                    self._file = None

    def reset_after_fork(self) -> None:
        """In a forked child: start a new file with the next event. The parent's file stays its own."""
        if self._process != os.getpid():
            self._reset()

    def _start(self) -> None:
        with self._lock:
            if self._thread is not None or self._closed:
                return
            self._thread = threading.Thread(target=self._run, name="llm-sync-status", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:  # no thread can be started
            self._log_failure(error)

    def _run(self) -> None:
        rate_falls = False
        while not self._closed:
            with contextlib.suppress(Empty):
                self._wake.get(timeout=RATE_REFRESH_S if rate_falls else None)
            with contextlib.suppress(Empty):
                self._closing.get(timeout=SETTLE_S)
            self._woken = False  # before the state is read: an event meanwhile wakes again
            rate_falls = self._write()
            with contextlib.suppress(Empty):
                self._closing.get(timeout=INTERVAL_S)

    def _write(self) -> bool:
        """Write the file if its content changed; True if it will change without an event (requests per minute fall)."""
        try:
            status = self._status()
            if status is None:
                return False
            providers = self._snapshot(status)
            work = _work[0]() if _work else None
            with self._lock:
                if not self._closed and self._process == os.getpid() and (providers, work) != self._last_written:
                    self._replace_file(
                        {
                            "pid": self._process,
                            "pid_namespace": pid_namespace(),
                            "command": _process_name(),
                            "started": self._started,
                            "updated": _now(),
                            **({} if work is None else {"work": work}),
                        },
                        providers,
                    )
                    self._last_written = (providers, work)
            return any(state["requests_per_minute"] for state in providers.values())
        except Exception as error:  # noqa: BLE001  (no request may fail because of it)
            self._log_failure(error)
            return False

    def _replace_file(self, head: dict[str, Any], providers: dict[str, Any]) -> None:
        folder = private_folder(os.path.join(runtime_folder(), FOLDER))
        content = json.dumps({**head, "providers": providers}).encode()
        new_file = locks.create(os.path.join(folder, f".{self._name}"))
        try:
            new_file.write(content)
            new_file.rename(os.path.join(folder, self._name))
        except BaseException:
            new_file.release(remove=True)
            raise
        old_file, self._file = self._file, new_file
        if old_file is not None:
            old_file.release()

    def _snapshot(self, status: Mapping[str, Provider]) -> dict[str, dict[str, Any]]:
        waits = Counter(self._waits.copy().values())
        return {name: _provider_state(provider, name, waits) for name, provider in status.items() if _is_used(provider)}

    def _log_failure(self, error: BaseException) -> None:
        if not self._failure_logged:
            self._failure_logged = True
            _log.log(logging.DEBUG if _command else logging.WARNING, "'llm-sync status' cannot show this process: %s", error)


def publish(client: Client) -> StatusFile:
    """Keep a status file of ``client`` until ``close()``, the client's end or the process's. Does not keep the client alive."""
    reference = weakref.ref(client)

    def status() -> Mapping[str, Provider] | None:
        existing = reference()
        return None if existing is None else existing.status()

    file = StatusFile(status)
    client.add_listener(file.on_event)
    weakref.finalize(client, file.close)
    return file


def _is_used(provider: Provider) -> bool:
    return bool(provider.queued or provider.in_flight or provider.done or provider.failed or provider.retries)


def _provider_state(provider: Provider, name: str, waits: Mapping[tuple[str, str], int]) -> dict[str, Any]:
    until, breaker = provider.cooling_down_until, provider.breaker_open_until
    return {
        "queued": provider.queued,
        "in_flight": provider.in_flight,
        "oldest_in_flight_since": _now(-round(provider.oldest_in_flight_s)) if provider.oldest_in_flight_s is not None else None,
        "waiting": {reason: count for (provider_name, reason), count in waits.items() if provider_name == name},
        "done": provider.done,
        "failed": dict(provider.failed),
        "retries": provider.retries,
        "cached": getattr(provider, "cached", 0),
        "cooling_down_until": None if until is None else until.isoformat(timespec="seconds"),
        "requests_per_minute": provider.requests_per_minute,
        "concurrency": getattr(provider, "concurrency", None),
        "breaker_open_until": None if breaker is None else breaker.isoformat(timespec="seconds"),
    }


def _now(seconds: float = 0) -> str:
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).isoformat(timespec="seconds")


def _process_name() -> str:
    """The name that was set, or the program's. Without arguments: they may be secret."""
    if _command:
        return _command[0]
    path = sys.argv[0] if sys.argv else ""
    name = os.path.basename(path)
    if name == "__main__.py":
        name = f"python -m {os.path.basename(os.path.dirname(path))}"
    elif name in ("", "-", "-c", "-m"):
        name = f"python {name}".strip()
    return "".join(character if character.isprintable() else "?" for character in name[:MAX_NAME_LENGTH])
