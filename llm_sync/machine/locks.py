"""Locks on files (flock): freed by the system when their holder ends, however it ends.

A lock belongs to an open file, and a forked child shares its parent's: the lock would outlive the parent. So every
descriptor is listed here from its opening on, and children close them all. They unlock none: that would free the parent's.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from typing import Any

from llm_sync.errors import ConfigurationError

_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK if os.name == "posix" else 0  # non-blocking: a FIFO in a file's place


class _Open:
    """The descriptors of this process."""

    def __init__(self) -> None:
        # Guards locks, and is held while one is opened or closed (no other I/O): forks wait for it, or a child would inherit
        # what is not listed, or close what is somebody else's by now. Re-entrant: the garbage collector may release a lock.
        self.lock = threading.RLock()
        self.locks: set[FileLock] = set()
        self.process = os.getpid()


class FileLock:
    """One open lock file, listed until it is released; ``descriptor`` is None from then on, and in a forked child.

    Any thread may call its methods.
    """

    def __init__(self, path: str, flags: int) -> None:
        """Open ``path`` (mode 0600 where it is made). Raises OSError."""
        self.path = path
        self.descriptor: int | None = None
        with _mine().lock:
            self.descriptor = os.open(path, flags | _FLAGS, 0o600)
            _open.locks.add(self)

    def release(self, *, remove: bool = False) -> None:
        """Close the file, and so free the lock; ``remove``: unlink it first. May be repeated; never fails."""
        with _mine().lock:
            if self.descriptor is None:
                return
            if remove:
                with contextlib.suppress(OSError):
                    os.unlink(self.path)
            self._close()

    def _close(self) -> None:
        if self.descriptor is not None:
            descriptor, self.descriptor = self.descriptor, None
            _open.locks.discard(self)
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def lock(self, *, shared: bool = False, wait: bool = True) -> bool:
        """Lock it; False when another holds it, and this is not to wait. Raises OSError."""
        fcntl = _fcntl()
        how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(_number(self.descriptor), how if wait else how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def write(self, content: bytes) -> None:
        """Write a new file, at once. Raises OSError."""
        if os.write(_number(self.descriptor), content) != len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.path)

    def mark(self, content: bytes) -> None:
        """Say who holds the lock, for those who look: in place of what the last one said. What cannot be written is left out."""
        with contextlib.suppress(OSError):
            os.pwrite(_number(self.descriptor), content, 0)
            os.ftruncate(_number(self.descriptor), len(content))

    def rename(self, path: str) -> None:
        """Put the file at ``path``, in place of what is there. Raises OSError."""
        os.rename(self.path, path)
        self.path = path

    def is_at_its_path(self) -> bool:
        """Whether the path still leads to this very file."""
        try:
            return os.path.samestat(os.fstat(_number(self.descriptor)), os.lstat(self.path))
        except FileNotFoundError:
            return False


_open = _Open()


def take(path: str, *, wait: bool) -> FileLock | None:
    """Lock ``path`` for this process alone, making the file if need be; None when it is locked and ``wait`` is False.

    Waiting cannot be interrupted. Raises OSError.
    """
    while True:
        found = FileLock(path, os.O_RDWR | os.O_CREAT)
        try:
            if not found.lock(wait=wait):
                found.release()
                return None
            if found.is_at_its_path():  # else somebody cleaned up, and the next one will lock a new file
                os.utime(_number(found.descriptor))  # used just now: who cleans temporary folders goes by that
                return found
        except BaseException:
            found.release()
            raise
        found.release()


def create(path: str) -> FileLock:
    """A new file, locked for this process alone. Raises OSError (FileExistsError where there is one)."""
    made = FileLock(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        made.lock()
    except BaseException:
        made.release(remove=True)
        raise
    return made


def lives(path: str) -> bool:
    """Whether the process that locked ``path`` lives; what a dead one left is removed. Raises OSError."""
    try:
        found = FileLock(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        if not found.lock(shared=True, wait=False):
            return True
        if found.is_at_its_path():  # else its owner has just replaced it, or somebody else was quicker
            os.unlink(path)
            return False
    except FileNotFoundError:
        return False
    finally:
        found.release()
    return lives(path)


def is_locked(path: str) -> bool:
    """Whether somebody holds the lock on ``path`` at this moment. Raises OSError."""
    try:
        found = FileLock(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not found.lock(shared=True, wait=False)
    finally:
        found.release()


def wait_until_free(path: str) -> None:
    """Block until nobody holds the lock on ``path``. Cannot be interrupted. Raises OSError."""
    try:
        found = FileLock(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        found.lock(shared=True)
    finally:
        found.release()


def _number(descriptor: int | None) -> int:
    """Raises OSError for a lock that was released meanwhile, by its owner's end or a fork."""
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


def _mine() -> _Open:
    """What is open; in a child that has not run its hooks yet, what was inherited is closed first."""
    _in_child()
    return _open


def _in_child() -> None:
    if _open.process != os.getpid():
        _open.process = os.getpid()
        _open.lock = threading.RLock()
        for lock in list(_open.locks):
            lock._close()  # noqa: SLF001  (this module's)


def _before_fork() -> None:
    _open.lock.acquire()


def _after_fork() -> None:
    _open.lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)
