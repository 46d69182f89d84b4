"""One conversation: its file read without a lock, and taken for one turn at a time with one.

The lock is on the file itself (machine/locks.py). Who goes on with a conversation holds it from before the earlier turns are read
until the new one is written: so every answer was given to all turns that stand before it, whatever number of processes ask.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import time
from collections.abc import Callable
from typing import NamedTuple

from llm_sync.errors import ConfigurationError
from llm_sync.history import folder as folders
from llm_sync.history.folder import NoConversation
from llm_sync.history.turn import Turn, UnreadableLine, decode
from llm_sync.machine import locks
from llm_sync.machine.locks import FileLock

_LONGEST_PAUSE_S = 0.2
_SAYS_AFTER_S = 1.0
_READ = os.O_RDONLY
for _name in ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY", "O_BINARY"):
    _READ |= getattr(os, _name, 0)


class Content(NamedTuple):
    """The turns in order, and the number of lines that are none: cut by a crash, or changed."""

    turns: tuple[Turn, ...]
    damaged: int


def read(folder: str, name: str) -> Content:
    """What a conversation holds now. Raises NoConversation if it is gone, ConfigurationError if its file cannot be read."""
    path = folders.path_of(folder, name)
    try:
        descriptor = os.open(path, _READ)
    except FileNotFoundError:
        raise _gone(name) from None
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from None
    try:
        return _content(descriptor, path)
    finally:
        os.close(descriptor)


def delete(folder: str, name: str) -> bool:
    """Remove a conversation; False if it is in use. Raises NoConversation, ConfigurationError."""
    path = folders.path_of(folder, name)
    lock = _opened(path, name)
    try:
        if not lock.lock(wait=False):
            return False
        if not lock.is_at_its_path():
            raise _gone(name)
        os.unlink(path)
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from None
    finally:
        lock.release()
    return True


class Conversation:
    """A conversation that this process has to itself until ``close``. Not for several threads at once."""

    def __init__(self, name: str, lock: FileLock) -> None:
        self.name = name
        self._lock = lock

    @classmethod
    def create(cls, folder: str) -> Conversation:
        """A new one. Raises ConfigurationError where it cannot be written."""
        folders.prepare(folder)
        while True:
            name = folders.new_id()
            path = folders.path_of(folder, name)
            try:
                return cls(name, locks.create(path))
            except FileExistsError:
                continue
            except OSError as error:
                raise _unusable(path, error.strerror or str(error)) from None

    @classmethod
    def take(cls, folder: str, name: str, on_wait: Callable[[], object] = lambda: None) -> Conversation:
        """An existing one, as soon as no other process has it; ``on_wait`` is called once if that takes a while.

        Raises NoConversation if it is gone, or was deleted meanwhile, ConfigurationError if its file cannot be used.
        """
        folders.prepare(folder)
        path = folders.path_of(folder, name)
        lock = _opened(path, name)
        try:
            _wait(lock, on_wait)
            is_there = lock.is_at_its_path()
        except BaseException as error:
            lock.release()
            if isinstance(error, OSError):
                raise _unusable(path, error.strerror or str(error)) from None
            raise
        if not is_there:
            lock.release()
            raise _gone(name)
        return cls(name, lock)

    def content(self) -> Content:
        """What it holds. Raises ConfigurationError."""
        return _content(_descriptor(self._lock), self._lock.path)

    def append(self, line: str) -> None:
        """Add a turn, as a whole line or not at all. Raises OSError, also for what would be too large: the file is as it was."""
        descriptor = _descriptor(self._lock)
        size = os.fstat(descriptor).st_size
        cut = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"  # a process was killed in the middle of a line
        rest, at = memoryview(("\n" * cut + line + "\n").encode("utf-8")), size
        if size + len(rest) > folders.MAX_BYTES:  # nobody could read it
            raise OSError(errno.EFBIG, f"it would be larger than {folders.MAX_BYTES >> 20} MiB", self._lock.path)
        try:
            while rest:
                written = os.pwrite(descriptor, rest, at)
                rest, at = rest[written:], at + written
            os.fsync(descriptor)
        except BaseException:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, size)
            raise

    def close(self) -> None:
        """Let others have it. One in which nothing was said is removed. May be repeated; never raises."""
        empty = False
        with contextlib.suppress(OSError):
            empty = self._lock.descriptor is not None and os.fstat(self._lock.descriptor).st_size == 0
        self._lock.release(remove=empty)


def _opened(path: str, name: str) -> FileLock:
    """The file of a conversation, open and checked, not locked. Raises NoConversation, ConfigurationError."""
    try:
        lock = FileLock(path, os.O_RDWR)
    except FileNotFoundError:
        raise _gone(name) from None
    except OSError as error:
        raise _unusable(path, "it is a link" if error.errno == errno.ELOOP else error.strerror or str(error)) from None
    reason = folders.why_refused(os.fstat(_descriptor(lock)))
    if reason is not None:
        lock.release()
        raise _unusable(path, f"it {reason}")
    return lock


def _wait(lock: FileLock, on_wait: Callable[[], object]) -> None:
    """Wait until the lock is free. In short pauses, so that Ctrl-C is noticed."""
    pause, waited, said = 0.01, 0.0, False
    while not lock.lock(wait=False):
        nap = pause * (0.5 + random.random() / 2)  # noqa: S311  (no secret)
        time.sleep(nap)
        pause, waited = min(pause * 1.5, _LONGEST_PAUSE_S), waited + nap
        if waited > _SAYS_AFTER_S and not said:
            said = True
            on_wait()


def _content(descriptor: int, path: str) -> Content:
    reason = folders.why_refused(os.fstat(descriptor))
    if reason is not None:
        raise _unusable(path, f"it {reason}")
    try:
        content = _read_all(descriptor)
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from None
    turns: list[Turn] = []
    damaged = 0
    for line in content.split(b"\n")[:-1]:  # what has no end is being written, or was cut
        turn = _decoded(line)
        if turn is not None:
            turns.append(turn)
        elif line.strip():
            damaged += 1
    return Content(tuple(turns), damaged)


def _decoded(line: bytes) -> Turn | None:
    try:
        return decode(line) if line.strip() else None
    except UnreadableLine:
        return None


def _read_all(descriptor: int) -> bytes:
    pieces, at = [], 0
    while at <= folders.MAX_BYTES and (piece := os.pread(descriptor, 1 << 20, at)):
        pieces.append(piece)
        at += len(piece)
    return b"".join(pieces)


def _descriptor(lock: FileLock) -> int:
    """Raises OSError for a lock that was released, by its owner or by a fork."""
    if lock.descriptor is None:
        raise OSError(errno.EBADF, "the conversation is closed", lock.path)
    return lock.descriptor


def _gone(name: str) -> NoConversation:
    return NoConversation(f"the conversation {name} is gone")


def _unusable(path: str, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"the conversation {path!r} cannot be used: {reason}", guidance="Begin a new one, or look at this file."
    )
