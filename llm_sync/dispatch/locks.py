"""Conditions and queues of the standard library, made such that Ctrl-C cannot leave them locked or deaf.

KeyboardInterrupt arises between two bytecodes of the main thread. ``with lock:`` on a lock written in C has none between
taking the lock and the block that frees it. ``threading.Condition`` enters and leaves in Python: an interrupt there leaves
it taken for ever, and a worker that has an answer to hand over hangs.
"""

from __future__ import annotations

import contextlib
import operator
import threading
from queue import Queue
from typing import Any, TypeVar

T = TypeVar("T")


class Condition(threading.Condition):
    """``with condition:`` finds the methods of the C lock inside, and calls those."""

    __enter__: Any = property(operator.attrgetter("_lock.__enter__"))
    __exit__: Any = property(operator.attrgetter("_lock.__exit__"))

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
