"""A small file for each running command, and for each client that asks for one: what it is, and how its providers do.

The file is locked for as long as its process lives. That, not the process's number, tells the living from the dead.
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

INTERVAL_S = 1.0  # one write in this time, at most …
SETTLE_S = 0.05  # … and this long after what it tells of: of several steps in a row, the last one is worth telling
FADING_S = 5.0  # how often requests per minute are written while they fall, and nothing else happens
FOLDER, SUFFIX = "running", ".json"

_LONGEST_NAME = 100  # characters of a program's name

_log = logger("machine")
_command: list[str] = []  # what this process calls itself, where it does


class Provider(Protocol):
    """How one provider does: dispatch's ProviderStatus."""

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
    def requests_per_minute(self) -> int: ...  # noqa: D102


class Client(Protocol):
    """What is told of: an LLMClient."""

    def status(self) -> Mapping[str, Provider]:
        """How each provider does."""

    def add_listener(self, listener: Listener) -> None:
        """Tell every event from now on."""


def call_process(command: str) -> None:
    """This process is ``command``, as its status files say from now on; one that says nothing is named after its program."""
    _command[:] = [command]


def publish_command(command: str) -> StatusFile:
    """Keep a status file of this process, which is ``command`` and has no client, until its ``end()``."""
    call_process(command)
    return StatusFile(dict)


class StatusFile:
    """One file, there from the start on, kept up to date by a daemon thread that starts with the first request.

    No trouble with it costs a request anything: it is logged once, as a warning where a program asked for the file, for
    debugging where a command has it anyway. A forked child has a file of its own from its first request on. Any thread may
    call its methods.
    """

    def __init__(self, status: Callable[[], Mapping[str, Provider] | None]) -> None:
        self._status = status
        self._ended = False
        self._start_afresh()
        self._write()

    def _start_afresh(self) -> None:
        self._process = os.getpid()
        self._name = f"{self._process}-{os.urandom(4).hex()}{SUFFIX}"
        self._started = _now()
        # Guards _file and _last. Held while the file is written or removed: nobody waits for it but those who end it.
        # Re-entrant: the garbage collector may end a client meanwhile.
        self._lock = threading.RLock()
        self._file: FileLock | None = None
        self._last: object = None
        self._complained = False
        self._waits: dict[int, tuple[str, str]] = {}  # by request: provider, and what it waits for
        # SimpleQueues in place of Events: written in C, they take no lock that an interrupt or the garbage collector
        # could leave taken, so that telling them costs no request more than an instant.
        self._told = False  # whether something is in _bell
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._over: SimpleQueue[None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def heard(self, event: Event) -> None:
        """Something happened; the file will tell within INTERVAL_S."""
        if isinstance(event, Waiting):
            self._waits[event.key] = (event.provider, event.reason)
        elif isinstance(event, (AttemptStarted, Finished)):
            self._waits.pop(event.key, None)
        if not self._told:
            self._told = True
            self._bell.put(None)
        # Only workers start it, which Ctrl-C does not interrupt; every request comes to one.
        if self._thread is None and threading.current_thread() is not threading.main_thread():
            self._start()

    def end(self) -> None:
        """Remove the file, for good; may be repeated. Does nothing for a parent's file in a forked child."""
        self._ended = True
        self._bell.put(None)
        self._over.put(None)
        if self._process == os.getpid():
            with self._lock:
                if self._file is not None:
                    self._file.release(remove=True)
                    self._file = None

    def reset_after_fork(self) -> None:
        """In the child: a file of its own, once there is something to tell. The parent's is closed with its lock."""
        if self._process != os.getpid():
            self._start_afresh()

    def _start(self) -> None:
        with self._lock:
            if self._thread is not None or self._ended:
                return
            self._thread = threading.Thread(target=self._keep, name="llm-sync-status", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:  # no thread to be had
            self._complain(error)

    def _keep(self) -> None:
        fading = False
        while not self._ended:
            with contextlib.suppress(Empty):
                self._bell.get(timeout=FADING_S if fading else None)
            with contextlib.suppress(Empty):
                self._over.get(timeout=SETTLE_S)
            self._told = False  # before the look: what happens during it rings again
            fading = self._write()
            with contextlib.suppress(Empty):
                self._over.get(timeout=INTERVAL_S)

    def _write(self) -> bool:
        """Put the file there, or its next state in its place; whether that will change though nothing happens."""
        try:
            status = self._status()
            if status is None:
                return False
            providers = self._told_of(status)
            with self._lock:
                if not self._ended and self._process == os.getpid() and providers != self._last:
                    self._put(
                        {"pid": self._process, "command": _own_name(), "started": self._started, "updated": _now()}, providers
                    )
                    self._last = providers
            return any(told["requests_per_minute"] for told in providers.values())
        except Exception as error:  # noqa: BLE001  (whatever it is: no request fails for it)
            self._complain(error)
            return False

    def _put(self, head: dict[str, Any], providers: dict[str, Any]) -> None:
        folder = private_folder(os.path.join(runtime_folder(), FOLDER))
        content = json.dumps({**head, "providers": providers}).encode()
        beside = locks.create(os.path.join(folder, f".{self._name}"))
        try:
            beside.write(content)
            beside.rename(os.path.join(folder, self._name))
        except BaseException:
            beside.release(remove=True)
            raise
        former, self._file = self._file, beside
        if former is not None:
            former.release()

    def _told_of(self, status: Mapping[str, Provider]) -> dict[str, dict[str, Any]]:
        waits = Counter(self._waits.copy().values())
        return {name: _told(provider, name, waits) for name, provider in status.items() if _used(provider)}

    def _complain(self, error: BaseException) -> None:
        if not self._complained:
            self._complained = True
            _log.log(logging.DEBUG if _command else logging.WARNING, "'llm-sync status' cannot show this process: %s", error)


def publish(client: Client) -> StatusFile:
    """Keep a status file of ``client`` until its ``end()``, the client's own or the process's; it keeps neither alive."""
    living = weakref.ref(client)

    def status() -> Mapping[str, Provider] | None:
        found = living()
        return None if found is None else found.status()

    file = StatusFile(status)
    client.add_listener(file.heard)
    weakref.finalize(client, file.end)
    return file


def _used(provider: Provider) -> bool:
    return bool(provider.queued or provider.in_flight or provider.done or provider.failed or provider.retries)


def _told(provider: Provider, name: str, waits: Mapping[tuple[str, str], int]) -> dict[str, Any]:
    until = provider.cooling_down_until
    return {
        "queued": provider.queued,
        "in_flight": provider.in_flight,
        "oldest_in_flight_since": _now(-round(provider.oldest_in_flight_s)) if provider.oldest_in_flight_s is not None else None,
        "waiting": {reason: count for (whose, reason), count in waits.items() if whose == name},
        "done": provider.done,
        "failed": dict(provider.failed),
        "retries": provider.retries,
        "cooling_down_until": None if until is None else until.isoformat(timespec="seconds"),
        "requests_per_minute": provider.requests_per_minute,
    }


def _now(seconds: float = 0) -> str:
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).isoformat(timespec="seconds")


def _own_name() -> str:
    """What this process is: the name it gave itself, or its program's; arguments may hold what nobody should see."""
    if _command:
        return _command[0]
    path = sys.argv[0] if sys.argv else ""
    name = os.path.basename(path)
    if name == "__main__.py":
        name = f"python -m {os.path.basename(os.path.dirname(path))}"
    elif name in ("", "-", "-c", "-m"):
        name = f"python {name}".strip()
    return "".join(character if character.isprintable() else "?" for character in name[:_LONGEST_NAME])
