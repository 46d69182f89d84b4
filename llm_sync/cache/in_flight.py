"""Equal requests in flight are asked once: the other threads of this process wait for the one that asks.

Those of other processes wait for a lock (asking_locks).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llm_sync.errors import ClientClosedError
from llm_sync.runtime import fork
from llm_sync.runtime.interrupts import Flag

if TYPE_CHECKING:
    from llm_sync.runtime.cancellation import CallControl


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


def stopped() -> ClientClosedError:
    """The request was stopped while it waited for an equal one."""
    return ClientClosedError("the request was stopped while it waited for an equal one that is being asked", attempts=0)


flights = Flights()
