"""A queued call and its result: a ``concurrent.futures.Future`` that is itself the item in the queue."""

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
_keys = itertools.count(1)  # for calls without a key of their own; next() is atomic


class Owner(Protocol):
    """The queue that a future belongs to."""

    name: str

    def on_worker(self) -> bool:
        """Whether the calling thread is one of the queue's workers."""

    def accept(self, future: RequestFuture, *, block: bool = True, timeout: float | None = None) -> None:
        """Add ``future`` to the queue."""


class RequestFuture(Future[Any]):
    """What ``submit`` returns. Every method may be called from any thread.

    The call is released when the request ends, so that a stored future does not keep its prompt in memory. ``key`` and
    ``model`` are taken from the call's attributes, where it has them. ``queued_at`` and ``started_at`` are monotonic seconds;
    ``started_at`` is None except while the request is in flight.
    """

    def __init__(self, owner: Owner, call: Call, now: float) -> None:
        super().__init__()
        self._condition = interrupts.Condition()  # an interrupt of the waiting main thread must not block the worker
        self.owner = owner
        self._call: Call | None = call
        key, model = getattr(call, "key", None), getattr(call, "model", None)
        self.key: int = key if isinstance(key, int) else next(_keys)
        self.model: str = model if isinstance(model, str) else ""
        self.queued_at = now
        self.started_at: float | None = None

    def result(self, timeout: float | None = None) -> Any:
        """Like ``Future.result``, but raises RuntimeError on the provider's own worker, which would wait for itself.

        Raises even an exception that is false in a boolean context; ``Future.result`` would return None for it.
        """
        error: BaseException | None = None
        try:
            self.refuse_own_worker()
            error = self.exception(timeout)
            if error is not None:
                raise error
            return super().result(0)
        finally:
            # The exception's traceback refers to this frame. Clearing the names avoids a reference cycle.
            error = None
            self = None  # type: ignore[assignment]  # noqa: PLW0642

    def wait(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds (None: no limit) and return whether the future is done."""
        with self._condition:
            if not self.done():
                self._condition.wait(timeout)
            return self.done()

    def refuse_own_worker(self) -> None:
        """Raise RuntimeError if the calling thread is the worker that would have to complete this future."""
        if not self.done() and self.owner.on_worker():
            raise dispatch_errors.own_worker(self.owner.name)

    def run(self) -> Any:
        """Run the call. Only the worker does this, once."""
        call = self._call
        if call is None:
            raise RuntimeError(f"the future of a request to {self.owner.name!r} was completed by other code before it was sent")
        try:
            return call()
        finally:
            self = call = None  # type: ignore[assignment]  # noqa: PLW0642  (as in result)

    def drop_call(self) -> None:
        """Release the call when the request has ended."""
        self._call = None

    def stop_retrying(self) -> None:
        """Ask a running call to make no further attempt. Calls without that method are not affected."""
        self._notify_call("stop_retrying")

    def abort(self) -> None:
        """Ask a running call to end at once. Calls without that method are not affected."""
        self._notify_call("abort")

    def withdraw(self) -> None:
        """Give up the request: cancel it, or abort it if it is already running."""
        if not self.cancel():
            self.abort()

    def settle_in_child(self) -> None:
        """End the future in a forked child, in its only thread: with ClientClosedError, because only the parent runs it.

        Threads that do not exist here may hold the condition, and the locks of waiters for several futures
        (``concurrent.futures.as_completed``), so these are replaced. Callbacks run in the parent only.
        """
        self._condition = interrupts.Condition()
        self._done_callbacks: list[Callable[[Any], object]] = []
        self._call = None
        for waiter in self._waiters:
            if hasattr(waiter, "lock"):
                waiter.lock = threading.Lock()
            waiter.event = _fresh_event(waiter.event)
        if self._state == "CANCELLED":
            self.set_running_or_notify_cancel()
        elif not self.done():
            self.set_exception(dispatch_errors.inherited(self.owner.name, self.model))

    def _notify_call(self, method_name: str) -> None:
        method = getattr(self._call, method_name, None)
        if callable(method):
            try:
                method()
            except Exception:  # noqa: BLE001  (foreign code; other requests must still be notified)
                _log.exception("%s: %s() of a request failed; the request continues", self.owner.name, method_name)


def _fresh_event(event: threading.Event) -> threading.Event:
    new_event = threading.Event()
    if event.is_set():  # reads a flag, takes no lock
        new_event.set()
    return new_event


def cancel_all(futures: Iterable[RequestFuture]) -> None:
    """Cancel all ``futures``, even if callbacks raise. A KeyboardInterrupt meanwhile is raised at the end."""
    interrupt: KeyboardInterrupt | None = None
    for future in futures:
        try:
            future.cancel()
        except KeyboardInterrupt as error:  # noqa: PERF203  (the other futures must still be cancelled)
            interrupt = error
        except BaseException:  # noqa: BLE001  (Future catches only Exception from callbacks)
            _log.exception("%s: a done-callback of a cancelled request failed", future.owner.name)
    if interrupt is not None:
        raise interrupt


def clamp_timeout(timeout: float | None) -> float | None:
    """Limit ``timeout`` (seconds) to what threading accepts. Raises ValueError for NaN."""
    if timeout is None:
        return None
    if timeout != timeout:  # noqa: PLR0124  (only NaN)
        raise ValueError("timeout is not a number: give seconds, or None for no limit")
    return min(max(0.0, timeout), threading.TIMEOUT_MAX)
