"""Waiting and waking that survive Ctrl-C, signal handlers and exceptions thrown by them.

Python runs signal handlers between two bytecodes of the main thread. A handler may raise (KeyboardInterrupt, or the exception of
a timeout decorator), and it may itself use the client. So the calling thread must not hold a lock while it runs Python code:
an exception could leave the lock held, and a handler that waits for an answer would block the worker that needs the lock.
"""

from __future__ import annotations

import contextlib
import operator
import threading
from typing import Any

from llm_sync.runtime import clock, pauses

POLL_S = 0.2  # seconds; the longest single wait in the main thread …
POLL_OTHERS_S = 1.0  # … and in other threads


class Flag:
    """An event without a lock: ``set`` and ``wait`` may be interrupted anywhere and called in signal handlers.

    It offers what ``threading.Thread`` needs of its ``_started`` event.
    """

    def __init__(self) -> None:
        self._set = False
        self._sleepers: list[Any] = []  # one held lock for each waiting thread; releasing it wakes the thread

    def is_set(self) -> bool:
        """Whether the flag is set."""
        return self._set

    def set(self) -> None:
        """Set the flag and wake all waiting threads."""
        self._set = True
        if self._sleepers:
            try:
                self._wake()
            except BaseException:
                self._wake()  # interrupted half-way
                raise

    def set_quietly(self) -> bool:
        """Set the flag; True if threads wait, which ``set`` must wake soon. Until then they sleep to the end of their slice."""
        self._set = True
        return bool(self._sleepers)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds (None: no limit); return whether the flag is set."""
        until = None if timeout is None else clock.now() + timeout
        while not self._set:
            left = None if until is None else until - clock.now()
            if left is not None and left <= 0:
                break
            self.wait_once(left)
        return self._set

    def wait_once(self, timeout: float | None) -> bool:
        """Like ``wait``, but returns after one slice of the time, of at most POLL_S seconds in the main thread.

        A signal that arrives just before the main thread blocks does not wake it: CPython runs the handler only when the wait
        returns. Without slices, a single Ctrl-C could go unnoticed until the whole wait ends.
        """
        slice_s = poll_interval()
        wait_s = slice_s if timeout is None else max(0.0, min(timeout, slice_s))
        due = clock.now() + wait_s
        sleeper = threading.Lock()
        sleeper.acquire()
        self._sleepers.append(sleeper)
        try:
            if not self._set:
                sleeper.acquire(timeout=wait_s)
        finally:
            if sleeper in self._sleepers:
                self._sleepers.remove(sleeper)
        if clock.now() - due > pauses.MIN_PAUSE_S:
            pauses.check(due)
        return self._set

    def _wake(self) -> None:
        for sleeper in list(self._sleepers):
            with contextlib.suppress(RuntimeError):  # released by another thread
                sleeper.release()

    def _at_fork_reinit(self) -> None:  # called by threading in a forked child
        self._sleepers = []


def poll_interval() -> float:
    """The longest single wait of the calling thread, in seconds."""
    return POLL_S if threading.current_thread() is threading.main_thread() else POLL_OTHERS_S


def raised_by_signal_handler(error: BaseException) -> bool:
    """Whether ``error`` was raised by a signal handler that interrupted the code below, so it must not be caught there.

    A signal handler is called with the interrupted frame as an argument: the traceback leads from that frame to a frame that
    has it among its local variables. Handlers run in the main thread only.
    """
    if threading.current_thread() is not threading.main_thread():
        return False
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        interrupted = trace.tb_frame
        for value in trace.tb_next.tb_frame.f_locals.values():
            if value is interrupted or (type(value) is tuple and any(each is interrupted for each in value)):
                return True
        trace = trace.tb_next
    return False


def may_suppress(error: BaseException) -> bool:
    """Whether an exception of foreign code (a listener, a logging handler) may be logged and dropped.

    Not in the main thread if it is meant for that: Ctrl-C, sys.exit, the exception of a signal handler.
    """
    if threading.current_thread() is threading.main_thread():
        return isinstance(error, Exception) and not raised_by_signal_handler(error)
    return True


class Condition(threading.Condition):
    """A condition that ``with`` enters and leaves through the methods of its C lock.

    For a lock implemented in C, ``with lock:`` has no bytecode between taking the lock and entering the block that releases it.
    ``threading.Condition`` implements ``__enter__`` and ``__exit__`` in Python: an interrupt there leaves the lock held.
    """

    __enter__: Any = property(operator.attrgetter("_lock.__enter__"))
    __exit__: Any = property(operator.attrgetter("_lock.__exit__"))

    def wait(self, timeout: float | None = None) -> bool:
        """Like Condition.wait, but re-acquires the lock if interrupted before waiting."""
        try:
            return super().wait(timeout)
        except BaseException:
            if not self._is_owned():  # type: ignore[attr-defined]
                self.acquire()
            raise

    def notify(self, n: int = 1) -> None:
        """Like Condition.notify, but wakes all waiters if interrupted: the next notify might pick one that was already woken."""
        try:
            super().notify(n)
        except BaseException:
            with contextlib.suppress(RuntimeError):  # Python 3.10 raises if a waiter is woken twice
                super().notify(1 << 31)
            raise
