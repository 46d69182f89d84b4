"""A few numbers that several threads, or several processes, read and change together: a pace, a limit that is being found."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")
Numbers = dict[str, float]


class Store(Protocol):
    """Where the numbers are."""

    def change(self, step: Callable[[Numbers], T]) -> T:
        """Call ``step`` with the numbers, which it may change, while nobody else reads or changes them; return its result."""


class LocalStore:
    """The numbers of one process."""

    def __init__(self) -> None:
        self._numbers: Numbers = {}
        self._lock = threading.Lock()  # guards _numbers during one step

    def change(self, step: Callable[[Numbers], T]) -> T:
        """See Store."""
        with self._lock:
            return step(self._numbers)

    def reset_after_fork(self) -> None:
        """In a forked child: a lock of its own. The numbers stay, because the provider does not know about forks."""
        self._lock = threading.Lock()
