"""The spool of a worker: each outcome is appended to a file on its machine before it is reported.

A frame has two parts, each with its length: the outcome as the coordinator of the same run reads it (pickled), and for an answer
the line that a later run takes over (plain text, checked by that run). A lock on the file tells whether its worker lives. A byte
in the folder's FIFO tells the coordinator that there is something to read.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import struct
import threading
import zlib
from collections.abc import Iterable, Iterator

from llm_sync.engines import task_pipe
from llm_sync.machine import locks

SUFFIX = ".spool"
_NEW = ".new"
BELL, CLAIMS = "bell", "claims"
_MAGIC = b"LSP1"
_HEAD = struct.Struct(">4sIII")  # magic, bytes of the outcome, bytes of the line, checksum of both
_CHUNK = 1 << 20
_MAX_FILE = 1 << 26  # bytes; the coordinator removes full files when their outcomes are in the journal
_MAX_FRAME = 1 << 28  # bytes; whatever says that it is longer is damaged


class Spool:
    """The spool that this process writes. Any thread may add to it.

    The lock on the first file tells that the worker lives. What is too long for it goes into further files.
    ``is_read``: whether the coordinator reads them, and removes those; otherwise the last two are kept.
    """

    def __init__(self, folder: str, worker: str, *, is_read: bool = True) -> None:
        """Create the file. Raises OSError; ConfigurationError on systems without file locks."""
        self.path = os.path.join(folder, worker.replace("/", "_") + SUFFIX)
        self._is_read = is_read
        self._first = self._file = _create_locked(self.path)
        self._written = 0
        self._number = 0
        self._lock = threading.Lock()  # guards the order of writes
        self._bell = os.path.join(folder, BELL)
        self._ringer: int | None = None

    def add(self, outcome: bytes, line: bytes) -> None:
        """Append one outcome. Raises OSError."""
        self.add_all([(outcome, line)])

    def add_all(self, frames: Iterable[tuple[bytes, bytes]]) -> None:
        """Append several, each an outcome and its line, in one write. Raises OSError."""
        parts: list[bytes] = []
        for outcome, line in frames:
            checksum = zlib.crc32(line, zlib.crc32(outcome))
            parts += _HEAD.pack(_MAGIC, len(outcome), len(line), checksum), outcome, line
        content = b"".join(parts)
        with self._lock:
            if self._written > _MAX_FILE:
                self._begin_file()
            self._file.write(content)
            self._written += len(content)
            self._ring()

    def _begin_file(self) -> None:
        former = self._file
        self._number += 1
        self._file = _create_locked(further_file(self.path, self._number))
        self._written = 0
        if former is not self._first:
            former.release()
        if not self._is_read and self._number > 2:
            os.unlink(further_file(self.path, self._number - 2))

    def _ring(self) -> None:
        try:
            if self._ringer is None:
                self._ringer = os.open(self._bell, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.write(self._ringer, b"!")
        except BlockingIOError:
            pass  # full: it will be heard
        except OSError:  # nobody listens: the coordinator looks by itself, if it lives
            if self._ringer is not None:
                os.close(self._ringer)
            self._ringer = None

    def close(self) -> None:
        """Release the lock: nothing more comes."""
        with self._lock:
            if self._ringer is not None:
                os.close(self._ringer)
                self._ringer = None
            self._file.release()
            self._first.release()


def _create_locked(path: str) -> locks.FileLock:
    """A new file, which has no spool's name until it is locked: the coordinator would take its worker for dead."""
    file = locks.create(path + _NEW)
    os.rename(path + _NEW, path)
    file.path = path
    return file


def further_file(path: str, number: int) -> str:
    """The path of a further file of the spool at ``path``."""
    return f"{path.removesuffix(SUFFIX)}.{number}{SUFFIX}"


def is_further(path: str) -> bool:
    """Whether it is such a path; a worker's name has no dot in its last part."""
    return "." in os.path.basename(path).removesuffix(SUFFIX).rpartition(":")[2]


class SpoolFile:
    """A spool as the coordinator, or a later run, reads it, while it grows. One thread uses it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        self._rest = b""

    def read(self) -> Iterator[tuple[bytes, bytes]]:
        """The frames that have been added since: outcome and line. A damaged frame ends the file."""
        size = _CHUNK
        while size == _CHUNK and len(self._rest) <= _MAX_FRAME:
            chunk = os.read(self._descriptor, _CHUNK)
            size = len(chunk)
            self._rest += chunk
            offset = 0
            while (frame := self._frame(offset)) is not None:
                offset += _HEAD.size + len(frame[0]) + len(frame[1])
                yield frame
            self._rest = self._rest[offset:]

    def _frame(self, offset: int) -> tuple[bytes, bytes] | None:
        """The whole frame at an offset of what was read; None if there is none yet."""
        if len(self._rest) - offset < _HEAD.size:
            return None
        magic, first, second, checksum = _HEAD.unpack_from(self._rest, offset)
        begin = offset + _HEAD.size
        if magic != _MAGIC or len(self._rest) < begin + first + second:
            return None
        outcome = self._rest[begin : begin + first]
        line = self._rest[begin + first : begin + first + second]
        return (outcome, line) if zlib.crc32(line, zlib.crc32(outcome)) == checksum else None

    def is_written(self) -> bool:
        """Whether its worker lives."""
        return locks.is_locked(self.path)

    def close(self) -> None:
        """Stop reading."""
        os.close(self._descriptor)


def make_folder(path: str) -> None:
    """Make a folder for spools, or empty the one that a former run has left. Raises OSError if it is not this user's own."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    require_private(path)
    _remove_files(path)


def require_private(path: str) -> None:
    """Raise PermissionError if a path is a link, or is not a folder that only this user can write to."""
    info = os.lstat(path)
    if not stat.S_ISDIR(info.st_mode) or info.st_mode & 0o022 or info.st_uid != os.getuid():
        raise PermissionError(errno.EPERM, "it must be a folder that only this user can write to", path)


def remove_folder(path: str) -> None:
    """Remove the spools, and the folder if nothing else is in it. A link is left alone."""
    with contextlib.suppress(OSError):
        require_private(path)
        _remove_files(path)
        os.rmdir(path)


def _remove_files(path: str) -> None:
    for name in os.listdir(path):
        if name.endswith((SUFFIX, SUFFIX + _NEW, task_pipe.SUFFIX)) or name == BELL or name.startswith(CLAIMS):
            os.unlink(os.path.join(path, name))


def spools_in(folder: str) -> list[str]:
    """The paths of the spools in a folder; none if there is no such folder."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return sorted(entry.path for entry in os.scandir(folder) if entry.name.endswith(SUFFIX))
    return []
