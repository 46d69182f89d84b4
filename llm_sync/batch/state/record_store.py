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
_BLOCK = 1 << 16
_MAX_BLOCKS = 16  # in memory, of those read


class RecordStore:
    """Lines of a journal or of an output, found by their offset here. Any thread may use it. Raises OSError (disk full)."""

    def __init__(self, folder: str) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115  (closed by close)
        self._lock = threading.Lock()  # guards all state below
        self._size = 0
        # The end, not in the file yet: many lines are written at once.
        self._unwritten: list[bytes] = []
        self._written = 0  # bytes in the file
        # What was read last, by number. Requests end out of order, so the output is not read in order either: each block would
        # be read again and again if only one was kept.
        self._blocks: dict[int, bytes] = {}

    def append(self, line: bytes) -> int:
        """Add a line, and return its offset."""
        with self._lock:
            if self._file.closed:
                raise ValueError("the batch's temporary file is closed")
            offset = self._size
            self._unwritten += (_FRAME.pack(zlib.crc32(line), len(line)), line)
            self._size += _FRAME.size + len(line)
            if self._size - self._written >= _BLOCK:
                self._flush()
            return offset

    def read(self, offset: int) -> bytes:
        """The line at an offset. Raises LLMConnectorError if it is not the one that was written there."""
        with self._lock:
            frame = self._read(offset, _FRAME.size)
            if len(frame) == _FRAME.size:
                checksum, length = _FRAME.unpack(frame)
                line = self._read(offset + _FRAME.size, length)
                if len(line) == length and zlib.crc32(line) == checksum:
                    return line
        raise LLMConnectorError(
            "a record was damaged in the batch's temporary file",
            guidance="The journal has it: check the disk, and run the same command again.",
        )

    def _flush(self) -> None:
        """Write what is not in the file yet. If that fails, the next call tries again."""
        self._file.seek(self._written)
        content = memoryview(b"".join(self._unwritten))
        while content:
            content = content[self._file.write(content) :]
        self._unwritten.clear()
        self._written = self._size

    def _read(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes."""
        number, within = divmod(offset, _BLOCK)
        if within + size > _BLOCK:
            return self._read_file(offset, size)
        block = self._blocks.get(number)
        if block is None:
            block = self._read_file(number * _BLOCK, _BLOCK)
            if len(block) == _BLOCK:  # a shorter one may grow
                if len(self._blocks) >= _MAX_BLOCKS:
                    del self._blocks[next(iter(self._blocks))]
                self._blocks[number] = block
        return block[within : within + size]

    def _read_file(self, offset: int, size: int) -> bytes:
        if self._unwritten:
            self._flush()
        self._file.seek(offset)
        return self._file.read(size) or b""

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
