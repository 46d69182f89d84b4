"""Claims: a task that an engine runs several times on one machine is begun only the first time, so that nothing is paid twice."""

from __future__ import annotations

import os
import threading

from llm_sync.engines.spool import CLAIMS
from llm_sync.machine import locks


class ClaimFile:
    """A byte for each task of one session, by its number; processes of one machine share the file. Any thread may use it."""

    def __init__(self, folder: str, session: str) -> None:
        """Open or create the file. Raises OSError.

        Each session has its own: a run that resumes a killed one counts its tasks from 0 again, maybe in the same folder.
        """
        path = os.path.join(folder, f"{CLAIMS}-{session}")
        self._file = locks.FileLock(path, os.O_RDWR | os.O_CREAT)
        self._lock = threading.Lock()  # guards the file lock, which belongs to the process

    def claim(self, number: int) -> bool:
        """Whether this is the first execution of the task."""
        with self._lock:
            return self._file.set_once(number)

    def close(self) -> None:
        """Close the file."""
        self._file.release()
