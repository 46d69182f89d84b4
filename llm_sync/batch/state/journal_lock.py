"""Who may write a journal: one process at a time, by a file lock, and by the header where locks do not hold.

On some network file systems a lock holds on one machine only. So the owner of a journal changes the file's time every second,
and a run that finds another owner in the header watches for that before it takes the journal over. The owner also notices if
another run has written its own header.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import threading
import time

from llm_sync.batch.state.journal_format import HEADER_SIZE, Owner, read_header, this_owner
from llm_sync.errors import ConfigurationError, LLMConnectorError
from llm_sync.events import logger
from llm_sync.machine.locks import FileLock
from llm_sync.machine.regular_files import open_regular_file

BEAT_S = 1.0
WATCH_S = 2.5  # more than two beats
_POLL_S = 0.1

live_tokens: set[str] = set()
"""The tokens of the journals that this process has open."""

_log = logger("batch")


def locked(path: str) -> FileLock:
    """The file at a path, made if need be, locked for this process.

    Raises OSError; LLMConnectorError if another process owns it, or it is not a file.
    """
    while True:
        try:
            lock = FileLock(path, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            if error.errno in (errno.EISDIR, errno.ELOOP):  # a folder, or a link, which is not followed
                raise not_a_journal(path) from None
            raise
        try:
            free = lock.lock(wait=False)
            if free and lock.is_at_its_path():  # otherwise the other process has just finished, and removed the file
                _refuse_living_owner(path)
                return lock
        except ConfigurationError:  # no file locks on this system
            _log.warning("%r cannot be locked, because this system has no file locks: start no other run on it", path)
            _refuse_living_owner(path)
            return lock
        except BaseException:
            lock.release()
            raise
        lock.release()
        if not free:
            raise owned(path, _state(path)[1])


def _refuse_living_owner(path: str) -> None:
    """Raise LLMConnectorError if the owner in the header still writes, although the lock was free. May take WATCH_S."""
    before = _state(path)
    owner = before[1]
    if owner is None or not _may_live(owner):
        return
    _log.info("%r was not closed by process %d: watching for %g s whether it still runs", path, owner.pid, WATCH_S)
    end = time.monotonic() + WATCH_S
    while time.monotonic() < end:
        time.sleep(_POLL_S)
        if _state(path) != before:
            raise owned(path, owner, lock_failed=True)


def _state(path: str) -> tuple[tuple[int, int], Owner | None]:
    """The file's size and time of change, and the owner in its header. A network file system is asked anew at each opening."""
    try:
        with open_regular_file(path, max_bytes=sys.maxsize) as file:
            status = os.fstat(file.fileno())
            header = read_header(file.read(HEADER_SIZE))
    except OSError:  # a named pipe, or removed meanwhile
        return (0, 0), None
    return (status.st_size, status.st_mtime_ns), None if header is None else header[0]


def _may_live(owner: Owner) -> bool:
    """Whether the process may still run: on another machine nobody knows."""
    if not owner.pid:
        return False
    here = this_owner()
    if owner.host and (owner.host, owner.boot) != (here.host, here.boot):
        return True
    if owner.pid == here.pid and owner.token not in live_tokens:
        return False  # this process, or an earlier one with its number
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


class Heartbeat:
    """Changes the time of a locked file once a second, so that others see that its owner lives."""

    def __init__(self, lock: FileLock) -> None:
        self._lock = lock
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        if os.utime in os.supports_fd:
            self._thread = threading.Thread(target=self._run, name="llm-sync-batch-heartbeat", daemon=True)
            with contextlib.suppress(RuntimeError):  # no thread can be started: the lock has to do
                self._thread.start()

    def _run(self) -> None:
        while not self._stopping.wait(BEAT_S):
            with contextlib.suppress(OSError, TypeError):  # no descriptor: released meanwhile
                os.utime(self._lock.descriptor)  # type: ignore[arg-type]

    def stop(self) -> None:
        """Stop at once; the thread ends by itself."""
        self._stopping.set()

    def join(self) -> None:
        """After ``stop``: wait until the thread has ended, at most a second, should the file system hang."""
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(BEAT_S)


def not_a_journal(path: str) -> LLMConnectorError:
    """Another file is where the journal should be."""
    return LLMConnectorError(
        f"{path!r} exists, but is not the journal of a batch",
        guidance="Move it away, or name another output: the run needs this path for its journal.",
    )


def owned(path: str, owner: Owner | None, *, lock_failed: bool = False) -> LLMConnectorError:
    """Another process writes the journal. ``lock_failed``: although it could be locked."""
    here = this_owner()
    elsewhere = f" on {owner.host}" if owner is not None and owner.host not in ("", here.host) else ""
    pid = owner.pid if owner is not None else 0
    why = ", and file locks do not hold in its folder" if lock_failed else ""
    seen = "" if elsewhere else " ('llm-sync status' shows how far it is)"
    return LLMConnectorError(
        f"{path!r} is being written by process {pid or 'of another batch'}{elsewhere}{why}",
        guidance=f"Wait until it has ended{seen}, or stop it: the same command then goes on from there. Or name another output.",
    )
