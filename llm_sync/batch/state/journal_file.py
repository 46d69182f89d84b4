"""The file of a journal: locked, opened to append, with a header that names this process."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import zlib
from typing import NamedTuple

from llm_sync.batch.state.journal_format import HEADER_SIZE, Owner, header_of, is_begun, read_header, this_owner
from llm_sync.batch.state.journal_lock import Heartbeat, live_tokens, locked, not_a_journal

_CHUNK = 1 << 20
_FLAGS = os.O_RDWR | os.O_APPEND
for _name in ("O_CLOEXEC", "O_BINARY", "O_NOFOLLOW", "O_NONBLOCK"):  # non-blocking: a named pipe in its place
    _FLAGS |= getattr(os, _name, 0)


class HeaderState(NamedTuple):
    """Whose header is in the file: this process's (``ours``), or that of ``owner``; None: the header is damaged."""

    ours: bool
    owner: Owner | None


class JournalFile:
    """One open journal. ``size`` and ``crc``: what it should be, and the CRC-32 of what should follow the header, unless other
    programs write to it. One thread at a time.
    """

    def __init__(self, path: str) -> None:
        """Open or create the file. Raises OSError; LLMConnectorError if another process owns it, or it is not a journal."""
        self.path = path
        self._lock = locked(path)
        self._owner = this_owner()
        self._descriptor = -1
        self._torn = False  # the last line lacks its line end
        self.header_size = HEADER_SIZE
        try:
            self._descriptor = _opened(path, self._lock.descriptor)
            self.size = self._begin()
            self.crc = self.actual_crc()
        except BaseException as error:
            if isinstance(error, OSError):
                self._remove_if_empty()  # the disk is full
            self._close()
            raise
        live_tokens.add(self._owner.token)
        self._heartbeat = Heartbeat(self._lock)

    def _begin(self) -> int:
        """Write this process into the header, or begin a new journal. Returns the size."""
        start = self.read(0, HEADER_SIZE)
        if is_begun(start):  # new, or its first run was killed at once
            os.ftruncate(self._descriptor, 0)
        else:
            known = read_header(start)
            if known is None:
                raise not_a_journal(self.path)
            self.header_size = known[1]
            self._torn = self.read(self.actual_size() - 1, 1) != b"\n"
        self._write_header(self._owner.pid)
        return self.actual_size()

    def _remove_if_empty(self) -> None:
        with contextlib.suppress(OSError):
            if self._lock.descriptor is not None and not os.fstat(self._lock.descriptor).st_size:
                os.unlink(self.path)

    def actual_size(self) -> int:
        """The size of the file now. Raises OSError."""
        return os.fstat(self._descriptor).st_size

    def actual_crc(self, end: int = sys.maxsize) -> int:
        """The CRC-32 of what stands between the header and an offset now. Raises OSError."""
        crc, offset = 0, self.header_size
        while chunk := self.read(offset, min(_CHUNK, max(0, end - offset))):
            crc, offset = zlib.crc32(chunk, crc), offset + len(chunk)
        return crc

    def is_at_its_path(self) -> bool:
        """Whether the path still leads to the open file."""
        return self._lock.is_at_its_path()

    def read(self, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes. Raises OSError."""
        os.lseek(self._descriptor, max(0, offset), os.SEEK_SET)  # does not matter to writes, which append
        content = b""
        while chunk := os.read(self._descriptor, length - len(content)):
            content += chunk
        return content

    def write(self, line: bytes) -> None:
        """Append in one piece, after ending a torn line, or leave the file unchanged. Raises OSError."""
        content = b"\n" + line if self._torn else line
        written = 0
        try:
            written = os.write(self._descriptor, content)
            while written < len(content):
                written += os.write(self._descriptor, content[written:])
        except OSError:
            if written:
                self._take_back(written)
            raise
        self._torn = False
        self.size += len(content)
        self.crc = zlib.crc32(content, self.crc)

    def _take_back(self, written: int) -> None:
        """Remove a partial line, unless another program has added something after it."""
        with contextlib.suppress(OSError):
            size = self.actual_size()
            if os.lseek(self._descriptor, 0, os.SEEK_CUR) == size:
                os.ftruncate(self._descriptor, size - written)
                return
        self._torn = True
        self.size += written  # ``crc`` is wrong from here on, so the file is written again at the end

    def end_line(self) -> None:
        """Let the next write begin a new line."""
        self._torn = True

    def sync(self) -> None:
        """Flush to the disk. Raises OSError."""
        os.fsync(self._descriptor)

    def header_state(self) -> HeaderState:
        """Whose header is in the file. Raises OSError."""
        known = read_header(self.read(0, HEADER_SIZE))
        if known is None:
            return HeaderState(False, None)
        token = self._owner.token if known[1] == HEADER_SIZE else ""
        return HeaderState((known[0].pid, known[0].token) == (self._owner.pid, token), known[0])

    def repair_header(self) -> None:
        """Write this process's header over whatever is in its place. Raises OSError."""
        if self.actual_size() < HEADER_SIZE:
            os.ftruncate(self._descriptor, 0)
        self.header_size = HEADER_SIZE
        self._write_header(self._owner.pid)

    def _write_header(self, pid: int) -> None:
        """In place, by the lock's descriptor: the other one appends."""
        descriptor = self._lock.descriptor
        if descriptor is None:
            raise OSError(errno.EBADF, "the journal is closed", self.path)
        os.lseek(descriptor, 0, os.SEEK_SET)
        rest = header_of(self._owner._replace(pid=pid), self.header_size)
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    def duplicate(self) -> int:
        """Another descriptor of the file. Raises OSError."""
        return os.dup(self._descriptor)

    def close(self) -> None:
        """Note in the header that this process has closed it, and unlock it."""
        self._heartbeat.stop()
        with contextlib.suppress(OSError):
            if self.header_state().ours:
                self._write_header(0)
        self._close()
        self._heartbeat.join()  # last: Ctrl-C during the wait leaves nothing locked

    def _close(self) -> None:
        live_tokens.discard(self._owner.token)
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._lock.release()


def _opened(path: str, locked_descriptor: int | None) -> int:
    """The locked file, opened to append. Raises OSError; LLMConnectorError for anything else than a file."""
    descriptor = os.open(path, _FLAGS)
    status = os.fstat(descriptor)
    same = locked_descriptor is not None and os.path.samestat(status, os.fstat(locked_descriptor))
    if same and stat.S_ISREG(status.st_mode):
        return descriptor
    os.close(descriptor)
    if same:
        raise not_a_journal(path)
    raise OSError(errno.EAGAIN, "it was replaced while it was opened", path)
