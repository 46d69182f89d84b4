"""A worker thread: takes requests from its queue one by one, runs them and completes their futures."""

from __future__ import annotations

import threading
from concurrent.futures import InvalidStateError
from queue import Empty
from typing import Any, Protocol

from llm_sync.dispatch.future import RequestFuture
from llm_sync.errors import LLMConnectorError
from llm_sync.events import Event, Finished, Started, logger
from llm_sync.runtime import interrupts

_log = logger("dispatch")


class Source(Protocol):
    """What a worker needs from its queue."""

    name: str

    def may_work(self, worker: Worker) -> bool:
        """Whether this worker may take a request."""

    def take(self, worker: Worker) -> RequestFuture | None:
        """The next request, or None to end. Raises queue.Empty after the idle timeout."""

    def exit_if_idle(self, worker: Worker) -> bool:
        """Deregister the worker unless a request has arrived; return whether it must end."""

    def worker_exited(self, worker: Worker, error: BaseException | None) -> None:
        """The worker has ended, unexpectedly if ``error`` is given."""

    def start_request(self, future: RequestFuture) -> float:
        """Mark the request as in flight; return the seconds it was queued."""

    def finish_request(self, future: RequestFuture) -> float:
        """Mark the request as no longer in flight; return the seconds it was."""

    def emit(self, event: Event) -> None:
        """Report an event."""


class Worker(threading.Thread):
    """``current`` is the future it processes, from taking it until its done-callbacks have run."""

    def __init__(self, source: Source, number: int, daemon: bool) -> None:
        super().__init__(name=f"llm-sync-{source.name}-{number}", daemon=daemon)
        self.number = number
        self.current: RequestFuture | None = None
        self._source = source
        self._exit_condition = interrupts.Condition(threading.Lock())  # guards _exited
        self._exited = False
        started: Any = getattr(self, "_started", None)  # private; without it an interrupted start() is less safe
        if hasattr(started, "_cond"):
            started._cond = interrupts.Condition(threading.Lock())  # noqa: SLF001

    def run(self) -> None:
        """Process requests until the queue ends this worker or the idle timeout passes."""
        error: BaseException | None = None
        try:
            # Checked after each request: false in a child that the request or a callback forked.
            while self._source.may_work(self):
                try:
                    future = self._source.take(self)
                except Empty:
                    if self._source.exit_if_idle(self):
                        return
                    continue
                if future is None:
                    return
                self.current = future
                self._process(future)
                self.current = future = None  # an idle worker must not keep an answer in memory
        except BaseException as caught:  # noqa: BLE001  (the queue cancels requests that no worker is left for)
            error = caught
        finally:
            try:
                self._source.worker_exited(self, error)
            finally:
                with self._exit_condition:
                    self._exited = True
                    self._exit_condition.notify_all()

    def exited_within(self, timeout: float | None) -> bool:
        """Wait up to ``timeout`` seconds (None: no limit) for the end of the thread; return whether it ended.

        Does not use ``join`` alone: before Python 3.13, Ctrl-C in ``join`` marks a running thread as ended.
        """
        with self._exit_condition:
            if not self._exited:
                self._exit_condition.wait(timeout)
            if not self._exited:
                return False
        self.join()  # only its last steps are left
        return True

    def _process(self, future: RequestFuture) -> None:
        value: object = None
        failure: BaseException | None = None
        try:
            if not future.set_running_or_notify_cancel():
                return  # cancelled while it was queued: never sent
            waited = self._source.start_request(future)
            self._emit(Started(self._source.name, future.key, waited=waited))
            value = future.run()
        except LLMConnectorError as error:
            # Drop the traceback: its frames are all internal and of no use to the caller, and they would keep the prompt in
            # memory as long as the error.
            failure = error.with_traceback(None)
        except BaseException as error:  # noqa: BLE001  (any exception goes to the future; the worker continues)
            failure = error
        try:
            self._finish(future, value, failure)
        finally:
            del future, value, failure  # the failure's traceback refers to this frame: break the cycle

    def _finish(self, future: RequestFuture, value: object, failure: BaseException | None) -> None:
        elapsed = self._source.finish_request(future)
        name, message = (None, "") if failure is None else (type(failure).__name__, _message_of(failure))
        result = value if failure is None else getattr(failure, "response", None)  # an unusable answer is billed, too
        usage, cost = getattr(result, "usage", None), getattr(result, "cost_estimate", None)
        self._emit(Finished(self._source.name, future.key, name, message, elapsed, usage, cost))
        try:
            if failure is None:
                future.set_result(value)
            else:
                future.set_exception(failure)
        except InvalidStateError:
            pass  # completed by a fork that the call itself made: this is the child
        except BaseException as error:  # noqa: BLE001  (Future catches only Exception from callbacks)
            self._log_foreign_error("a done-callback", error)
        finally:
            del future, value, failure, result

    def _emit(self, event: Event) -> None:
        try:
            self._source.emit(event)
        except BaseException as error:  # noqa: BLE001  (an exception of a listener must not affect the request)
            self._log_foreign_error("a listener of events", error)

    def _log_foreign_error(self, origin: str, error: BaseException) -> None:
        _log.error("%s: %s raised %s; the worker continues", self._source.name, origin, type(error).__name__, exc_info=error)


def _message_of(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException:  # noqa: BLE001  (a broken __str__ must not hide which error it was)
        return "(its message cannot be read)"
