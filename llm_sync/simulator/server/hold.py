"""Holds requests before they are answered, so that tests need not sleep: they release requests one by one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from llm_sync.simulator.server.request_log import RequestRecord

if TYPE_CHECKING:
    from typing_extensions import Self


class Hold:
    """While the context is open, matching requests are logged and wait; leaving it releases all of them.

    All methods are thread-safe. A held request occupies its connection and counts as in flight.
    """

    def __init__(self, match: Callable[[RequestRecord], bool] | None, closed: Callable[[Hold], None]) -> None:
        self._match = match
        self._closed = closed
        self._changed = threading.Condition()  # guards _waiting, _passes and _open
        self._waiting: dict[int, RequestRecord] = {}
        self._passes: set[int] = set()
        self._open = True

    @property
    def held(self) -> list[RequestRecord]:
        """The requests that wait now, in order of arrival."""
        with self._changed:
            return list(self._waiting.values())

    def wait(self, count: int = 1, timeout: float = 10.0) -> list[RequestRecord]:
        """Blocks until ``count`` requests are held and returns them; TimeoutError after ``timeout`` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._waiting) >= count, timeout):
                raise TimeoutError(
                    f"{len(self._waiting)} of {count} request{'' if count == 1 else 's'} arrived within {timeout} s"
                )
            return list(self._waiting.values())

    def release(self, count: int = 1) -> None:
        """Releases the ``count`` requests that have waited longest; ValueError if fewer wait."""
        with self._changed:
            if count > len(self._waiting):
                raise ValueError(
                    f"{count} request{' is' if count == 1 else 's are'} to be released, {len(self._waiting)} are held"
                )
            for index in list(self._waiting)[:count]:
                del self._waiting[index]
                self._passes.add(index)
            self._changed.notify_all()

    def close(self) -> None:
        """Releases all requests and holds no further ones."""
        with self._changed:
            self._open = False
            self._waiting.clear()
            self._changed.notify_all()
        self._closed(self)

    def pause(self, record: RequestRecord) -> None:
        """Called by the server for each request; returns when the request may be answered."""
        if self._match is not None and not self._match(record):
            return
        with self._changed:
            if not self._open:
                return
            self._waiting[record.index] = record
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._open or record.index in self._passes)
            self._passes.discard(record.index)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
