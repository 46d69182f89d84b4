"""Numbers that the processes of one user share: a small file, changed under its lock. A step takes about 30 microseconds."""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from llm_sync.errors import LLMConnectorError
from llm_sync.events import logger
from llm_sync.machine import locks
from llm_sync.machine.folder import SharedDirectory
from llm_sync.runtime import clock

T = TypeVar("T")
_MAX_BYTES = 4096
_MAX_WAIT_S = 5.0  # for the lock, which others hold for microseconds, unless one is stopped (Ctrl-Z) just then
_MIN_POLL_S, _MAX_POLL_S = 0.0002, 0.005
_ALONE_S = 30.0  # how long a process goes on with its own numbers before it tries the lock again
_MAX_NUMBER = 1e15  # no time in seconds and no count of requests comes near
_log = logger("machine")


class FileStore:
    """A file in the folder of a provider. Where it cannot be used, the process goes on with numbers of its own, and says so once;
    also while a process that is stopped holds its lock.

    Stateless but for that; any thread and any forked child may use it.
    """

    def __init__(self, directory: SharedDirectory, name: str) -> None:
        self._directory = directory
        self._name = name
        self._own: dict[str, float] = {}
        self._lock = threading.Lock()  # guards _own
        self._reported = False
        self._alone_until = float("-inf")

    def change(self, step: Callable[[dict[str, float]], T]) -> T:
        """Call ``step`` with the numbers, under the lock of the file; return its result."""
        if clock.now() < self._alone_until:
            return self._alone(step, None)
        try:
            path = os.path.join(self._directory.create(), self._name)
            lock = locks.FileLock(path, os.O_RDWR | os.O_CREAT)
        except (OSError, LLMConnectorError) as error:
            return self._alone(step, error)
        try:
            if not lock.lock(wait=False):
                self._wait_for(lock)
            numbers = _numbers_in(lock)
            result = step(numbers)
            lock.write_owner(json.dumps(numbers).encode())
            return result
        except OSError as error:
            return self._alone(step, error)
        finally:
            lock.release()

    def reset_after_fork(self) -> None:
        """In a forked child: a lock of its own."""
        self._lock = threading.Lock()

    def _wait_for(self, lock: locks.FileLock) -> None:
        """Wait for the lock, by polling: nothing could end a wait in flock. Raises OSError after some seconds."""
        ends, pause = clock.now() + _MAX_WAIT_S, _MIN_POLL_S
        while not lock.lock(wait=False):
            if clock.now() >= ends:
                self._alone_until = clock.now() + _ALONE_S
                raise OSError(errno.ETIMEDOUT, "a process that does not go on holds its lock", lock.path)
            time.sleep(pause)
            pause = min(pause * 1.5, _MAX_POLL_S)

    def _alone(self, step: Callable[[dict[str, float]], T], error: Exception | None) -> T:
        if not self._reported and error is not None:
            self._reported = True
            _log.warning("the pace cannot be shared with other processes (%s); this one keeps to it alone", error)
        with self._lock:
            return step(self._own)


def _numbers_in(lock: locks.FileLock) -> dict[str, float]:
    """The numbers in the file; none in a new one, or one that another program wrote."""
    try:
        values: Any = json.loads(lock.read(_MAX_BYTES) or b"{}")
    except (ValueError, RecursionError):  # deep nesting
        return {}
    return values if isinstance(values, dict) and all(map(_is_plausible, values.values())) else {}


def _is_plausible(value: Any) -> bool:
    """Whether it is a number that can be counted with: not infinite, and not NaN."""
    return isinstance(value, (int, float)) and -_MAX_NUMBER < value < _MAX_NUMBER
