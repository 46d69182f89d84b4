"""The request log as a file: one line of JSON for every request that has ended."""

from __future__ import annotations

import json
import os
import stat
import threading
from typing import Any


class LogFile:
    """Appends to ``path``, which is created with mode 0600 because it holds prompts. Thread-safe. Raises OSError.

    Each line is one write, so that readers, and other simulators that use the same file, see whole lines only.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), 0o600)
        self._lock = threading.Lock()  # guards _descriptor: many threads write to it, one closes it
        self._open = True
        status = os.fstat(self._descriptor)
        if stat.S_ISREG(status.st_mode):
            if hasattr(os, "fchmod") and status.st_mode & 0o077:
                os.fchmod(self._descriptor, 0o600)
            if status.st_size and not self._ends_with_newline(status.st_size):  # a former writer was killed within a line
                os.write(self._descriptor, b"\n")

    def _ends_with_newline(self, size: int) -> bool:
        os.lseek(self._descriptor, size - 1, os.SEEK_SET)
        return os.read(self._descriptor, 1) == b"\n"

    def append(self, entry: dict[str, Any]) -> None:
        """Appends a line. Raises OSError, for instance when the disk is full; part of the line may then be written."""
        try:
            text = json.dumps(entry, separators=(",", ":"))
        except RecursionError:  # a payload can be parsed at a depth at which it cannot be serialised
            text = json.dumps({**entry, "payload": None}, separators=(",", ":"))
        line = memoryview(text.encode() + b"\n")
        with self._lock:
            while line and self._open:
                line = line[os.write(self._descriptor, line) :]

    def close(self) -> None:
        """Closes the file; may be called again. Later lines are dropped."""
        with self._lock:
            if self._open:
                self._open = False
                os.close(self._descriptor)
