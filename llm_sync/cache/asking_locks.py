"""Locks that keep other processes of this user and machine from asking what one of them asks already.

The system releases them when their holder dies, however it dies. On Linux each is a lock on one byte of one of a few files, which
stay open: nothing is created or removed. Elsewhere each is a file of its own, which is removed after use.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING

from llm_sync.cache.in_flight import stopped
from llm_sync.errors import LLMConnectorError
from llm_sync.events import logger
from llm_sync.machine import locks
from llm_sync.machine.folder import private_folder, runtime_folder
from llm_sync.runtime import clock
from llm_sync.runtime.steps import Pause, Steps

if TYPE_CHECKING:
    from llm_sync.runtime.cancellation import CallControl

FOLDER = "asking"
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.005, 0.1  # between two looks at the lock of another process
_CHECKED_S = 5.0  # how long a runtime folder counts as checked
_FILES = 16  # to lock a byte takes longer the more bytes of a file are locked: 3 us, but 140 us with 10,000
_UNSUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)

Release = Callable[[], object]

_log = logger("cache")


class AskingLocks:
    """The locks for the requests of one store. Any thread may use them, but only one at a time for a key (see Flights).

    Where there are no file locks, or no runtime folder, ``acquire`` gives None at once: then each process asks.
    """

    def __init__(self, store: str) -> None:
        digest = blake2b(store.encode("utf-8", "surrogateescape"), digest_size=8).digest()
        self._number = int.from_bytes(digest, "big") >> 4  # 60 bits, so that positions in a file stay below 2**63
        self._folder = ""
        self._checked_at = -_CHECKED_S

    def acquire(self, key: str, control: CallControl, timeout: float) -> Steps[Release | None]:
        """In steps: lock a key; the result unlocks it, and never raises.

        Waits for another holder, at most ``timeout`` seconds; raises ClientClosedError if stopped.
        None if there can be no lock, or not in time: then the caller asks all the same.
        """
        until, wait = clock.now() + timeout, _FIRST_WAIT_S
        digest, _, sample = key.partition("-")
        position = (self._number ^ int(digest[:15], 16)) + int(sample or 0)
        while True:
            try:
                lock = self._acquire_now(position)
            except FileNotFoundError:
                self._checked_at = -_CHECKED_S  # somebody cleans up: make the folder anew
                lock = None
            except (OSError, LLMConnectorError) as error:
                _log.debug("no lock keeps other processes from asking the same: %s", error)
                return None
            if lock is not None or clock.now() >= until:
                return lock
            yield Pause(wait, control)
            if control.stopped:
                raise stopped()
            wait = min(wait * 1.5, _LONGEST_WAIT_S)

    def _acquire_now(self, position: int) -> Release | None:
        folder = self._checked_folder()
        if locks.HAS_BYTE_LOCKS:
            try:
                return _lock_byte(folder, position)
            except OSError as error:
                if error.errno not in _UNSUPPORTED:
                    raise
        file = locks.acquire(os.path.join(folder, f"{position:016x}.lock"))
        return None if file is None else partial(file.release, remove=True)

    def _checked_folder(self) -> str:
        now = clock.now()
        if now - self._checked_at >= _CHECKED_S:
            self._folder = private_folder(os.path.join(runtime_folder(), FOLDER))
            for file in list(_files.values()):
                file.check()
            self._checked_at = now
        return self._folder


class _LockFile:
    """An open file whose bytes are locked. It is in use for further locks while it is in ``_files``, and is closed once it is not
    and holds no lock."""

    def __init__(self, folder: str, number: int) -> None:
        self.folder = folder
        self._number = number
        self._file = locks.FileLock(os.path.join(folder, f"{number:x}.lock"), os.O_RDWR | os.O_CREAT)
        self._held: set[int] = set()

    def lock(self, position: int) -> bool | None:
        """Lock a byte. False: another process holds it; None: this file is of no use any more. Raises OSError."""
        self._held.add(position)  # before _files is read: retire changes that before it reads what is held
        try:
            usable = _files.get(self._number) is self and self._file.descriptor is not None  # a forked child has none
            if usable and not self._file.lock_byte(position):
                self._forget(position)
                return False
            if usable and not self._file.is_removed():
                return True
        except BaseException:
            self._forget(position)
            raise
        self.unlock(position)
        return None

    def unlock(self, position: int) -> None:
        """Unlock a byte. Never raises."""
        with contextlib.suppress(OSError):
            self._file.unlock_byte(position)
        self._forget(position)

    def check(self) -> None:
        """Retire it if its path leads to another file by now; else show that it is in use. Never raises."""
        with contextlib.suppress(OSError):
            if self._file.is_at_its_path():
                self._file.touch()
                return
        self.retire()

    def retire(self) -> None:
        """Use it for no further locks. May be repeated."""
        if _files.get(self._number) is self:
            _files.pop(self._number, None)
        self._close_if_unused()

    def _forget(self, position: int) -> None:
        self._held.discard(position)
        self._close_if_unused()

    def _close_if_unused(self) -> None:
        if not self._held and _files.get(self._number) is not self:
            self._file.release()


_files: dict[int, _LockFile] = {}
"""The files of this process that are in use, by number. Dictionaries and sets change atomically: no lock."""


def _lock_byte(folder: str, position: int) -> Release | None:
    """Lock a byte; the result unlocks it. None if another process holds it. Raises OSError."""
    number = position % _FILES
    while True:
        file = _files.get(number)
        if file is None or file.folder != folder:
            if file is not None:
                file.retire()
            opened = _LockFile(folder, number)
            file = _files.setdefault(number, opened)
            if file is not opened:  # another thread was faster
                opened.retire()
        locked = file.lock(position)
        if locked is not None:
            return partial(file.unlock, position) if locked else None
        file.retire()
