"""Runs requests of one queue and completes their futures: in a worker thread, or in a calling thread as the program ends."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from concurrent.futures import InvalidStateError
from typing import Any, Protocol

from llm_sync.dispatch.future import RequestFuture
from llm_sync.errors import LLMConnectorError
from llm_sync.events import Event, Started, logger
from llm_sync.runtime.interrupts import may_suppress
from llm_sync.runtime.steps import run

_log = logger("dispatch")


class Owner(Protocol):
    """What running a request needs from its queue."""

    name: str

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


class RequestRunner:
    """``number`` is its place among the workers of the queue; ``current`` is the future it processes, from taking it until
    its done-callbacks have run.

    A worker thread never waits for a lock that a calling thread may hold: a signal handler may have interrupted that thread,
    and may wait for an answer of this worker.
    """

    number: int
    current: RequestFuture | None
    _source: Any  # an Owner; the attribute of a worker has more

    def in_flight(self) -> list[RequestFuture]:
        """The requests that it processes."""
        current = self.current
        return [] if current is None else [current]

    def process(self, future: RequestFuture) -> None:
        """Run the call of ``future`` and complete it, unless it was cancelled or another runner has started it."""
        value: object = None
        failure: BaseException | None = None
        try:
            if not self._begin(future):
                return
            call = future.call
            steps = getattr(call, "steps", None)
            steps = None if steps is None else steps()
            value = call() if steps is None else run(steps)
        except LLMConnectorError as error:
            # Drop the traceback: its frames are all internal and of no use to the caller, and they would keep the prompt in
            # memory as long as the error.
            failure = error.with_traceback(None)
        except BaseException as error:  # noqa: BLE001  (any exception goes to the future; the worker continues)
            failure = error
        try:
            self._end(future, value, failure)
        finally:
            del future, value, failure  # the failure's traceback refers to this frame: break the cycle

    def _begin(self, future: RequestFuture) -> bool:
        """Start the request; False if it was cancelled while it was queued, or another runner has started it."""
        if not future.start():  # never sent
            self._source.discard(future)
            if future.cancelled() and not future.is_locked():
                future.notify_cancelled()
            elif not future.running() and (not future.done() or future.cancelled()):
                self._run_later(future.notify_cancelled)
            return False
        waited = self._source.start_request(future)
        self._source.emit(Started(self._source.name, future.key, waited=waited))
        return True

    def _end(self, future: RequestFuture, value: object, failure: BaseException | None) -> None:
        """Complete the future with the value or the failure of its call."""
        try:
            self._source.finish_request(future)
            if future.is_locked():
                future.later = None  # another thread wakes those who wait
                self._run_later(functools.partial(self._settle, future, value, failure))
            else:
                self._settle(future, value, failure)
        finally:
            del future, value, failure  # likewise

    def _settle(self, future: RequestFuture, value: object, failure: BaseException | None) -> None:
        """Complete the future. Nothing that the program has written runs before that: no listener, no logging, no __str__."""
        try:
            if failure is None:
                future.set_result(value)
            else:
                future.set_exception(failure)
        except InvalidStateError:
            self._source.report_end(future)  # completed by a fork that the call itself made (this is the child), or from outside
        except BaseException as error:  # Future catches only Exception from callbacks
            if not may_suppress(error):
                raise
            name = type(error).__name__
            _log.error("%s: a done-callback raised %s; the worker continues", self._source.name, name, exc_info=error)
        finally:
            del future, value, failure

    def _run_later(self, step: Callable[[], object]) -> None:
        """Run a step that needs a locked future in another thread: this worker may have to serve the thread that locked it."""
        try:
            threading.Thread(target=step, name=f"llm-sync-{self._source.name}-late", daemon=True).start()
        except RuntimeError:  # no thread could be started
            step()
