"""The journal of a batch, OUTPUT.part: workers append a line before and after each request, each in one write.

Lines are JSON objects. The first one names the process that owns the journal. ``{"run": …}`` begins a run; ``{"settings": …}``
stores settings by their hash; ``{"started": […]}`` is written before a request is sent, ``{"unsent": […]}`` takes that back, and
``{"done": […], …}`` holds its outcome. ``{"finished": […]}`` identifies the output made from all lines before it, so that no
answer counts twice if both files exist. The next write ends a partial line that a killed process left.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from llm_sync.errors import ConfigurationError, LLMConnectorError
from llm_sync.events import logger
from llm_sync.machine.locks import FileLock

_SYNC_EVERY_S = 1.0  # a power cut may cost what was answered since
_HEADER = '{{"llm-sync batch": 1, "pid": {:10}}}\n'
_HEADER_SIZE = len(_HEADER.format(0))
_PID = slice(_HEADER_SIZE - 12, _HEADER_SIZE - 2)
_APPENDING = os.O_RDWR | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)

_log = logger("batch")

OutputChecksum = tuple[int, int]
"""The size of an output in bytes, uncompressed, and its CRC-32."""


class Journal:
    """An open, locked journal.

    ``writing``, ``add`` and ``note`` may be called from any thread, the rest from one. ``unwritten`` are the lines that could
    not be written. After the first of them, ``failure`` says why, and nothing more should be sent.
    """

    def __init__(self, path: str) -> None:
        """Open or create the file. Raises OSError; LLMConnectorError if another process owns it, or it is not a journal."""
        self.path = path
        self.failure: OSError | None = None
        self.unwritten: list[bytes] = []
        self._lock_file = _locked(path)
        try:
            self._descriptor = _opened(path)
        except BaseException:
            self._lock_file.release()
            raise
        # Guards all state below, failure, unwritten, and the order of writes: a line's offset is known only if no other line is
        # written at the same time. So it is held during a write, which only goes to the page cache.
        self._lock = threading.Lock()
        self._torn = False  # the last line lacks its line end
        self._writers = 0
        self._closing = self._closed = False
        self._synced_at = time.monotonic()
        try:
            self._size = self._begun()
        except OSError as error:
            with contextlib.suppress(OSError):  # the disk is full: leave no empty file behind
                if not os.fstat(self._descriptor).st_size:
                    os.unlink(path)
            self.close()
            raise OSError(error.errno, error.strerror, path) from None
        except BaseException:
            self.close()
            raise

    def _begun(self) -> int:
        """Write this process into the header, or begin a new journal. Returns the size."""
        size = os.fstat(self._descriptor).st_size
        with open(self.path, "r+b") as file:
            header = file.read(_HEADER_SIZE)
            ours = _HEADER.format(0).encode()
            if len(header) < _HEADER_SIZE and ours.startswith(header[: _PID.start]):  # new, or its first run was killed at once
                file.truncate(0)
                size = 0
            elif header[: _PID.start] != ours[: _PID.start]:
                raise _not_a_journal(self.path)
            else:
                file.seek(-1, os.SEEK_END)
                self._torn = file.read(1) != b"\n"
            file.seek(0)
            file.write(_HEADER.format(os.getpid()).encode())
        return size or _HEADER_SIZE

    @property
    def holds_lines(self) -> bool:
        """Whether anything follows the header."""
        return self._size > _HEADER_SIZE

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Keep the journal open until the block ends, even if ``close`` is called meanwhile. Raises OSError if it is closed."""
        with self._lock:
            if self._closed:
                raise OSError(errno.EBADF, "the journal is closed", self.path)
            self._writers += 1
        try:
            yield
        finally:
            with self._lock:
                self._writers -= 1
                self._close_when_unused()

    def add(self, line: bytes) -> int:
        """Append a whole line with its line end, and return its offset. If it cannot be written, keep it and return -1."""
        with self._lock:
            try:
                return self._write(line)
            except OSError as error:
                self.failure = self.failure or error
                self.unwritten.append(line)
                return -1

    def note(self, entry: dict[str, Any]) -> None:
        """Append a line that is not an outcome. Raises OSError if it, or any line before it, could not be written."""
        with self._lock:
            if self.failure is None:
                try:
                    self._write(line_of(entry))
                except OSError as error:
                    self.failure = error
            if self.failure is not None:
                raise OSError(self.failure.errno, self.failure.strerror, self.path)

    def _write(self, line: bytes) -> int:
        """Append in one piece, or leave the file unchanged."""
        offset = self._size + self._torn
        rest = memoryview(b"\n" + line if self._torn else line)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._size)
            size = os.fstat(self._descriptor).st_size
            self._torn = self._torn or size != self._size
            self._size = size
            raise
        self._torn = False
        self._size = offset + len(line)
        return offset

    def write_again(self) -> bool:
        """Try once more to write the unwritten lines, and return whether all are written."""
        with self._lock:
            while self.unwritten:
                try:
                    self._write(self.unwritten[0])
                except OSError:
                    return False
                del self.unwritten[0]
        return True

    def sync(self, *, now: bool = False) -> None:
        """Flush to the disk, once a second or ``now``. Raises OSError."""
        if now or time.monotonic() - self._synced_at >= _SYNC_EVERY_S:
            os.fsync(self._descriptor)
            self._synced_at = time.monotonic()

    def is_at_its_path(self) -> bool:
        """Whether the open file is still the one at ``path``: it, or its folder, may have been moved or deleted."""
        return self._lock_file.is_at_its_path()

    def rescue(self) -> str:
        """Save lines to a new file in the temporary folder, and return its path. Raises OSError.

        These are the unwritten lines and, if the journal is no longer at its path, all others, too.
        """
        descriptor, path = tempfile.mkstemp(prefix="llm-sync-rescued-", suffix=".part")
        with os.fdopen(descriptor, "wb") as file:
            if not self.is_at_its_path():
                with open(os.dup(self._descriptor), "rb") as moved:
                    moved.seek(0)
                    while chunk := moved.read(1 << 20):
                        file.write(chunk)
                if self._torn:
                    file.write(b"\n")
            file.writelines(self.unwritten)
            file.flush()
            with contextlib.suppress(OSError):
                os.fsync(file.fileno())
        self.unwritten.clear()
        return path

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
            os.close(self._descriptor)
            self._lock_file.release()


def lines_of(path: str, since: int = 0) -> Iterator[tuple[int, bytes]]:
    """Every line of a journal after the header, from an offset on, with its offset. The last may be partial. Raises OSError."""
    with open(path, "rb") as file:
        offset = max(since, len(file.readline()))
        file.seek(offset)
        for line in file:
            yield offset, line
            offset += len(line)


def unfinished_part(path: str, output_checksum: Callable[[], OutputChecksum]) -> tuple[int, bool]:
    """From which offset on the output does not hold the journal's lines, and whether a run after it began anew (``--restart``).

    ``output_checksum`` is called if a run wrote its output, but did not remove the journal. Raises OSError.
    """
    since, anew, checksum = 0, False, None
    for offset, line in lines_of(path):
        if line.startswith(b'{"run"'):
            anew = anew or b'"anew": true' in line
        elif line.startswith(b'{"finished"'):
            checksum = checksum or output_checksum()
            if line == line_of({"finished": checksum}):
                since, anew = offset + len(line), False
    return since, anew


def line_of(entry: dict[str, Any]) -> bytes:
    """An entry as a line of the journal."""
    return json.dumps(entry, ensure_ascii=False, default=repr).encode("utf-8", "backslashreplace") + b"\n"


def _locked(path: str) -> FileLock:
    while True:
        try:
            lock = FileLock(path, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            if error.errno in (errno.EISDIR, errno.ELOOP):  # a folder, or a link, which is not followed
                raise _not_a_journal(path) from None
            raise
        try:
            free = lock.lock(wait=False)
            if free and lock.is_at_its_path():  # otherwise the other process has just finished, and removed the file
                return lock
        except ConfigurationError:  # no file locks on this system
            _log.warning("%r cannot be locked, because this system has no file locks: start no other run on it", path)
            return lock
        except BaseException:
            lock.release()
            raise
        lock.release()
        if not free:
            raise _owned(path)


def _opened(path: str) -> int:
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise _not_a_journal(path)
    return os.open(path, _APPENDING)


def _not_a_journal(path: str) -> LLMConnectorError:
    return LLMConnectorError(
        f"{path!r} exists, but is not the journal of a batch",
        guidance="Move it away, or name another output: the run needs this path for its journal.",
    )


def _owned(path: str) -> LLMConnectorError:
    try:
        with open(path, "rb") as file:
            owner = file.read(_HEADER_SIZE)[_PID].decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        owner = ""
    return LLMConnectorError(
        f"{path!r} is being written by process {owner or 'of another batch'}",
        guidance="Wait until that has ended, or name another output.",
    )
