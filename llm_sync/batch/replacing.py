"""Replaces a file by a new one: written beside it, read back, and renamed, so that the path never has a partial file."""

from __future__ import annotations

import contextlib
import gzip
import os
import stat
import tempfile
import zlib
from collections.abc import Iterator
from typing import IO

from llm_sync.batch import errors as batch_errors

_GZIP_LEVEL = 6
_CHUNK = 1 << 20
# Exclusive: nothing that another user has put there is written to.
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL
for _name in ("O_CLOEXEC", "O_BINARY", "O_NOFOLLOW"):
    _NEW |= getattr(os, _name, 0)


@contextlib.contextmanager
def replacing(output: str, beside: str | None = None) -> Iterator[IO[bytes]]:
    """A new file to write to (gzip if ``output`` ends in .gz), which replaces ``output`` if the block succeeds.

    ``beside``: its path until then, used by no one else; None for a new temporary one. Raises OSError; LLMConnectorError if
    another program has changed the new file.
    """
    folder = os.path.dirname(output)
    if beside is None:
        descriptor, beside = tempfile.mkstemp(dir=folder, prefix=f".{os.path.basename(output)[:100]}.")
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)  # what a killed run left
        descriptor = os.open(beside, _NEW, 0o600)
    try:
        with os.fdopen(descriptor, "w+b", buffering=1 << 18) as file:
            os.chmod(beside, _mode(output))
            checked = _CheckedFile(file)
            if output.endswith(".gz"):
                # Without name and time in the header, the same answers make the same file.
                with gzip.GzipFile("", "wb", _GZIP_LEVEL, checked, mtime=0) as zipped:
                    yield zipped  # type: ignore[misc]  # like the other one: it has all methods of IO[bytes] that are used
            else:
                yield checked  # type: ignore[misc]
            sync(file)
            checked.verify(beside, output)
            os.replace(beside, output)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
    _sync_folder(folder)


class _CheckedFile:
    """Writes to a file, and sums up what it writes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._size = self._crc = 0

    def write(self, content: bytes) -> int:
        """Write it."""
        self._size, self._crc = self._size + len(content), zlib.crc32(content, self._crc)
        return self._file.write(content)

    def flush(self) -> None:
        """Flush the file."""
        self._file.flush()

    def verify(self, path: str, output: str) -> None:
        """Read the file back. Raises LLMConnectorError unless it is at this path and holds what was written."""
        size = crc = 0
        self._file.seek(0)
        while chunk := self._file.read(_CHUNK):
            size, crc = size + len(chunk), zlib.crc32(chunk, crc)
        try:
            at_path = os.path.samestat(os.fstat(self._file.fileno()), os.lstat(path))
        except FileNotFoundError:
            at_path = False
        if not at_path or (size, crc) != (self._size, self._crc):
            raise batch_errors.damaged_output(path, f"{output}.part")


def sync(file: IO[bytes]) -> None:
    """Flush a file to the disk. Raises OSError."""
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: str) -> None:
    """Make the rename survive a power cut, before the journal is removed."""
    if os.name == "posix":
        descriptor = os.open(folder or ".", os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _mode(output: str) -> int:
    """The permissions of the file that is replaced, otherwise those of a new file."""
    try:
        return stat.S_IMODE(os.stat(output).st_mode)
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
