"""The journal of a batch, OUTPUT.part: workers append a line before and after each request. Each line is written whole,
and those of requests that start or end at the same time in one write: at each write another thread may take the interpreter.

Lines are JSON objects. The first one, the header, names the process that owns the journal. ``{"run": …}`` begins a run;
``{"settings": …}`` stores settings by their hash; ``{"started": […]}`` is written before a request is sent, ``{"unsent": […]}``
takes that back, and ``{"done": […], …}`` holds its outcome. ``{"job": …}`` are the steps of jobs of the providers'
Batch APIs (job_notes.py), ``{"background": […]}`` has the provider's id of an answer that it makes (background_notes.py).
``{"finished": […]}`` identifies the output made from all lines
before it, so that no answer counts twice if both files exist. The next write ends a partial line that a killed process left.

Other programs may change the file while a run writes it. So ``examine`` compares its size, its header and the last line several
times a second, returns what was added, and writes again what is missing: the RecordStore has all outcomes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
import threading
import time
import zlib
from typing import Any

from llm_sync.batch.state.journal_file import JournalFile
from llm_sync.batch.state.journal_format import line_of, pieces_of
from llm_sync.batch.state.journal_lock import owned
from llm_sync.batch.state.record_store import RecordStore
from llm_sync.events import logger

_SYNC_EVERY_S = 1.0  # a power cut may cost what was answered since
_CHUNK = 1 << 24  # bytes of other programs that are read at once
_MAX_RECENT = 10_000
_STORED = (b'{"done"', b'{"job"')  # the lines that the store has a copy of

_log = logger("batch")


class Journal:
    """An open, locked journal, and the store that has a copy of its outcomes.

    ``writing``, ``add`` and ``note`` may be called from any thread, the rest from one. ``unwritten`` are the lines that could
    not be written. After the first of them, ``failure`` says why, and nothing more should be sent. ``lost``: whether another
    run has taken the journal over.
    """

    def __init__(self, path: str) -> None:
        """Open or create the file. Raises OSError; LLMConnectorError if another process owns it, or it is not a journal."""
        self.path = path
        self.failure: OSError | None = None
        self.unwritten: list[bytes] = []
        self.lost = False
        # Guards all state below, failure, unwritten, and the order of writes. Held during a write, which only goes to the page
        # cache.
        self._lock = threading.Lock()
        self._last = b""  # the last line written
        self._recent: set[int] | None = set()  # hashes of outcomes written since the last look at the file; None: too many
        self._writers = 0
        self._closing = self._closed = False
        self._synced_at = time.monotonic()
        try:
            self._file = JournalFile(path)
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from None
        self._examined = self._file.size  # up to here, the file was compared or read
        self._examined_crc = self._file.crc  # of all before that
        self._behind = False  # there is more to be read
        try:
            self.store = RecordStore(os.path.dirname(path) or ".")
        except BaseException:
            self._file.close()
            raise

    def writing(self) -> contextlib.AbstractContextManager[None]:
        """Keep the journal open until the block ends, even if ``close`` is called meanwhile. Raises OSError if it is closed."""
        return _Writing(self)

    def begin_writing(self) -> None:
        """The beginning of such a block."""
        with self._lock:
            if self._closed:
                raise OSError(errno.EBADF, "the journal is closed", self.path)
            self._writers += 1

    def end_writing(self) -> None:
        """Its end."""
        with self._lock:
            self._writers -= 1
            if self._closing:
                self._close_when_unused()

    def add(self, line: bytes) -> int:
        """Append an outcome's line, and return its offset in the store. If it cannot be written, keep it and return -1."""
        return self.add_all([line])[0]

    def add_all(self, lines: list[bytes]) -> list[int]:
        """The same for several, in one write."""
        with self._lock:
            try:
                self._write(lines)
            except OSError as error:
                self.failure = self.failure or error
                self.unwritten += lines
                return [-1] * len(lines)
            if self._recent is not None:
                self._recent.update(map(hash, lines))
                if len(self._recent) > _MAX_RECENT:
                    self._recent = None
            return [self._store(line) for line in lines]

    def _store(self, line: bytes) -> int:
        try:
            return self.store.append(line)
        except (OSError, ValueError) as error:  # a full disk, or closed as the run is over: the journal has the line
            self.failure = self.failure or OSError(*error.args)
            return -1

    def note(self, entry: dict[str, Any]) -> None:
        """Append a line that is not an outcome. Raises OSError if it, or any line before it, could not be written."""
        line = line_of(entry)
        self.note_line(line)
        if "job" in entry:
            self.store.append(line)

    def note_line(self, line: bytes) -> None:
        """The same for what is a line already, and no job's."""
        self.note_lines([line])

    def note_lines(self, lines: list[bytes]) -> list[bytes]:
        """The same for several, in one write; they are returned."""
        with self._lock:
            if self.failure is None:
                try:
                    self._write(lines)
                except OSError as error:
                    self.failure = error
            if self.failure is not None:
                raise OSError(self.failure.errno, self.failure.strerror, self.path)
        return lines

    def _write(self, lines: list[bytes]) -> None:
        self._file.write(lines[0] if len(lines) == 1 else b"".join(lines))
        self._last = lines[-1]

    def write_again(self) -> bool:
        """Try once more to write the unwritten lines, and return whether all are written."""
        with self._lock:
            while self.unwritten:
                try:
                    self._write(self.unwritten[:1])
                except OSError:
                    return False
                del self.unwritten[0]
        return True

    def sync(self, *, now: bool = False) -> None:
        """Flush to the disk, once a second or ``now``. Raises OSError."""
        if now or time.monotonic() - self._synced_at >= _SYNC_EVERY_S:
            self._file.sync()
            self._synced_at = time.monotonic()

    def is_at_its_path(self) -> bool:
        """Whether the open file is still the one at ``path``: it, or its folder, may have been moved or deleted."""
        return self._file.is_at_its_path()

    def examine(self) -> bytes:
        """Up to 16 MiB that other programs may have added; outcomes that the file has lost are written again.

        Lines of this run may be among them, and parts of lines. Empty: there is nothing more. Raises OSError; LLMConnectorError
        if another run has taken the journal over.
        """
        with self._lock:
            header, size = self._file.header_state(), self._file.actual_size()
            if header.owner is not None and not header.ours:
                self.lost = True
                raise owned(self.path, header.owner, lock_failed=True)
            damaged = not header.ours or size < self._file.size
            if not damaged and not self._behind and size == self._file.size and self._has(size, self._last):
                self._examined, self._examined_crc = size, self._file.crc
                self._recent = set()
                return b""
            if damaged or not (self._behind or self._file.actual_crc(self._examined) == self._examined_crc):
                self._restore()
            return self._next_chunk()

    def make_whole(self) -> None:
        """Write everything again if any byte is not as it was written; for the end of a run that leaves the journal."""
        with self._lock:
            header = self._file.header_state()
            self.lost = self.lost or (header.owner is not None and not header.ours)
            if not self.lost and not self._closed:
                as_written = self._file.actual_size() == self._file.size and self._file.actual_crc() == self._file.crc
                if not (as_written and header.ours):
                    self._restore()

    @property
    def is_behind(self) -> bool:
        """Whether there is more to be read, although ``examine`` may just have returned nothing."""
        return self._behind

    def _has(self, end: int, content: bytes) -> bool:
        """Whether this stands before an offset."""
        return self._file.read(end - len(content), len(content)) == content

    def _next_chunk(self) -> bytes:
        """Read on, and look for the outcomes that were written meanwhile."""
        size = self._file.actual_size()
        chunk = self._file.read(self._examined, min(_CHUNK, size - self._examined)) if size > self._examined else b""
        if self._examined + len(chunk) < size:
            chunk = chunk[: chunk.rfind(b"\n") + 1] or chunk
        self._examined += len(chunk)
        self._examined_crc = zlib.crc32(chunk, self._examined_crc)
        self._behind = self._examined < size
        self._file.size, self._last = size, b""
        if self._recent is not None:
            self._recent -= {hash(piece) for line in chunk.splitlines(keepends=True) for piece in pieces_of(line)}
        if not self._behind:
            if not chunk.endswith(b"\n"):
                self._file.end_line()
            if self._recent is None or self._recent:
                self._restore()
            else:
                self._file.crc = self._examined_crc
            self._recent = set()
        return chunk

    def _restore(self) -> None:
        """Write the header and all outcomes again, because another program has removed or damaged some; then read it all."""
        _log.warning("another program has changed %r: its answers are written to it again", self.path)
        self._file.repair_header()
        self._file.size, self._file.crc = self._file.actual_size(), self._file.actual_crc()
        self._file.end_line()
        for line in self.store.lines():
            if line.startswith(_STORED):
                self._file.write(line)
        self._recent, self._examined, self._examined_crc, self._behind = set(), self._file.header_size, 0, True

    def rescue(self) -> str:
        """Save lines to a new file in the temporary folder, and return its path. Raises OSError.

        These are the unwritten lines and, if the journal is no longer at its path, all others, too.
        """
        descriptor, path = tempfile.mkstemp(prefix="llm-sync-rescued-", suffix=".part")
        with os.fdopen(descriptor, "wb") as file:
            if not self.is_at_its_path():
                with open(self._file.duplicate(), "rb") as moved:
                    moved.seek(0)
                    while chunk := moved.read(1 << 20):
                        file.write(chunk)
                file.write(b"\n")
                file.writelines(line for line in self.store.lines() if line.startswith(_STORED))  # if it was damaged, too
            file.writelines(self.unwritten)
            file.flush()
            with contextlib.suppress(OSError):
                os.fsync(file.fileno())
        self.unwritten.clear()
        return path

    def is_empty(self) -> bool:
        """Whether the file has no lines, of this run or of other programs. Raises OSError."""
        return self._file.actual_size() <= self._file.header_size

    def remove(self) -> None:
        """Delete the file. Raises OSError."""
        os.unlink(self.path)

    def close(self) -> None:
        """Close and unlock the file, as soon as the last ``writing`` block has ended."""
        with self._lock:
            self._closing = True
            self._close_when_unused()

    def _close_when_unused(self) -> None:
        if self._closing and not self._writers and not self._closed:
            self._closed = True
            self._file.close()
            self.store.close()


class _Writing:
    """A block in which the journal stays open."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def __enter__(self) -> None:
        self._journal.begin_writing()

    def __exit__(self, *error: object) -> None:
        self._journal.end_writing()
