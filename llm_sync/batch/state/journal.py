"""The journal of a batch: OUTPUT.part, to which every worker adds a line before and after each request, in one write.

Lines are JSON objects. The first tells who has the journal; ``{"run": …}`` begins a run; ``{"settings": …}`` says what
answers depend on; ``{"started": […]}`` stands before a request is sent, ``{"unsent": […]}`` takes that back, and
``{"done": […], …}`` holds its outcome. ``{"finished": […]}`` tells the output that was made of all before it, so that nobody
takes an answer twice who finds both. Half a line, which a killed process leaves behind, is ended by the next line.
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

Sum = tuple[int, int]
"""Of an output: the bytes of its records, and their CRC-32."""


class Journal:
    """One open journal, which no other process can open meanwhile.

    ``writing``, ``add`` and ``note`` may be called from any thread, the rest from one. ``unwritten`` are the lines that could
    not be written; from the first on ``failure`` says why, and nothing should be sent any more.
    """

    def __init__(self, path: str) -> None:
        """Open the file, or make it. Raises OSError; LLMConnectorError where another process has it, or it is no journal."""
        self.path = path
        self.failure: OSError | None = None
        self.unwritten: list[bytes] = []
        self._held = _locked(path)
        try:
            self._descriptor = _opened(path)
        except BaseException:
            self._held.release()
            raise
        # Guards all of the state below, failure and unwritten, and the order of bytes in the file: where a line stands is known
        # only when no other is written at the same time. So it is held during a write, which goes to the page cache.
        self._lock = threading.Lock()
        self._torn = False  # the last line has no end
        self._writers = 0
        self._closing = self._closed = False
        self._synced_at = time.monotonic()
        try:
            self._size = self._begun()
        except OSError as error:
            with contextlib.suppress(OSError):  # a disk that takes nothing: nothing is left of the attempt
                if not os.fstat(self._descriptor).st_size:
                    os.unlink(path)
            self.close()
            raise OSError(error.errno, error.strerror, path) from None
        except BaseException:
            self.close()
            raise

    def _begun(self) -> int:
        """Take the journal over, or begin it; its size."""
        size = os.fstat(self._descriptor).st_size
        with open(self.path, "r+b") as file:
            header = file.read(_HEADER_SIZE)
            ours = _HEADER.format(0).encode()
            if len(header) < _HEADER_SIZE and ours.startswith(header[: _PID.start]):  # new, or killed when it was
                file.truncate(0)
                size = 0
            elif header[: _PID.start] != ours[: _PID.start]:
                raise _no_journal(self.path)
            else:
                file.seek(-1, os.SEEK_END)
                self._torn = file.read(1) != b"\n"
            file.seek(0)
            file.write(_HEADER.format(os.getpid()).encode())
        return size or _HEADER_SIZE

    @property
    def holds_lines(self) -> bool:
        """Whether it is more than begun."""
        return self._size > _HEADER_SIZE

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """While it is open as a context, the journal is: a worker that ends late still finds it. Raises OSError when closed."""
        with self._lock:
            if self._closed:
                raise OSError(errno.EBADF, "the journal is closed", self.path)
            self._writers += 1
        try:
            yield
        finally:
            with self._lock:
                self._writers -= 1
                self._close_at_last()

    def add(self, line: bytes) -> int:
        """Add a whole line, its end included; where it stands. Never raises: what cannot be written is kept, and gives -1."""
        with self._lock:
            try:
                return self._write(line)
            except OSError as error:
                self.failure = self.failure or error
                self.unwritten.append(line)
                return -1

    def note(self, entry: dict[str, Any]) -> None:
        """Add a line that is no outcome. Raises OSError when it, or any line before it, could not be written."""
        with self._lock:
            if self.failure is None:
                try:
                    self._write(line_of(entry))
                except OSError as error:
                    self.failure = error
            if self.failure is not None:
                raise OSError(self.failure.errno, self.failure.strerror, self.path)

    def _write(self, line: bytes) -> int:
        """Append in one piece, or leave the file as it was."""
        place = self._size + self._torn
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
        self._size = place + len(line)
        return place

    def write_again(self) -> bool:
        """Try once more to add what could not be written; whether all of it is there now."""
        with self._lock:
            while self.unwritten:
                try:
                    self._write(self.unwritten[0])
                except OSError:
                    return False
                del self.unwritten[0]
        return True

    def sync(self, *, now: bool = False) -> None:
        """Bring what was added to the disk, when that is due. Raises OSError."""
        if now or time.monotonic() - self._synced_at >= _SYNC_EVERY_S:
            os.fsync(self._descriptor)
            self._synced_at = time.monotonic()

    def is_at_its_path(self) -> bool:
        """Whether the file is still where it was opened: it, or its folder, may have been moved or deleted."""
        return self._held.is_at_its_path()

    def rescue(self) -> str:
        """Save what the journal's folder cannot hold into a new file, whose path this gives: whole lines of a journal.

        These are the lines that could not be written, and, where the journal itself is gone from its path, all others.
        Raises OSError.
        """
        descriptor, path = tempfile.mkstemp(prefix="llm-sync-rescued-", suffix=".part")
        with os.fdopen(descriptor, "wb") as file:
            if not self.is_at_its_path():
                with open(os.dup(self._descriptor), "rb") as lost:
                    lost.seek(0)
                    while chunk := lost.read(1 << 20):
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
        """Delete it: what it holds stands elsewhere. Raises OSError."""
        os.unlink(self.path)

    def close(self) -> None:
        """Let others have it, as soon as nobody writes to it any more."""
        with self._lock:
            self._closing = True
            self._close_at_last()

    def _close_at_last(self) -> None:
        if self._closing and not self._writers and not self._closed:
            self._closed = True
            os.close(self._descriptor)
            self._held.release()


def lines_of(path: str, since: int = 0) -> Iterator[tuple[int, bytes]]:
    """Every line of a journal but its first, from a place on; with its place. The last may be half a line. Raises OSError."""
    with open(path, "rb") as file:
        place = max(since, len(file.readline()))
        file.seek(place)
        for line in file:
            yield place, line
            place += len(line)


def unfinished(path: str, finished: Callable[[], Sum]) -> tuple[int, bool]:
    """Where in a journal that begins which the output does not hold, and whether a run from there on began anew (``--restart``).

    ``finished`` sums the output up; it is asked where a run came to its end but for the journal's removal. Raises OSError.
    """
    since, anew, there = 0, False, None
    for place, line in lines_of(path):
        if line.startswith(b'{"run"'):
            anew = anew or b'"anew": true' in line
        elif line.startswith(b'{"finished"'):
            there = there or finished()
            if line == line_of({"finished": there}):
                since, anew = place + len(line), False
    return since, anew


def line_of(entry: dict[str, Any]) -> bytes:
    """An entry as a line."""
    return json.dumps(entry, ensure_ascii=False, default=repr).encode("utf-8", "backslashreplace") + b"\n"


def _locked(path: str) -> FileLock:
    while True:
        try:
            held = FileLock(path, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            if error.errno in (errno.EISDIR, errno.ELOOP):  # a folder, a link: whosever it is, it is not followed
                raise _no_journal(path) from None
            raise
        try:
            free = held.lock(wait=False)
            if free and held.is_at_its_path():  # else the other one has just finished, and removed it
                return held
        except ConfigurationError:  # no file locks on this system
            _log.warning("%r is not locked, as this system has no file locks: keep other runs away from it", path)
            return held
        except BaseException:
            held.release()
            raise
        held.release()
        if not free:
            raise _taken(path)


def _opened(path: str) -> int:
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise _no_journal(path)
    return os.open(path, _APPENDING)


def _no_journal(path: str) -> LLMConnectorError:
    return LLMConnectorError(
        f"{path!r} exists, but is not the journal of a batch",
        guidance="Move it away, or name another output: a run keeps its journal there.",
    )


def _taken(path: str) -> LLMConnectorError:
    try:
        with open(path, "rb") as file:
            holder = file.read(_HEADER_SIZE)[_PID].decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        holder = ""
    return LLMConnectorError(
        f"{path!r} is being written by process {holder or 'of another batch'}",
        guidance="Wait until that has ended, or name another output.",
    )
