"""Equal requests in flight are asked once: the others, in this process and in other ones, wait for the one that asks.

Threads of one process wait for a Flight. Processes wait for a lock on a file in the user's runtime folder, which the system
releases when its holder dies, however it dies.
"""

from __future__ import annotations

import os
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from llm_sync.errors import ClientClosedError, LLMConnectorError
from llm_sync.events import logger
from llm_sync.machine import locks
from llm_sync.machine.folder import private_folder, runtime_folder
from llm_sync.runtime import clock, fork
from llm_sync.runtime.interrupts import Flag
from llm_sync.runtime.steps import Pause, Steps

if TYPE_CHECKING:
    from llm_sync.runtime.cancellation import CallControl

FOLDER = "asking"
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.005, 0.1  # between two looks at the lock of another process
_CHECKED_S = 5.0  # how long a runtime folder counts as checked

_log = logger("cache")


class Flight:
    """One request that is being asked. ``outcome``: what came of it, once it has ended; None if that is of no use to others."""

    def __init__(self) -> None:
        self.outcome: Any = None
        self._ended = False
        self._waiting: list[Flag] = []  # one for each thread that waits

    def finish(self, outcome: Any) -> None:
        """The request has ended. Wakes all who wait."""
        self.outcome = outcome
        self._ended = True
        for flag in list(self._waiting):
            flag.set()

    def wait(self, control: CallControl, timeout: float) -> bool:
        """Wait for its end; False after ``timeout`` seconds. Raises ClientClosedError if the waiting request is stopped."""
        flag = Flag()
        self._waiting.append(flag)  # before _ended is read: finish sets it before it reads the list
        control.on_stop(flag.set)
        try:
            if not self._ended:
                flag.wait(timeout)
        finally:
            control.on_stop(None)
            self._waiting.remove(flag)
        if not self._ended and control.stopped:
            raise stopped()
        return self._ended


class Flights:
    """The requests of this process that are being asked, by store and key. Any thread may use it."""

    def __init__(self) -> None:
        self._flights: dict[tuple[str, str], Flight] = {}
        fork.watch(self)

    def join(self, store: str, key: str) -> tuple[Flight, bool]:
        """The flight of a key, and whether the caller is the one to ask: then it must call ``leave``."""
        mine = Flight()
        flight = self._flights.setdefault((store, key), mine)  # atomic: one thread gets its own
        return flight, flight is mine

    def leave(self, store: str, key: str, outcome: Any) -> None:
        """The request has ended with ``outcome``."""
        flight = self._flights.pop((store, key), None)
        if flight is not None:
            flight.finish(outcome)

    def reset_after_fork(self) -> None:
        """In a forked child: nobody here asks what threads of the parent ask."""
        self._flights = {}


class AskingLocks:
    """The locks that keep other processes of this user and machine from asking what is being asked, for one store.

    Where there are no file locks, or no runtime folder, ``acquire`` gives None at once: then each process asks.
    """

    def __init__(self, store: str) -> None:
        self._name = blake2b(store.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
        self._folder = ""
        self._checked_at = -_CHECKED_S

    def acquire(self, key: str, control: CallControl, timeout: float) -> Steps[locks.FileLock | None]:
        """In steps: the lock of a key. Waits for its holder, at most ``timeout`` seconds; raises ClientClosedError if stopped.

        None if there can be no lock, or not in time: then the caller asks all the same.
        """
        until, wait = clock.now() + timeout, _FIRST_WAIT_S
        while True:
            try:
                lock = locks.acquire(os.path.join(self._checked_folder(), f"{key}.lock"))
            except FileNotFoundError:
                self._checked_at = -_CHECKED_S  # somebody cleans up: make the folder anew
                lock = None
            except (OSError, LLMConnectorError) as error:
                _log.debug("no lock keeps other processes from asking the same: %s", error)
                return None
            if lock is not None or clock.now() >= until:
                return lock
            yield Pause(wait, control)
            if control.stopped:
                raise stopped()
            wait = min(wait * 1.5, _LONGEST_WAIT_S)

    def _checked_folder(self) -> str:
        now = clock.now()
        if now - self._checked_at >= _CHECKED_S:
            self._folder = private_folder(os.path.join(private_folder(os.path.join(runtime_folder(), FOLDER)), self._name))
            self._checked_at = now
        return self._folder


def stopped() -> ClientClosedError:
    """The request was stopped while it waited for an equal one."""
    return ClientClosedError("the request was stopped while it waited for an equal one that is being asked", attempts=0)


flights = Flights()
