"""Conditions and queues of the standard library, made such that Ctrl-C cannot leave them locked or deaf.

KeyboardInterrupt arises between two bytecodes of the main thread. ``with lock:`` on a lock written in C has none between
taking the lock and the block that frees it. ``threading.Condition`` enters and leaves in Python: an interrupt there leaves
it taken for ever, and a worker that has an answer to hand over hangs.
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

LOOK_UP_S = 0.2


class Condition(threading.Condition):
    """``with condition:`` finds the methods of the C lock inside, and calls those."""

    __enter__: Any = property(operator.attrgetter("_lock.__enter__"))
    __exit__: Any = property(operator.attrgetter("_lock.__exit__"))

    def wait(self, timeout: float | None = None) -> bool:
        """As ever; cut off between giving the lock up and waiting, it takes it again, for the ``with`` to give up."""
        try:
            return super().wait(timeout)
        except BaseException:
            if not self._is_owned():  # type: ignore[attr-defined]
                self.acquire()
            raise

    def notify(self, n: int = 1) -> None:
        """As ever; cut off half-way, it wakes all: the one it was about would be counted as woken again next time."""
        try:
            super().notify(n)
        except BaseException:
            with contextlib.suppress(RuntimeError):  # Python 3.10 minds waking the same one twice
                super().notify(1 << 31)
            raise


class Inbox(Queue[T]):
    """A queue.Queue, unbounded, on such conditions."""

    def __init__(self) -> None:
        super().__init__()
        self.not_empty = Condition(self.mutex)
        self.not_full = Condition(self.mutex)


def pieces(timeout: float | None) -> Iterator[float | None]:
    """The waits, in seconds, that make up one of ``timeout`` (None: endless): in the main thread of at most LOOK_UP_S each.

    A signal that comes just before the main thread falls asleep does not wake it: CPython has noted it, and blocks. A Ctrl-C
    that is sent once would be heard only when the wait ends.
    """
    if threading.current_thread() is not threading.main_thread():
        yield timeout
        return
    until = None if timeout is None else time.monotonic() + timeout
    while True:
        left = LOOK_UP_S if until is None else until - time.monotonic()
        yield max(0.0, min(left, LOOK_UP_S))
        if until is not None and left <= LOOK_UP_S:
            return
