"""A worker thread: takes requests from its queue one by one, runs them and completes their futures."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from concurrent.futures import InvalidStateError
from queue import Empty
from typing import Protocol

from llm_sync.dispatch.future import RequestFuture
from llm_sync.errors import LLMConnectorError
from llm_sync.events import Event, Started, logger
from llm_sync.runtime.interrupts import Flag

_log = logger("dispatch")


class Source(Protocol):
    """What a worker needs from its queue."""

    name: str

    def may_work(self, worker: Worker) -> bool:
        """Whether this worker may take a request."""

    def take(self, worker: Worker) -> RequestFuture | None:
        """The next request, or None to look again at ``may_work``. Raises queue.Empty after the idle timeout."""

    def exit_if_idle(self, worker: Worker) -> bool:
        """Deregister the worker unless a request has arrived; return whether it must end."""

    def worker_exited(self, worker: Worker, error: BaseException | None) -> None:
        """The worker has ended, unexpectedly if ``error`` is given."""

    def discard(self, future: RequestFuture) -> None:
        """The request will not be started: its place in the queue is free."""

    def start_request(self, future: RequestFuture) -> float:
        """Mark the request as in flight; return the seconds it was queued."""

    def finish_request(self, future: RequestFuture) -> None:
        """Mark the request as no longer in flight."""

    def report_end(self, future: RequestFuture) -> None:
        """Report the end of a request whose future was completed by other code."""

    def emit(self, event: Event) -> None:
        """Report an event; raises nothing on a worker."""


class Worker(threading.Thread):
    """``current`` is the future it processes, from taking it until its done-callbacks have run.

    A worker never waits for a lock that a calling thread may hold: a signal handler may have interrupted that thread, and may
    wait for an answer of this worker.
    """

    def __init__(self, source: Source, number: int, daemon: bool) -> None:
        super().__init__(name=f"llm-sync-{source.name}-{number}", daemon=daemon)
        self.number = number
        self.current: RequestFuture | None = None
        self._source = source
        self._fate: dict[str, str] = {}  # "start": "running" or "cancelled", decided once by setdefault
        self._exited = Flag()
        if hasattr(self, "_started"):  # private; an interrupt, or a handler that waits, could block threading's own event
            self._started = Flag()

    def run(self) -> None:
        """Process requests until the queue ends this worker or the idle timeout passes."""
        error: BaseException | None = None
        try:
            started = self._fate.setdefault("start", "running") == "running"
            # Checked after each request: false in a child that the request or a callback forked.
            while started and self._source.may_work(self):
                try:
                    future = self._source.take(self)
                except Empty:
                    if self._source.exit_if_idle(self):
                        break
                    continue
                if future is None:
                    continue
                self.current = future
                self._process(future)
                self.current = future = None  # an idle worker must not keep an answer in memory
        except BaseException as caught:  # noqa: BLE001  (the queue cancels requests that no worker is left for)
            error = caught
        finally:
            try:
                self._source.worker_exited(self, error)
            finally:
                self._exited.set()

    def cancel_start(self) -> bool:
        """After a failed ``start``: keep the thread from taking requests; return False if it already runs."""
        if self._fate.setdefault("start", "cancelled") == "running":
            return False
        self._exited.set()
        return True

    def has_ended(self) -> bool:
        """Whether the thread has ended, or was never started."""
        lock = getattr(self, "_tstate_lock", None)
        return self._exited.is_set() and not (lock is not None and lock.locked())

    def ended_within(self, timeout: float | None) -> bool:
        """Wait up to ``timeout`` seconds (None: no limit) for the end of the thread; return whether it ended.

        Does not use ``join`` before Python 3.13: Ctrl-C in it marks a running thread as ended, and a signal handler that calls
        it while it is interrupted waits for a lock of ``threading`` for ever.
        """
        if not self._exited.wait(timeout):
            return False
        if not hasattr(self, "_tstate_lock"):
            if self.ident is not None:
                self.join()  # only its last steps are left
            return True
        while not self.has_ended():  # likewise
            time.sleep(0.0001)
        return True

    def _process(self, future: RequestFuture) -> None:
        value: object = None
        failure: BaseException | None = None
        try:
            if not future.start():  # cancelled while it was queued: never sent
                self._source.discard(future)
                if future.cancelled() and not future.is_locked():
                    future.notify_cancelled()
                elif not future.done() or future.cancelled():
                    self._run_later(future.notify_cancelled)
                return
            waited = self._source.start_request(future)
            self._source.emit(Started(self._source.name, future.key, waited=waited))
            value = future.call()
        except LLMConnectorError as error:
            # Drop the traceback: its frames are all internal and of no use to the caller, and they would keep the prompt in
            # memory as long as the error.
            failure = error.with_traceback(None)
        except BaseException as error:  # noqa: BLE001  (any exception goes to the future; the worker continues)
            failure = error
        try:
            self._source.finish_request(future)
            if future.is_locked():
                self._run_later(functools.partial(self._settle, future, value, failure))
            else:
                self._settle(future, value, failure)
        finally:
            del future, value, failure  # the failure's traceback refers to this frame: break the cycle

    def _settle(self, future: RequestFuture, value: object, failure: BaseException | None) -> None:
        """Complete the future. Nothing that the program has written runs before that: no listener, no logging, no __str__."""
        try:
            if failure is None:
                future.set_result(value)
            else:
                future.set_exception(failure)
        except InvalidStateError:
            self._source.report_end(future)  # completed by a fork that the call itself made (this is the child), or from outside
        except BaseException as error:  # noqa: BLE001  (Future catches only Exception from callbacks)
            name = type(error).__name__
            _log.error("%s: a done-callback raised %s; the worker continues", self._source.name, name, exc_info=error)
        finally:
            del future, value, failure

    def _run_later(self, step: Callable[[], object]) -> None:
        """Run a step that needs a locked future in another thread: this worker may have to serve the thread that locked it."""
        try:
            threading.Thread(target=step, name=f"{self.name}-late", daemon=True).start()
        except RuntimeError:  # no thread could be started
            step()
