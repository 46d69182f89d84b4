"""The end of the process: queued work is done before it, or cancelled when Ctrl-C ended it; nothing is left pending.

Workers are no daemons, because daemons are killed in the middle of their work. So that they end, the drain below runs
before the interpreter joins its threads: by ``threading._register_atexit``, which concurrent.futures uses for the same
end. It is private; where it is missing, workers are daemons and the drain is an ordinary atexit function (which
multiprocessing's children do not run).
"""

from __future__ import annotations

import atexit
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from typing import Protocol

from llm_sync.events import logger
from llm_sync.runtime import fork

GRACE_S = 5.0  # what is in flight when Ctrl-C ends the process may take this long; then its socket is shut

_log = logger("dispatch")


class Drainable(Protocol):
    """What the end of the process asks of a queue."""

    def stop(self, cancel_pending: bool = False) -> None:
        """Refuse new work and let the workers end; returns at once."""

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the workers, at most ``timeout`` seconds; whether they ended."""

    def abort(self) -> None:
        """End what is in flight."""


class _Ending:
    """What this process's end depends on."""

    def __init__(self) -> None:
        self.lock = threading.Lock()  # guards queues (no adding while they are listed for the drain), ending and daemons
        self.queues: weakref.WeakSet[Drainable] = weakref.WeakSet()
        self.daemons: bool | None = None  # None: no drain is registered yet
        self.ending = False
        self.interrupted = False

    def reset_after_fork(self) -> None:
        """In the child: a lock that nobody holds, and a drain of its own (one inherited may run too: it finds no work)."""
        self.lock = threading.Lock()
        self.queues = weakref.WeakSet(list(self.queues))
        self.daemons = None
        self.interrupted = False


_state = _Ending()


def watch(queue: Drainable) -> None:
    """Drain ``queue`` when the process ends, if it still lives then. Any thread may call this."""
    fork.watch(_state)
    with _state.lock:
        _state.queues.add(queue)


def arm() -> bool:
    """Register the drain, once; whether worker threads must be daemons. Raises RuntimeError when it is too late."""
    with _state.lock:
        if _state.daemons is None:
            register = getattr(threading, "_register_atexit", None)
            if register is None:
                atexit.register(_drain_all)
            else:
                register(_drain_all)
            _state.daemons = register is None
        return _state.daemons


def ending() -> bool:
    """Whether the process is past its last statement: from then on no request is taken."""
    # _SHUTTING_DOWN: between the end of the main thread and our drain, other libraries' hooks run.
    return _state.ending or bool(getattr(threading, "_SHUTTING_DOWN", False)) or sys.is_finalizing()


def note_interrupt() -> None:
    """Ctrl-C ended a blocking call; if the process ends before the main thread submits again, Ctrl-C ended it."""
    _state.interrupted = True


def forget_interrupt() -> None:
    """The main thread goes on working (calls from other threads change nothing)."""
    if _state.interrupted and threading.current_thread() is threading.main_thread():
        _state.interrupted = False


def drain(queues: Sequence[Drainable], *, cancel_pending: bool = False, grace: float | None = None) -> None:
    """Close all ``queues`` together and wait for their workers.

    After ``grace`` seconds (None: never) what is still in flight is aborted. An interrupt ends the wait at once.
    """
    for queue in queues:
        queue.stop(cancel_pending)
    until = None if grace is None else time.monotonic() + grace
    late = [queue for queue in queues if not queue.join(None if until is None else max(0.0, until - time.monotonic()))]
    for queue in late:
        queue.abort()
    for queue in late:
        queue.join()


def _drain_all() -> None:
    queues: list[Drainable] = []
    try:
        with _state.lock:
            _state.ending = True
            queues = list(_state.queues)
        if not _interrupted():
            try:
                drain(queues)
            except KeyboardInterrupt:
                _log.warning("Ctrl-C while queued requests are finished: those not yet sent are cancelled")
            else:
                return
        drain(queues, cancel_pending=True, grace=GRACE_S)
    except KeyboardInterrupt:  # one more: no more waiting
        for queue in queues:
            queue.abort()
        raise


def _interrupted() -> bool:
    """Whether Ctrl-C ended the main thread. Python leaves the exception that did in sys; so does each error at a prompt."""
    last = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)  # last_exc: Python 3.12 and later
    return _state.interrupted or (isinstance(last, KeyboardInterrupt) and not hasattr(sys, "ps1"))
