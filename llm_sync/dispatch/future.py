"""One queued call and its outcome: a ``concurrent.futures.Future`` that stands in the queue itself."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, Protocol

from llm_sync.dispatch import errors as dispatch_errors
from llm_sync.events import logger
from llm_sync.runtime import interrupts

Call = Callable[[], Any]

_log = logger("dispatch")
_keys = itertools.count(1)  # for calls that have no key of their own; next() is atomic


class Owner(Protocol):
    """The queue a future stands in."""

    name: str

    def on_worker(self) -> bool:
        """Whether the calling thread is one of its workers."""

    def accept(self, future: RequestFuture, *, block: bool = True, timeout: float | None = None) -> None:
        """Queue it."""


class RequestFuture(Future[Any]):
    """What ``submit`` returns. Every method may be called from any thread.

    The call is dropped once the request ends, so that a kept answer keeps no question. ``key`` and ``model`` are the
    call's own attributes of that name, where it has them. ``queued_at`` and ``started_at``: monotonic seconds,
    ``started_at`` only while in flight.
    """

    def __init__(self, owner: Owner, call: Call, now: float) -> None:
        super().__init__()
        self._condition = interrupts.Condition()  # who waits is the main thread, often: an interrupt must not lock the worker out
        self.owner = owner
        self._call: Call | None = call
        key, model = getattr(call, "key", None), getattr(call, "model", None)
        self.key: int = key if isinstance(key, int) else next(_keys)
        self.model: str = model if isinstance(model, str) else ""
        self.queued_at = now
        self.started_at: float | None = None

    def result(self, timeout: float | None = None) -> Any:
        """As ``Future.result``; raises RuntimeError on the provider's own worker, which would wait for itself.

        An exception is raised even when it is false in a boolean context: ``Future.result`` would return None for it.
        """
        error: BaseException | None = None
        try:
            self.refuse_own_worker()
            error = self.exception(timeout)
            if error is not None:
                raise error
            return super().result(0)
        finally:
            # The exception's traceback holds this frame: without this, they would keep each other alive.
            error = None
            self = None  # type: ignore[assignment]  # noqa: PLW0642

    def wait(self, timeout: float | None = None) -> bool:
        """Up to ``timeout`` seconds (None: as long as it takes) for the outcome; whether it is there."""
        with self._condition:
            if not self.done():
                self._condition.wait(timeout)
            return self.done()

    def refuse_own_worker(self) -> None:
        """Raise RuntimeError where waiting for this future would be waiting for oneself."""
        if not self.done() and self.owner.on_worker():
            raise dispatch_errors.own_worker(self.owner.name)

    def run(self) -> Any:
        """Make the call; only its worker does, once."""
        call = self._call
        if call is None:
            raise RuntimeError(f"the future of a request to {self.owner.name!r} was settled from outside before it was sent")
        try:
            return call()
        finally:
            self = call = None  # type: ignore[assignment]  # noqa: PLW0642  (as in result)

    def drop_call(self) -> None:
        """The request ended."""
        self._call = None

    def stop_retrying(self) -> None:
        """Tell a call under way to make no further attempt; calls that know no such thing run on."""
        self._tell("stop_retrying")

    def abort(self) -> None:
        """Tell a call under way to end at once; calls that know no such thing run on."""
        self._tell("abort")

    def withdraw(self) -> None:
        """Nobody wants the outcome any more: cancel it, or abort it when it is under way."""
        if not self.cancel():
            self.abort()

    def settle_in_child(self) -> None:
        """After a fork, in the child's only thread: this is never run here, and whoever asks is told so.

        Threads that do not exist here may hold the condition, and the locks of those who wait for several futures at
        once (``concurrent.futures.as_completed``). Callbacks belong to the parent, which runs them.
        """
        self._condition = interrupts.Condition()
        self._done_callbacks: list[Callable[[Any], object]] = []
        self._call = None
        for waiter in self._waiters:
            if hasattr(waiter, "lock"):
                waiter.lock = threading.Lock()
            waiter.event = _renewed(waiter.event)
        if self._state == "CANCELLED":
            self.set_running_or_notify_cancel()
        elif not self.done():
            self.set_exception(dispatch_errors.inherited(self.owner.name, self.model))

    def _tell(self, what: str) -> None:
        method = getattr(self._call, what, None)
        if callable(method):
            try:
                method()
            except Exception:  # noqa: BLE001  (foreign code; the other requests are to be told all the same)
                _log.exception("%s: %s() of a request fails; it runs on", self.owner.name, what)


def _renewed(event: threading.Event) -> threading.Event:
    fresh = threading.Event()
    if event.is_set():  # reads a flag, takes no lock
        fresh.set()
    return fresh


def cancel_all(futures: Iterable[RequestFuture]) -> None:
    """Cancel each of them, whatever their callbacks raise; a Ctrl-C meanwhile is raised at the end."""
    interrupt: KeyboardInterrupt | None = None
    for future in futures:
        try:
            future.cancel()
        except KeyboardInterrupt as error:  # noqa: PERF203  (one callback's failure must not leave the others pending)
            interrupt = error
        except BaseException:  # noqa: BLE001  (Future stops only a callback's ordinary exceptions)
            _log.exception("%s: a done-callback of a cancelled request fails", future.owner.name)
    if interrupt is not None:
        raise interrupt


def seconds(timeout: float | None) -> float | None:
    """``timeout`` as the waits of threading take it; raises ValueError for what is no number of seconds."""
    if timeout is None:
        return None
    if timeout != timeout:  # noqa: PLR0124  (only NaN)
        raise ValueError("timeout is not a number: give seconds, or None for no limit")
    return min(max(0.0, timeout), threading.TIMEOUT_MAX)
