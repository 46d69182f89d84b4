"""A private copy of all records of a batch, in an unnamed temporary file that no other program can reach.

While a batch runs, its journal, and a finished output that it extends, are files that anybody may edit. So each record is
copied here when it is read or written, and the output is made from this copy alone.
"""

from __future__ import annotations

import struct
import tempfile
import threading
import zlib
from collections.abc import Iterator

from llm_sync.batch.state import records
from llm_sync.batch.state.index import JOURNAL_LINE, Entry
from llm_sync.batch.state.records import Head
from llm_sync.errors import LLMConnectorError

_FRAME = struct.Struct("<II")  # the CRC-32 and the length of the line that follows
_BUFFER = 1 << 16


class RecordStore:
    """Lines of a journal or of an output, found by their offset here. Any thread may use it. Raises OSError (disk full)."""

    def __init__(self, folder: str) -> None:
        # Read and written through one buffer: a run appends for hours, then the output is read mostly in order.
        self._file = tempfile.TemporaryFile(dir=folder, buffering=_BUFFER)  # noqa: SIM115  (closed by close)
        self._lock = threading.Lock()  # guards the file's position, _size and _at_end
        self._size = 0
        self._at_end = True  # tell() would be a system call for each line

    def append(self, line: bytes) -> int:
        """Add a line, and return its offset."""
        with self._lock:
            if not self._at_end:
                self._file.seek(self._size)
                self._at_end = True
            self._file.write(_FRAME.pack(zlib.crc32(line), len(line)))
            self._file.write(line)
            offset = self._size
            self._size += _FRAME.size + len(line)
            return offset

    def read(self, offset: int) -> bytes:
        """The line at an offset. Raises LLMConnectorError if it is not the one that was written there."""
        with self._lock:
            self._at_end = False
            self._file.seek(offset)
            frame = self._file.read(_FRAME.size)
            if len(frame) == _FRAME.size:
                checksum, length = _FRAME.unpack(frame)
                line: bytes = self._file.read(length)
                if len(line) == length and zlib.crc32(line) == checksum:
                    return line
        raise LLMConnectorError(
            "a record was damaged in the batch's temporary file",
            guidance="The journal has it: check the disk, and run the same command again.",
        )

    def lines(self) -> Iterator[bytes]:
        """All lines in the order in which they were added."""
        offset = 0
        while offset < self._size:
            line = self.read(offset)
            offset += _FRAME.size + len(line)
            yield line

    def head(self, entry: Entry) -> Head:
        """The head of an outcome. Raises LLMConnectorError if there is none."""
        line = self.read(entry.offset)
        head = records.read_head(line) if entry.state == JOURNAL_LINE else records.head_of_record(line)
        if head is None:
            raise LLMConnectorError("a record of the batch cannot be read", guidance="Run the same command again.")
        return head

    def content(self, entry: Entry) -> bytes:
        """The record of an outcome, without the line end."""
        line = self.read(entry.offset)
        return records.content_of(line) if entry.state == JOURNAL_LINE else line.rstrip(b"\r\n")

    def close(self) -> None:
        """Close the file; the system then deletes it."""
        with self._lock:
            self._file.close()
