"""A worker thread: takes requests from its queue one by one and runs them."""

from __future__ import annotations

import threading
import time
from queue import Empty
from typing import Protocol

from llm_sync.dispatch.future import RequestFuture
from llm_sync.dispatch.request_runner import Owner, RequestRunner
from llm_sync.runtime.interrupts import Flag


class Source(Owner, Protocol):
    """What a worker needs from its queue."""

    def may_work(self, worker: Worker) -> bool:
        """Whether this worker may take a request."""

    def take(self, worker: Worker) -> RequestFuture | None:
        """The next request, or None to look again at ``may_work``. Raises queue.Empty after the idle timeout."""

    def exit_if_idle(self, worker: Worker) -> bool:
        """Deregister the worker unless a request has arrived; return whether it must end."""

    def worker_exited(self, worker: Worker, error: BaseException | None) -> None:
        """The worker has ended, unexpectedly if ``error`` is given."""


class Worker(RequestRunner, threading.Thread):
    """A runner with a thread of its own, which ends when the queue says so."""

    def __init__(self, source: Source, number: int, daemon: bool) -> None:
        # gevent replaces threading.Thread, and unless that class runs a thread, nobody hears of its end.
        self._end_is_heard = isinstance(self, threading.Thread)
        super().__init__(name=f"llm-sync-{source.name}-{number}", daemon=daemon or not self._end_is_heard)
        self.number = number
        self.current: RequestFuture | None = None
        self._source: Source = source
        self._fate: dict[str, str] = {}  # "start": "running" or "cancelled", decided once by setdefault
        self._exited = Flag()
        if hasattr(self, "_started"):  # private; an interrupt, or a handler that waits, could block threading's own event
            self._started = Flag()

    def run(self) -> None:
        """Process requests until the queue ends this worker or the idle timeout passes."""
        error: BaseException | None = None
        try:
            if self._fate.setdefault("start", "running") == "running":
                self._serve()
        except BaseException as caught:  # noqa: BLE001  (the queue cancels requests that no worker is left for)
            error = caught
        finally:
            try:
                self._source.worker_exited(self, error)
            finally:
                self._exited.set()

    def _serve(self) -> None:
        # Checked after each request: false in a child that the request or a callback forked.
        while self._source.may_work(self):
            try:
                future = self._source.take(self)
            except Empty:
                if self._source.exit_if_idle(self):
                    break
                continue
            if future is None:
                continue
            self.current = future
            self.process(future)
            self.current = future = None  # an idle worker must not keep an answer in memory

    def abandon(self) -> None:
        """In a forked child: close this process's copies of what the worker has open, if anything."""

    def wake(self) -> None:
        """A request was put into the queue. A worker that waits for nothing but the queue needs no waking."""

    def cancel_start(self) -> bool:
        """After a failed ``start``: keep the thread from taking requests; return False if it already runs."""
        if self._fate.setdefault("start", "cancelled") == "running":
            return False
        self._exited.set()
        return True

    def has_ended(self) -> bool:
        """Whether the thread has ended, or was never started."""
        lock = getattr(self, "_tstate_lock", None) if self._end_is_heard else None
        return self._exited.is_set() and not (lock is not None and lock.locked())

    def ended_within(self, timeout: float | None) -> bool:
        """Wait up to ``timeout`` seconds (None: no limit) for the end of the thread; return whether it ended.

        Does not use ``join`` before Python 3.13: Ctrl-C in it marks a running thread as ended, and a signal handler that calls
        it while it is interrupted waits for a lock of ``threading`` for ever.
        """
        if not self._exited.wait(timeout):
            return False
        if not hasattr(self, "_tstate_lock"):
            if self._end_is_heard and self.ident is not None:
                self.join()  # only its last steps are left
            return True
        while not self.has_ended():  # likewise
            time.sleep(0.0001)
        return True
