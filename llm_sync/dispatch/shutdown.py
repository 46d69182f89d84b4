"""Shutdown of the process: queued requests are finished first, or cancelled after Ctrl-C; no future stays pending.

Requests that come later (from threads that outlive the main thread, exit handlers, ``__del__``) run in the threads that make
them (calling_thread.py); after Ctrl-C they are refused.

Workers are not daemon threads, because those are killed in the middle of a request. To end them, the drain below runs before
the interpreter joins its threads: through ``threading._register_atexit``, which concurrent.futures uses for the same purpose.
That function is private; where it is missing, workers are daemon threads and the drain is an ordinary atexit function (which
children of multiprocessing do not run).
"""

from __future__ import annotations

import atexit
import sys
import threading
import weakref
from collections.abc import Sequence
from typing import Protocol

from llm_sync.events import logger
from llm_sync.runtime import clock, fork

GRACE_S = 5.0  # seconds that requests in flight get when Ctrl-C ends the process; then their sockets are shut down

_log = logger("dispatch")


class Drainable(Protocol):
    """What the shutdown needs from a queue."""

    def stop(self, cancel_pending: bool = False) -> None:
        """Refuse new requests and let the workers end; returns at once."""

    def end_workers(self) -> None:
        """Let the workers end when nothing is queued, and start no others; returns at once."""

    def join(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds (None: no limit) for the workers; return whether they ended."""

    def abort(self) -> None:
        """Abort the requests in flight."""


class _ShutdownState:
    """The state of this process's shutdown."""

    def __init__(self) -> None:
        # No lock guards these: a signal handler may use the client anywhere. A queue is added before its first submit looks at
        # shutting_down; the drain sets shutting_down before it lists the queues.
        self.queues: weakref.WeakSet[Drainable] = weakref.WeakSet()
        self.daemons: bool | None = None  # whether workers must be daemon threads; None: no drain is registered yet
        self.shutting_down = False
        self.interrupted = False  # Ctrl-C ended a blocking call
        self.refuses_calls = False  # Ctrl-C ended the process

    def reset_after_fork(self) -> None:
        """In the child: register a drain again (an inherited one may run too; it finds no work)."""
        self.queues = weakref.WeakSet(list(self.queues))
        self.daemons = None
        self.interrupted = False


_state = _ShutdownState()


def watch(queue: Drainable) -> None:
    """Drain ``queue`` when the process ends, if it still exists then. Any thread may call this."""
    fork.watch(_state)
    _state.queues.add(queue)


def register_drain() -> bool:
    """Register the drain; return whether workers must be daemon threads. Raises RuntimeError during shutdown.

    If two threads register it at the same moment, it runs twice, and the second time finds no work.
    """
    daemons = _state.daemons
    if daemons is None:
        register = None if _is_patched_by_eventlet() else getattr(threading, "_register_atexit", None)
        if register is None:
            atexit.register(_drain_all)
        else:
            register(_drain_all)
        daemons = _state.daemons = register is None
    return daemons


def _is_patched_by_eventlet() -> bool:
    """Whether the interpreter will call another ``threading._shutdown``, which does not know what is registered here."""
    shutdown = vars(threading).get("_shutdown")
    return shutdown is not None and shutdown.__module__ == "threading" and shutdown.__globals__ is not vars(threading)


def shutting_down() -> bool:
    """Whether the main thread has ended: from then on requests run in the threads that make them."""
    # _SHUTTING_DOWN: hooks of other libraries run between the end of the main thread and our drain.
    return _state.shutting_down or bool(getattr(threading, "_SHUTTING_DOWN", False)) or sys.is_finalizing()


def is_refusal_of_thread(error: BaseException) -> bool:
    """Whether ``error`` says that Python starts no more threads; then it is shutting down, too.

    Nothing else shows that if ``threading`` was not imported before the main thread ended.
    """
    _state.shutting_down = _state.shutting_down or "at interpreter shutdown" in str(error)
    return _state.shutting_down


def refuses_calls() -> bool:
    """When shutting down: whether Ctrl-C ended the process, or no module can be imported any more. Then nothing is sent."""
    return _state.refuses_calls or _interrupted() or is_torn_down()


def is_torn_down() -> bool:
    """Whether Python has unloaded its modules, so that an answer could not be read."""
    return sys.meta_path is None


def note_interrupt() -> None:
    """Record that Ctrl-C ended a blocking call. If the main thread submits nothing afterwards, Ctrl-C ended the process."""
    _state.interrupted = True


def clear_interrupt() -> None:
    """The main thread continues after a Ctrl-C. Calls from other threads have no effect."""
    if _state.interrupted and not shutting_down() and threading.current_thread() is threading.main_thread():
        _state.interrupted = False


def drain(queues: Sequence[Drainable], *, cancel_pending: bool = False, grace: float | None = None) -> None:
    """Close all ``queues`` together and wait for their workers.

    Requests still in flight after ``grace`` seconds (None: no limit) are aborted. Ctrl-C ends the wait at once.
    """
    queues = _in_order(queues)
    for queue in queues:
        queue.stop(cancel_pending)
    until = None if grace is None else clock.now() + grace
    late = [queue for queue in queues if not queue.join(None if until is None else max(0.0, until - clock.now()))]
    for queue in late:
        queue.abort()
    for queue in late:
        queue.join()


def _drain_all() -> None:
    queues: list[Drainable] = []
    try:
        _state.shutting_down = True
        queues = _all_queues()
        if not _interrupted():
            try:
                for queue in queues:
                    queue.end_workers()
                for queue in queues:
                    queue.join()
            except KeyboardInterrupt:
                _log.warning("Ctrl-C while queued requests were being finished: those not yet sent are cancelled")
            else:
                return
        _state.refuses_calls = True
        drain(queues, cancel_pending=True, grace=GRACE_S)
    except KeyboardInterrupt:  # a second Ctrl-C: do not wait any longer
        for queue in queues:
            queue.abort()
        raise


def _all_queues() -> list[Drainable]:
    while True:
        try:
            return _in_order(list(_state.queues))
        except RuntimeError:  # another thread added one meanwhile  # noqa: PERF203
            continue


def _in_order(queues: Sequence[Drainable]) -> list[Drainable]:
    """Routes first: their requests end in the other queues, which take further steps until then."""
    return sorted(queues, key=lambda queue: not getattr(queue, "drains_first", False))


def _interrupted() -> bool:
    """Whether Ctrl-C ended the main thread. Python stores its exception in sys, but also each error at an interactive prompt."""
    last = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)  # last_exc: Python 3.12 and later
    return _state.interrupted or (isinstance(last, KeyboardInterrupt) and not hasattr(sys, "ps1"))
