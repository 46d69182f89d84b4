"""Claims: of the runs of one task on one machine only the first gets it. An engine that repeats tasks pays nothing twice."""

from __future__ import annotations

import os
import threading

from llm_sync.engines.spool import CLAIMS
from llm_sync.machine import locks


class ClaimFile:
    """A byte for each task, by its number; processes of one machine share the file. Any thread may use it."""

    def __init__(self, folder: str) -> None:
        """Open or create the file. Raises OSError."""
        path = os.path.join(folder, CLAIMS)
        self._file = locks.FileLock(path, os.O_RDWR | os.O_CREAT)
        self._lock = threading.Lock()  # guards the file lock, which belongs to the process

    def claim(self, number: int) -> bool:
        """Whether this is the first run of the task."""
        with self._lock:
            return self._file.set_once(number)

    def close(self) -> None:
        """Close the file."""
        self._file.release()
