"""How many requests of all processes together may be with one provider: slots, taken in the order of asking."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from llm_sync.errors import LLMConnectorError
from llm_sync.machine import locks
from llm_sync.machine.folder import VARIABLE, Meeting
from llm_sync.machine.line import Place

POLL_S = 0.02  # how often the first in line looks at several slots, as one flock cannot wait for any of them …
SOON_S = 0.001  # … and how soon the first time; the pause doubles in between


class Stoppable(Protocol):
    """The control of a request that waits."""

    @property
    def stopped(self) -> bool:
        """Whether nothing more is to be sent."""

    def on_stop(self, call: Callable[[], object] | None) -> None:
        """From now on ``call`` it when told to stop, at once when that came before; None: no more."""


class Slots:
    """``slots(control, until)`` as a context manager: one of ``count`` slots, for as long as the block lasts.

    Gives True when it is held, False, holding none, when the control is stopped or monotonic ``until`` is reached. It is
    freed when the process dies, however it does. Raises LLMConnectorError when the files cannot be used. Holds no state;
    any thread may use it, and a forked child too.
    """

    def __init__(self, meeting: Meeting, count: int, provider: str) -> None:
        self._meeting = meeting
        self._count = count
        self._provider = provider

    @contextmanager
    def __call__(self, control: Stoppable, until: float | None) -> Iterator[bool]:
        """Wait for a slot, and hold it for the length of the block."""
        place: Place | None = None
        try:
            try:
                place = Place(self._meeting.made(), self._count)
                held = place.advance(wait=False) is None or _wait(place, control, until)
            except OSError as error:
                raise self._unusable(error) from error
            yield held
        finally:
            if place is not None:
                place.leave()

    def _unusable(self, error: OSError) -> LLMConnectorError:
        return LLMConnectorError(
            f"the slot that this machine's processes share cannot be taken ({error}), the request is not sent",
            provider=self._provider,
            guidance=f"Free the disk or its locks, set {VARIABLE} to a folder on a local disk, or leave machine_wide out.",
        )


class _Waiter(threading.Thread):
    """Blocks where its request must not: flock cannot be interrupted. Ends, at the latest, when those before it have."""

    def __init__(self, place: Place, ended: Callable[[], object]) -> None:
        super().__init__(name="llm-sync-slot", daemon=True)
        self.error: Exception | None = None
        self._place = place
        self._ended = ended

    def run(self) -> None:
        """Wait for whatever stands in the way, one after the other."""
        never, pause = threading.Event(), SOON_S
        try:
            while (before := self._place.advance(wait=True)) is not None:
                if before:
                    locks.wait_until_free(before)
                else:
                    never.wait(pause)
                    pause = min(2 * pause, POLL_S)
        except Exception as error:  # noqa: BLE001  (raised where the request waits)
            self.error = error
        finally:
            self._ended()


def _wait(place: Place, control: Stoppable, until: float | None) -> bool:
    """Wait until ``place`` is a slot; False when told to stop, or late. Raises OSError."""
    wake = threading.Event()
    control.on_stop(wake.set)
    try:
        waiter = _Waiter(place, wake.set)
        try:
            waiter.start()
        except RuntimeError:  # no thread to be had, as at the end of the process
            return _looked_for(place, control, until, wake)
        wake.wait(_left(until))
        if waiter.error is not None:
            raise waiter.error
        return place.held
    finally:
        control.on_stop(None)


def _looked_for(place: Place, control: Stoppable, until: float | None, wake: threading.Event) -> bool:
    """As ``_wait``, by looking again and again. The order is kept all the same: tickets are."""
    while not control.stopped and (until is None or time.monotonic() < until):
        if place.advance(wait=False) is None:
            return place.held
        wake.wait(POLL_S)
    return False


def _left(until: float | None) -> float | None:
    return None if until is None else min(max(0.0, until - time.monotonic()), threading.TIMEOUT_MAX)
