"""File locks (flock), which the system releases when their holder ends, however it ends.

A lock belongs to an open file, which a forked child shares with its parent: the lock would outlive the parent. So every
descriptor is registered here when it is opened, and a forked child closes them all. It unlocks none: that would release the
parent's lock.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import sys
import threading
from typing import Any

from llm_sync.errors import ConfigurationError

_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK if os.name == "posix" else 0  # non-blocking: it may turn out to be a FIFO

HAS_BYTE_LOCKS = sys.platform == "linux" and sys.maxsize > 2**32
"""Whether single bytes of a file can be locked for an open file, and not for a process (F_OFD_SETLK)."""
_BYTE_CHANGE = struct.Struct("hhqqi4x")  # struct flock of 64-bit Linux: type, whence, start, length, process


class _Registry:
    """The open lock files of this process."""

    def __init__(self) -> None:
        # Guards locks, and is held while a descriptor is opened or closed (no other I/O). Forks wait for it; otherwise a child
        # could inherit an unregistered descriptor, or close a number that is in use for something else by now.
        # Re-entrant: the garbage collector may release a lock.
        self.lock = threading.RLock()
        self.locks: set[FileLock] = set()
        self.process = os.getpid()


class FileLock:
    """One open lock file, registered until released; then, and in a forked child, ``descriptor`` is None.

    Any thread may call its methods.
    """

    def __init__(self, path: str, flags: int) -> None:
        """Open ``path`` (mode 0600 if created). Raises OSError."""
        self.path = path
        self.descriptor: int | None = None
        with _own_registry().lock:
            self.descriptor = os.open(path, flags | _FLAGS, 0o600)
            _registry.locks.add(self)

    def release(self, *, remove: bool = False) -> None:
        """Close the file, which releases the lock; ``remove``: unlink it first. May be repeated; never raises."""
        with _own_registry().lock:
            if self.descriptor is None:
                return
            if remove:
                with contextlib.suppress(OSError):
                    os.unlink(self.path)
            self._close()

    def _close(self) -> None:
        if self.descriptor is not None:
            descriptor, self.descriptor = self.descriptor, None
            _registry.locks.discard(self)
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def lock(self, *, shared: bool = False, wait: bool = True) -> bool:
        """Lock it; False if another process holds it and ``wait`` is False. Raises OSError."""
        fcntl = _fcntl()
        operation = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(_require_open(self.descriptor), operation if wait else operation | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def lock_byte(self, position: int) -> bool:
        """Lock one byte, which need not exist, for this open file; False if it is locked for another one. Raises OSError.

        Only where HAS_BYTE_LOCKS is set, and the system may refuse it all the same.
        """
        fcntl = _fcntl()
        change = _BYTE_CHANGE.pack(fcntl.F_WRLCK, os.SEEK_SET, position, 1, 0)
        try:
            fcntl.fcntl(_require_open(self.descriptor), fcntl.F_OFD_SETLK, change)
        except BlockingIOError:
            return False
        return True

    def unlock_byte(self, position: int) -> None:
        """Unlock a byte. Raises OSError."""
        fcntl = _fcntl()
        change = _BYTE_CHANGE.pack(fcntl.F_UNLCK, os.SEEK_SET, position, 1, 0)
        fcntl.fcntl(_require_open(self.descriptor), fcntl.F_OFD_SETLK, change)

    def is_removed(self) -> bool:
        """Whether the file is in no folder any more. Raises OSError."""
        return os.fstat(_require_open(self.descriptor)).st_nlink == 0

    def touch(self) -> None:
        """Show jobs that clean temporary folders that it is in use. Raises OSError."""
        os.utime(_require_open(self.descriptor))

    def write(self, content: bytes) -> None:
        """Write a new file in one call. Raises OSError."""
        if os.write(_require_open(self.descriptor), content) != len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.path)

    def read(self, most: int) -> bytes:
        """The content of the file, at most so many bytes. Raises OSError."""
        return os.pread(_require_open(self.descriptor), most, 0)

    def set_once(self, number: int) -> bool:
        """Set the byte of this number, under the lock, which is then released; False if it was set before. Raises OSError."""
        descriptor, fcntl = _require_open(self.descriptor), _fcntl()
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            if os.pread(descriptor, 1, number) == b"x":
                return False
            os.pwrite(descriptor, b"x", number)
            return True
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)

    def write_owner(self, content: bytes) -> None:
        """Replace the content by a description of the lock's holder, for people. Failures are ignored."""
        with contextlib.suppress(OSError):
            os.pwrite(_require_open(self.descriptor), content, 0)
            os.ftruncate(_require_open(self.descriptor), len(content))

    def rename(self, path: str) -> None:
        """Move the file to ``path``, replacing what is there. Raises OSError."""
        os.rename(self.path, path)
        self.path = path

    def is_at_its_path(self) -> bool:
        """Whether its path still leads to this very file."""
        try:
            return os.path.samestat(os.fstat(_require_open(self.descriptor)), os.lstat(self.path))
        except FileNotFoundError:
            return False


_registry = _Registry()


def acquire(path: str) -> FileLock | None:
    """Lock ``path`` exclusively, creating it if missing; None if it is locked. Raises OSError."""
    while True:
        lock = FileLock(path, os.O_RDWR | os.O_CREAT)
        try:
            if not lock.lock(wait=False):
                lock.release()
                return None
            if lock.is_at_its_path():  # otherwise somebody removed it, and the next process would lock a new file
                lock.touch()
                return lock
        except BaseException:
            lock.release()
            raise
        lock.release()


def create(path: str) -> FileLock:
    """A new file, locked exclusively. Raises OSError (FileExistsError if it exists)."""
    lock = FileLock(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        lock.lock()
    except BaseException:
        lock.release(remove=True)
        raise
    return lock


def owner_is_alive(path: str) -> bool:
    """Whether the process that locked ``path`` is alive; a dead one's file is removed. Raises OSError."""
    try:
        lock = FileLock(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        if not lock.lock(shared=True, wait=False):
            return True
        if lock.is_at_its_path():  # otherwise its owner has just replaced it, or another process has just removed it
            os.unlink(path)
            return False
    except FileNotFoundError:
        return False
    finally:
        lock.release()
    return owner_is_alive(path)


def is_locked(path: str) -> bool:
    """Whether some process holds the lock on ``path`` now. Raises OSError."""
    try:
        lock = FileLock(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not lock.lock(shared=True, wait=False)
    finally:
        lock.release()


def _require_open(descriptor: int | None) -> int:
    """Raises OSError for a lock that was released meanwhile, by its owner or by a fork."""
    if descriptor is None:
        raise OSError("the lock is released")
    return descriptor


def _fcntl() -> Any:
    try:
        import fcntl
    except ImportError:
        raise ConfigurationError("there are no file locks (flock) on this system") from None
    return fcntl


# Forks


def _own_registry() -> _Registry:
    """This process's registry. In a child whose fork hooks have not run yet, inherited descriptors are closed first."""
    _reset_in_child()
    return _registry


def _reset_in_child() -> None:
    if _registry.process != os.getpid():
        _registry.process = os.getpid()
        _registry.lock = threading.RLock()
        for lock in list(_registry.locks):
            lock._close()  # noqa: SLF001  (same module)


def _before_fork() -> None:
    _registry.lock.acquire()


def _after_fork() -> None:
    _registry.lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_reset_in_child)
