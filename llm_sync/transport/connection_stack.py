"""The idle connections of one pool."""

from __future__ import annotations

import queue
from collections import deque
from typing import Any


class ConnectionStack:
    """The idle connections of one pool, last in first out. Unlike LifoQueue it has no lock that a fork could find held."""

    def __init__(self, maxsize: int) -> None:
        self.maxsize = maxsize
        self._stack: deque[Any] = deque()  # append and pop are atomic

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:  # noqa: ARG002
        """Raises queue.Full; never blocks. Concurrent calls may exceed ``maxsize`` by the number of threads."""
        if len(self._stack) >= self.maxsize:
            raise queue.Full
        self._stack.append(item)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: ARG002
        """Raises queue.Empty; never blocks."""
        try:
            return self._stack.pop()
        except IndexError:
            raise queue.Empty from None

    def qsize(self) -> int:
        """The number of connections."""
        return len(self._stack)
