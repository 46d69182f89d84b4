"""The requests that wait in one queue, and the threads that wait for room in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from llm_sync.dispatch import errors as dispatch_errors
from llm_sync.dispatch import shutdown
from llm_sync.dispatch.future import RequestFuture
from llm_sync.events import logger
from llm_sync.runtime import clock, interrupts
from llm_sync.runtime.interrupts import Flag

_log = logger("dispatch")


class WaitingRequests:
    """Accepted requests that no worker has taken and nobody has cancelled; oldest first. At most ``limit`` (None: any number).

    Without a lock, as ProviderRequestQueue explains: every step is atomic. Any thread may call its methods.
    """

    def __init__(self, provider: str, limit: int | None) -> None:
        if limit is not None and limit < 1:
            raise ValueError(f"max_queue={limit} of provider {provider!r}: give 1 or more, or None for no limit")
        self._provider = provider
        self._limit = limit
        self._requests: dict[RequestFuture, None] = {}
        self._signals: dict[Flag, None] = {}  # one for each thread that waits for room

    def __len__(self) -> int:
        return len(self._requests)

    def __contains__(self, future: object) -> bool:
        return future in self._requests

    def __iter__(self) -> Iterator[RequestFuture]:
        return iter(list(self._requests))  # a copy: other threads add and remove

    def add(self, future: RequestFuture) -> bool:
        """Add ``future``; return False if there is no room. One that continues a request has its place whatever the limit."""
        if self._limit is None or future.continues:
            self._requests[future] = None
            return True
        if len(self._requests) >= self._limit:
            return False
        self._requests[future] = None
        # If several threads add at the same moment, those in the first places stay.
        if len(self._requests) <= self._limit or future in list(self._requests)[: self._limit]:
            return True
        self.remove(future)
        return False

    def is_first(self, future: RequestFuture) -> bool:
        """Whether ``future`` is the oldest one."""
        return next(iter(list(self._requests)), None) is future  # a copy: other threads add and remove

    @contextmanager
    def changes(self) -> Iterator[Flag]:
        """A flag that is set when a request is removed or ``signal_room`` is called."""
        signal = Flag()
        self._signals[signal] = None
        try:
            yield signal
        finally:
            self._signals.pop(signal, None)

    def add_when_there_is_room(
        self, future: RequestFuture, timeout: float | None, refuse_when_closed: Callable[[], None]
    ) -> None:
        """Wait up to ``timeout`` seconds (None: no limit) for room. Raises QueueFullError, and as ``refuse_when_closed`` does."""
        until = None if timeout is None else clock.now() + timeout
        while True:
            with self.changes() as signal:
                refuse_when_closed()
                if self.add(future):
                    return
                left = None if until is None else until - clock.now()
                if left is not None and left <= 0:
                    raise dispatch_errors.full(self._provider, self._limit, timeout)
                try:
                    signal.wait_once(left)
                except KeyboardInterrupt:
                    shutdown.note_interrupt()
                    raise

    def remove(self, future: RequestFuture) -> bool:
        """Remove ``future``; return whether it was there."""
        if self._requests.pop(future, self) is self:
            return False
        self.signal_room()
        return True

    def signal_room(self) -> None:
        """Let the threads that wait for room look again: there is some, or the queue is closed."""
        for signal in list(self._signals):
            signal.set()


def cancel_all(futures: Iterable[RequestFuture]) -> None:
    """Cancel all ``futures``, even if callbacks raise. An exception of a signal handler meanwhile is raised at the end."""
    interrupt: BaseException | None = None
    for future in futures:
        try:
            future.cancel()
        except BaseException as error:  # noqa: BLE001, PERF203  (the other futures must still be cancelled)
            if isinstance(error, KeyboardInterrupt) or interrupts.raised_by_signal_handler(error):
                interrupt = error
            else:  # Future catches only Exception from callbacks
                _log.exception("%s: a done-callback of a cancelled request failed", future.owner.name)
    if interrupt is not None:
        raise interrupt
