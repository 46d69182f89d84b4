"""How many requests of all processes together may be with one provider: slots, taken in the order of asking."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from llm_sync.errors import LLMConnectorError
from llm_sync.events import logger
from llm_sync.machine import locks
from llm_sync.machine.folder import VARIABLE, Meeting
from llm_sync.machine.tickets import Place

POLL_S = 0.02  # how often the first in line looks at several slots, as one flock cannot wait for any of them …
SOON_S = 0.001  # … and how soon the first time; the pause doubles in between
LOOK_S = 1.0  # how long somebody waits before it looks whom for; after that it looks in so much and twice, and so on …
LOOK_AGAIN_S = 30.0  # … up to this often: whoever holds a slot may be stopped meanwhile

_log = logger("machine")


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
                place = Place(self._meeting.made(), self._count, self._provider)
                held = place.advance(wait=False) is None or _wait(place, control, until, _Lookout(place, self._provider))
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


class _Lookout:
    """Tells what a request waits for: at once whom, and once of each process that is stopped, which may take for ever."""

    def __init__(self, place: Place, provider: str) -> None:
        self._place = place
        self._provider = provider
        self._told: set[int] = set()
        self._looked = False

    def look(self) -> None:
        """Look who stands before. Raises nothing: whoever waits goes on waiting."""
        try:
            before = self._place.before()
        except OSError:
            return
        if before and not self._looked:
            self._looked = True
            _log.info("%s: waits its turn behind process %d", self._provider, before[0].pid)
        for holder in before:
            if holder.pid not in self._told and holder.stopped:
                self._told.add(holder.pid)
                _log.warning(
                    "%s: waits its turn behind process %d, which is stopped: continue it (fg, or kill -CONT %d), or end it",
                    self._provider,
                    holder.pid,
                    holder.pid,
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


def _wait(place: Place, control: Stoppable, until: float | None, lookout: _Lookout) -> bool:
    """Wait until ``place`` is a slot; False when told to stop, or late. Raises OSError."""
    wake = threading.Event()
    control.on_stop(wake.set)
    try:
        waiter = _Waiter(place, wake.set)
        try:
            waiter.start()
        except RuntimeError:  # no thread to be had, as at the end of the process
            return _looked_for(place, control, until, wake)
        pause = LOOK_S
        while not wake.wait(min(pause, _left(until))) and _left(until) > 0:
            lookout.look()
            pause = min(2 * pause, LOOK_AGAIN_S)
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


def _left(until: float | None) -> float:
    return threading.TIMEOUT_MAX if until is None else min(max(0.0, until - time.monotonic()), threading.TIMEOUT_MAX)
