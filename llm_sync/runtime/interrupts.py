"""Variants of the standard library's conditions and queues that Ctrl-C cannot leave locked or unable to wake waiters.

Python raises KeyboardInterrupt between two bytecodes of the main thread. For a lock implemented in C, ``with lock:`` has no
bytecode between taking the lock and entering the block that releases it. ``threading.Condition`` implements ``__enter__``
and ``__exit__`` in Python: an interrupt there leaves the lock held, and a worker that delivers a result hangs.
"""

from __future__ import annotations

import contextlib
import operator
import threading
import time
from collections.abc import Iterator
from queue import Queue
from typing import Any, TypeVar

T = TypeVar("T")

POLL_S = 0.2  # seconds; the longest single wait in the main thread


class Condition(threading.Condition):
    """A condition that ``with`` enters and leaves through the methods of its C lock."""

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


class SafeQueue(Queue[T]):
    """An unbounded queue.Queue with interrupt-safe conditions."""

    def __init__(self) -> None:
        super().__init__()
        self.not_empty = Condition(self.mutex)
        self.not_full = Condition(self.mutex)


def wait_slices(timeout: float | None) -> Iterator[float | None]:
    """Split a wait of ``timeout`` seconds (None: no limit) into slices: of at most POLL_S in the main thread, else one.

    A signal that arrives just before the main thread blocks does not wake it: CPython handles it only when the wait returns.
    Without slices, a single Ctrl-C could go unnoticed until the whole wait ends.
    """
    if threading.current_thread() is not threading.main_thread():
        yield timeout
        return
    until = None if timeout is None else time.monotonic() + timeout
    while True:
        left = POLL_S if until is None else until - time.monotonic()
        yield max(0.0, min(left, POLL_S))
        if until is not None and left <= POLL_S:
            return
