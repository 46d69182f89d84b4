"""A semaphore over processes: how many requests all of them together may have in flight with one provider."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from llm_sync.errors import LLMConnectorError
from llm_sync.events import logger
from llm_sync.machine import semaphore_holders
from llm_sync.machine.folder import VARIABLE, SharedDirectory
from llm_sync.machine.tickets import Ticket
from llm_sync.runtime import clock

MIN_POLL_S = 0.001  # the first pause between two polls
POLL_FRACTION = 1 / 16  # later pauses, of the time waited so far
MAX_POLL_S = 0.02  # the longest pause of the first in the queue; N times as long for the Nth …
MAX_POLL_BEHIND_S = 1.0  # … up to this: so a thousand waiting processes poll hardly more often than a few
REPORT_AFTER_S = 1.0  # seconds until the first report of whom a request waits for; the interval doubles …
MAX_REPORT_INTERVAL_S = 30.0  # … up to this: a holder may be stopped later

_log = logger("machine")


class Stoppable(Protocol):
    """The control of a waiting request."""

    @property
    def stopped(self) -> bool:
        """Whether nothing more is to be sent."""

    def on_stop(self, call: Callable[[], object] | None) -> None:
        """Call ``call`` when the request is stopped, at once if it already is; None: no longer."""


class MachineSemaphore:
    """``semaphore(control, until)`` is a context manager that holds one of ``count`` slots for the length of its block.

    Entering waits for a slot and gives True; or gives False, holding none, when the control is stopped or the monotonic
    time ``until`` is reached. The slot is released when the process dies, however it dies. Raises LLMConnectorError if the
    files cannot be used. Stateless; any thread and any forked child may use it.
    """

    def __init__(
        self,
        directory: SharedDirectory,
        count: int | Callable[[], int],
        provider: str,
        *,
        on_full: Callable[[], None] | None = None,
    ) -> None:
        """``count``: or what tells it now, where it changes. ``on_full``: called when all slots are held, or all but one."""
        self._directory = directory
        self._count = count
        self._provider = provider
        self._on_full = on_full

    @contextmanager
    def __call__(self, control: Stoppable, until: float | None) -> Iterator[bool]:
        """Wait for a slot and hold it for the length of the block."""
        ticket = self._acquire(control, until)
        try:
            yield ticket.held
        finally:
            ticket.release()

    def count_held(self) -> int:
        """How many slots all processes hold now; 0 where the files cannot be read."""
        try:
            return semaphore_holders.count_locked(self._directory.create(), semaphore_holders.SLOT)
        except (OSError, LLMConnectorError):
            return 0

    def _acquire(self, control: Stoppable, until: float | None) -> Ticket:
        while True:
            ticket = Ticket(self._directory.create(), self._count, self._provider, self._on_full)
            try:
                if not ticket.advance():
                    _wait(ticket, control, until, _WaitReporter(ticket, self._provider))
            except OSError as error:
                ticket.release()
                # The folder was removed meanwhile, as at the end of a login session: start again in a new one.
                is_removed = isinstance(error, (FileNotFoundError, NotADirectoryError))
                if not is_removed or control.stopped or _left(until) <= 0:
                    raise self._file_error(error) from error
            except BaseException:
                ticket.release()
                raise
            else:
                return ticket

    def _file_error(self, error: OSError) -> LLMConnectorError:
        return LLMConnectorError(
            f"the slot that the processes on this machine share cannot be acquired ({error}); the request is not sent",
            provider=self._provider,
            retryable=True,
            guidance=f"Free disk space or locks, set {VARIABLE} to a folder on a local disk, or leave machine_wide out.",
        )


class _WaitReporter:
    """Logs whom a request waits for: the first process once, and each suspended (SIGSTOP) one once: that may take forever."""

    def __init__(self, ticket: Ticket, provider: str) -> None:
        self._ticket = ticket
        self._provider = provider
        self._reported_stopped: set[int] = set()
        self._reported = False

    def report(self) -> None:
        """Look who is ahead, and log what is new. Never raises: the request goes on waiting."""
        try:
            ahead = self._ticket.holders_ahead()
        except OSError:
            return
        if ahead and not self._reported:
            self._reported = True
            where = " of another container" if ahead[0].namespace else ""
            _log.info("%s: waiting for a slot behind process %d%s", self._provider, ahead[0].pid, where)
        for holder in ahead:
            if holder.pid not in self._reported_stopped and holder.stopped:
                self._reported_stopped.add(holder.pid)
                _log.warning(
                    "%s: waiting for a slot behind process %d, which is stopped: continue it (fg, or kill -CONT %d), or end it",
                    self._provider,
                    holder.pid,
                    holder.pid,
                )


def _wait(ticket: Ticket, control: Stoppable, until: float | None, reporter: _WaitReporter) -> None:
    """Wait until ``ticket`` holds a slot, the request is stopped, or the time ``until`` is reached. Raises OSError.

    It polls: flock would block until the other process releases the lock, and nothing could interrupt it.
    """
    wake = threading.Event()
    control.on_stop(wake.set)
    try:
        started = clock.now()
        report_at, report_interval = started + REPORT_AFTER_S, REPORT_AFTER_S
        while not ticket.advance():
            now = clock.now()
            if control.stopped or _left(until) <= 0:
                return
            if now >= report_at:
                reporter.report()
                report_interval = min(2 * report_interval, MAX_REPORT_INTERVAL_S)
                report_at = now + report_interval
            wake.wait(min(_pause(now - started, ticket.position), _left(until)))
    finally:
        control.on_stop(None)


def _pause(waited: float, position: int) -> float:
    """Seconds until the next poll: a small part of the time waited, and longer for those further back in the queue."""
    return min(max(waited * POLL_FRACTION, MIN_POLL_S), MAX_POLL_S * max(position, 1), MAX_POLL_BEHIND_S)


def _left(until: float | None) -> float:
    return threading.TIMEOUT_MAX if until is None else max(0.0, until - clock.now())
