"""A worker thread: takes one request after another from its queue and gives each future its outcome."""

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
    """What a worker asks of its queue."""

    name: str

    def enlisted(self, worker: Worker) -> bool:
        """Whether this worker may take (more) work."""

    def take(self, worker: Worker) -> RequestFuture | None:
        """The next request, or None to end; raises queue.Empty after a while without one."""

    def retire(self, worker: Worker) -> bool:
        """There was nothing to do: True when the worker is to end."""

    def leave(self, worker: Worker, trouble: BaseException | None) -> None:
        """The worker ends; ``trouble``: though it should not."""

    def begin(self, future: RequestFuture) -> float:
        """A request is in flight from now on; seconds it waited."""

    def end(self, future: RequestFuture) -> float:
        """A request is in flight no more; seconds it was."""

    def emit(self, event: Event) -> None:
        """Tell what happens."""


class Worker(threading.Thread):
    """``current`` is the future it is busy with, from the taking until its done-callbacks are through."""

    def __init__(self, source: Source, number: int, daemon: bool) -> None:
        super().__init__(name=f"llm-sync-{source.name}-{number}", daemon=daemon)
        self.number = number
        self.current: RequestFuture | None = None
        self._source = source
        self._leaving = interrupts.Condition(threading.Lock())  # guards _left
        self._left = False
        started: Any = getattr(self, "_started", None)  # private; without it an interrupted start() is less safe
        if hasattr(started, "_cond"):
            started._cond = interrupts.Condition(threading.Lock())  # noqa: SLF001

    def run(self) -> None:
        """Work until told to end, or until there was nothing to do for a while."""
        trouble: BaseException | None = None
        try:
            # Asked again after each request: no longer so in a child that the request or a callback forked.
            while self._source.enlisted(self):
                try:
                    future = self._source.take(self)
                except Empty:
                    if self._source.retire(self):
                        return
                    continue
                if future is None:
                    return
                self.current = future
                self._do(future)
                self.current = future = None  # an idle worker keeps no answer
        except BaseException as error:  # noqa: BLE001  (told to the queue, which ends what nobody will do)
            trouble = error
        finally:
            try:
                self._source.leave(self, trouble)
            finally:
                with self._leaving:
                    self._left = True
                    self._leaving.notify_all()

    def ended_within(self, timeout: float | None) -> bool:
        """Wait up to ``timeout`` seconds (None: as long as it takes) for its end; whether it ended.

        Not by ``join``: before Python 3.13, Ctrl-C in it makes a thread that still runs count as ended.
        """
        with self._leaving:
            if not self._left:
                self._leaving.wait(timeout)
            if not self._left:
                return False
        self.join()  # its last steps only
        return True

    def _do(self, future: RequestFuture) -> None:
        value: object = None
        failure: BaseException | None = None
        try:
            if not future.set_running_or_notify_cancel():
                return  # cancelled while it waited: never sent
            waited = self._source.begin(future)
            self._tell(Started(self._source.name, future.key, waited=waited))
            value = future.run()
        except LLMConnectorError as error:
            # What became of the request, and no fault of the program: whoever it ends would be shown 20 frames from in here
            # before the one that is theirs, and whoever keeps it would keep the prompt.
            failure = error.with_traceback(None)
        except BaseException as error:  # noqa: BLE001  (whatever it is: the future gets it, the worker lives on)
            failure = error
        try:
            self._finish(future, value, failure)
        finally:
            del future, value, failure  # the failure's traceback holds this frame: no cycle through it

    def _finish(self, future: RequestFuture, value: object, failure: BaseException | None) -> None:
        elapsed = self._source.end(future)
        name, message = (None, "") if failure is None else (type(failure).__name__, _text(failure))
        self._tell(Finished(self._source.name, future.key, error=name, message=message, elapsed=elapsed))
        try:
            if failure is None:
                future.set_result(value)
            else:
                future.set_exception(failure)
        except InvalidStateError:
            pass  # settled by a fork that the call itself made: this is the child
        except BaseException as trouble:  # noqa: BLE001  (Future stops only a callback's ordinary exceptions)
            self._survive("a done-callback", trouble)
        finally:
            del future, failure

    def _tell(self, event: Event) -> None:
        try:
            self._source.emit(event)
        except BaseException as trouble:  # noqa: BLE001  (a listener's SystemExit is not the request's)
            self._survive("a listener of events", trouble)

    def _survive(self, who: str, trouble: BaseException) -> None:
        _log.error("%s: %s raises %s; the worker goes on", self._source.name, who, type(trouble).__name__, exc_info=trouble)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException:  # noqa: BLE001  (a broken __str__ must not hide which error it was)
        return "(its text cannot be read)"
