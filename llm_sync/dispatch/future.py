"""A queued call and its result: a ``concurrent.futures.Future`` that is itself the item in the queue."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from operator import attrgetter
from typing import Any, Protocol

from llm_sync.dispatch import errors as dispatch_errors
from llm_sync.dispatch.unlocked_future import CANCELLED, DONE, UnlockedFuture
from llm_sync.events import logger
from llm_sync.runtime import clock, interrupts, pauses
from llm_sync.runtime.cancellation import Progress

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

    def on_done(self, future: RequestFuture) -> None:
        """``future`` is done: report that. Raises only what ends the calling thread's work: an interrupt."""


class RequestFuture(UnlockedFuture):
    """What ``submit`` returns. Every method may be called from any thread.

    The call is released when the request ends, so that a stored future does not keep its prompt in memory. ``key`` and
    ``model`` are taken from the call's attributes, where it has them. ``queued_at`` and ``started_at`` are monotonic seconds;
    ``started_at`` is None except while the request is in flight. ``elapsed``: seconds it was in flight, set at its end.

    Waiting takes no lock.
    """

    started_at: float | None = None
    elapsed: float | None = None
    ends_at: float | None = None  # monotonic; when its caller stops waiting, if it waits from the beginning
    continues = False  # a step of a request that was accepted before: neither the limit nor closing keeps it out
    given_up = False  # its caller did not wait for it any longer
    is_reported = False  # whether it is done and its end was reported
    later: list[interrupts.Flag] | None = None  # where a worker that completes many wants the flags of those who wait

    def __init__(self, owner: Owner, call: Call, now: float) -> None:
        super().__init__()  # _once: also "start", "running" or "cancelled"
        self.owner = owner
        self._call: Call | None = call
        key, model = getattr(call, "key", None), getattr(call, "model", None)
        self.key: int = key if isinstance(key, int) else next(_keys)
        self.model: str = model if isinstance(model, str) else ""
        self.operation: str = getattr(call, "operation", "")
        self.queued_at = now

    # The outcome

    @property
    def reported(self) -> interrupts.Flag:
        """Set when ``is_reported`` is, for those who wait. Made for the first of them."""
        flag: interrupts.Flag = self._once.get("reported") or self._once.setdefault("reported", interrupts.Flag())
        if self.is_reported:
            flag.set()  # whoever reported it may not have seen the flag
        return flag

    def done(self) -> bool:
        """Like ``Future.done``, without a lock."""
        return self._state in DONE

    def cancelled(self) -> bool:
        """Like ``Future.cancelled``, without a lock."""
        return self._state in CANCELLED

    def running(self) -> bool:
        """Like ``Future.running``, without a lock."""
        return self._state == "RUNNING"

    def wait(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds (None: no limit) and return whether the future is done.

        Time in which the process was stopped does not count.

        The end is reported to listeners before this returns, but a listener that hangs delays it by one interval at most.
        """
        if self.is_reported:
            return True
        checked = clock.now()
        until = None if timeout is None else checked + timeout
        while not self.is_reported:
            done = self.done()
            now = clock.now()
            if until is not None:
                until += pauses.seconds_between(checked, now)
            checked = now
            left = None if until is None else pauses.slice_of(max(0.0, until - now))
            if done and self.owner.on_worker():
                return True  # a listener or callback of this future reads it
            if self.reported.wait_once(interrupts.poll_interval() if done else left) or done:
                return True
            if left == 0:
                return self.done()
        return True

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
            return self._result
        finally:
            # The exception's traceback refers to this frame. Clearing the names avoids a reference cycle.
            error = None
            self = None  # type: ignore[assignment]  # noqa: PLW0642

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Like ``Future.exception``."""
        if not self.wait(clock.clamp_timeout(timeout)):
            raise FutureTimeoutError
        if self.cancelled():
            raise CancelledError
        return self._exception

    # In C, because every request reads them twice
    value: Any = property(attrgetter("_result"), doc="What the call of a future that is done returned, None if it raised.")
    failure: Any = property(attrgetter("_exception"), doc="The exception of a future that is done and not cancelled.")

    def refuse_own_worker(self) -> None:
        """Raise RuntimeError if the calling thread is the worker that would have to complete this future."""
        if not self.done() and self.owner.on_worker():
            raise dispatch_errors.own_worker(self.owner.name)

    # Callbacks and cancelling

    def add_done_callback(self, fn: Callable[[Future[Any]], object]) -> None:
        """Like ``Future.add_done_callback``, without a lock."""
        self._once.setdefault("callbacks", []).append(fn)
        if self.done():
            self._run_callbacks()

    def cancel(self) -> bool:
        """Like ``Future.cancel``. No worker waits for the lock of a future that is being cancelled."""
        try:
            if self._once.setdefault("start", "cancelled") != "cancelled" or self._state == "FINISHED":
                return False
            return super().cancel()
        except BaseException:
            if self._once.get("start") == "cancelled":
                super().cancel()  # interrupted: it must not stay pending
            raise

    def _invoke_callbacks(self) -> None:
        """Called by Future when the future is done. Unlike Future's, it does not swallow the exception of a signal handler."""
        try:
            self.owner.on_done(self)
        finally:
            self._note_report()
            if self.has_callbacks:
                self._run_callbacks()

    def _note_report(self) -> None:
        self.is_reported = True
        flag, later = self._once.get("reported"), self.later
        if flag is None:
            return
        if later is None or self.has_callbacks:
            flag.set()
        elif flag.set_quietly():
            later.append(flag)

    def _run_callbacks(self) -> None:
        """Run the callbacks, each once, even if others raise. SystemExit and the like are raised at the end."""
        failure: BaseException | None = None
        try:
            while (callback := self._next_callback()) is not None:
                try:
                    callback(self)
                except BaseException as error:  # noqa: BLE001, PERF203  (the other callbacks must still run)
                    if not isinstance(error, Exception) or interrupts.raised_by_signal_handler(error):
                        failure = error
                    else:
                        _log.exception("%s: a done-callback of a request failed", self.owner.name)
            if failure is not None:
                raise failure
        finally:
            failure = None  # its traceback refers to this frame

    def _next_callback(self) -> Callable[[Future[Any]], object] | None:
        try:
            callback: Callable[[Future[Any]], object] = self._once["callbacks"].pop(0)
            return callback
        except IndexError:
            return None

    # For the worker

    def start(self) -> bool:
        """Take the request: from now on it cannot be cancelled. False if it was cancelled, or completed by other code."""
        if self.done() or self._once.setdefault("start", "running") != "running":
            return False
        self._state = "RUNNING"
        return True

    def notify_cancelled(self) -> None:
        """Tell the functions of concurrent.futures that the future was cancelled. Waits until it is."""
        if not self.cancelled():
            self.reported.wait()
        with self._condition:
            if self._state == "CANCELLED":
                self.set_running_or_notify_cancel()

    @property
    def call(self) -> Call:
        """The call that the worker runs, once. Raises RuntimeError if the future was completed before that."""
        call = self._call
        if call is None:
            raise RuntimeError(f"the future of a request to {self.owner.name!r} was completed by other code before it was sent")
        return call

    def release_call(self) -> None:
        """Release the call when the request has ended."""
        self._call = None

    # Stopping the call

    def stop_retrying(self) -> None:
        """Ask a running call to make no further attempt. Calls without that method are not affected."""
        self._notify_call("stop_retrying")

    def abort(self) -> None:
        """Ask a running call to end at once. Calls without that method are not affected."""
        self._notify_call("abort")

    def limit_call(self) -> None:
        """Before this thread runs the call: ask it to end when its caller stops waiting. No other thread could give it up."""
        if self.ends_at is not None:
            self._notify_call("end_at", self.ends_at)

    def give_up(self) -> Progress | None:
        """Ask a running call to send nothing more, as nobody waits for it; None for calls without that method."""
        self.given_up = True
        progress = self._notify_call("give_up")
        return progress if isinstance(progress, Progress) else None

    def withdraw(self) -> None:
        """Give up the request: cancel it, or abort it if it is already running."""
        if not self.cancel():
            self.abort()

    def _notify_call(self, method_name: str, *arguments: object) -> object:
        method = getattr(self._call, method_name, None)
        if not callable(method):
            return None
        try:
            return method(*arguments)
        except Exception as error:
            if interrupts.raised_by_signal_handler(error):
                raise
            _log.exception("%s: %s() of a request failed; the request continues", self.owner.name, method_name)
            return None

    # Forking

    def settle_in_child(self) -> None:
        """End the future in a forked child, in its only thread: with ClientClosedError, because only the parent runs it.

        Threads that do not exist here may hold the condition, and the locks of waiters for several futures
        (``concurrent.futures.as_completed``), so these are replaced. Callbacks run in the parent only.
        """
        self._condition = interrupts.Condition()
        self._once.pop("callbacks", None)
        self._call = None
        for waiter in self._waiters:
            if hasattr(waiter, "lock"):
                waiter.lock = threading.Lock()
            is_set, waiter.event = waiter.event.is_set(), threading.Event()  # is_set takes no lock
            if is_set:
                waiter.event.set()
        if self._state == "CANCELLED":
            self.set_running_or_notify_cancel()
        elif not self.done():
            self.set_exception(dispatch_errors.inherited(self.owner.name, self.model))
        self._note_report()
