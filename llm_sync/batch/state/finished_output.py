"""The finished output of a previous run, which a run keeps answers of."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from typing import IO

from llm_sync.batch.input.source import unzipped

OutputChecksum = tuple[int, int]
"""The size of an output in bytes, uncompressed, and its CRC-32."""


class FinishedOutput:
    """The output at a path as it is now, or its absence. One thread at a time."""

    def __init__(self, path: str, folder: str) -> None:
        """``folder``: for the unpacked copy of gzip. Raises OSError."""
        self._path = path
        self._file: IO[bytes] | None = None
        self._state = _state(path)
        if self._state is not None:
            self._file = unzipped(path, folder) if path.endswith(".gz") else open(path, "rb")  # noqa: SIM115

    @property
    def exists(self) -> bool:
        """Whether there was an output when this was made."""
        return self._file is not None

    def lines(self) -> Iterator[bytes]:
        """Every line."""
        if self._file is not None:
            self._file.seek(0)
            yield from self._file

    def checksum(self) -> OutputChecksum:
        """The size and checksum."""
        size = crc = 0
        for line in self.lines():
            size, crc = size + len(line), zlib.crc32(line, crc)
        return size, crc

    def is_unchanged(self) -> bool:
        """Whether the path still has the same file with the same size and time of change, or still none."""
        return _state(self._path) == self._state

    def may_be_replaced(self) -> bool:
        """Whether the path has the same file, or none by now."""
        return _state(self._path) in (self._state, None)

    def note_state(self) -> None:
        """Expect from now on what is at the path now."""
        self._state = _state(self._path)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def _state(path: str) -> tuple[int, ...] | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
