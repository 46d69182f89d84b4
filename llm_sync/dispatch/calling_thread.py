"""Requests run in the threads that ask, once the main thread has ended.

From Python 3.12 on no thread can be started then, and a thread that an older Python starts in an exit handler may be cut off.
So a thread that outlives the main thread, an exit handler and a ``__del__`` run their requests themselves. They keep to the
order of the queue and to its ``concurrency``, together with the worker threads that are still finishing queued requests.
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from typing import Protocol

from llm_sync.dispatch import shutdown
from llm_sync.dispatch.future import RequestFuture
from llm_sync.dispatch.request_runner import Owner, RequestRunner
from llm_sync.runtime import clock
from llm_sync.runtime.interrupts import Flag, may_suppress


class Pool(Protocol):
    """What a calling thread needs from the worker pool."""

    callers: dict[int, CallerRunner]

    def enlist(self, runner: CallerRunner) -> bool:
        """Count ``runner`` among the workers; False while there are as many as may run."""

    def remove(self, worker: CallerRunner) -> None:
        """Take it off again."""


class Waiting(Protocol):
    """What a calling thread needs from the waiting requests."""

    def is_first(self, future: RequestFuture) -> bool:
        """Whether it is the oldest one."""

    def changes(self) -> AbstractContextManager[Flag]:
        """A flag that is set when a request is removed or ``signal_room`` is called."""

    def signal_room(self) -> None:
        """Set those flags."""


class CallerRunner(RequestRunner):
    """Stands for the calling thread among the workers of a queue while it runs its request."""

    def __init__(self, source: Owner) -> None:
        self.number = 0  # given when its turn comes
        self.current: RequestFuture | None = None
        self.thread_id = threading.get_ident()
        self._source = source
        self.exited = Flag()

    def has_ended(self) -> bool:
        """Whether its request has ended."""
        return self.exited.is_set()

    def ended_within(self, timeout: float | None) -> bool:
        """Wait up to ``timeout`` seconds (None: no limit) until its request has ended; return whether it has."""
        return self.thread_id == threading.get_ident() or self.exited.wait(timeout)


def run_in_calling_thread(future: RequestFuture, source: Owner, pool: Pool, waiting: Waiting) -> None:
    """Run ``future`` in this thread, as soon as it is the oldest waiting request and fewer than ``concurrency`` are in flight.

    In a done-callback of a request that this thread runs, it runs at once; so does one that continues another. Returns when it
    is done, when a worker thread runs it, or at ``future.ends_at``. Raises what a signal handler raised.
    """
    runner = CallerRunner(source)
    try:
        if not future.continues and not pool.callers.get(runner.thread_id) and not _wait_for_turn(future, runner, pool, waiting):
            return
        future.limit_call()
        runner.current = future
        runner.process(future)
    except KeyboardInterrupt:
        shutdown.note_interrupt()
        raise
    finally:
        runner.current = None
        pool.remove(runner)
        runner.exited.set()
        waiting.signal_room()
    failure = future.failure if future.done() and not future.cancelled() else None
    try:
        if failure is not None and not may_suppress(failure) and not isinstance(failure, Exception):
            raise failure  # Ctrl-C and the like, meant for this thread
    finally:
        del failure, future  # the traceback refers to this frame


def _wait_for_turn(future: RequestFuture, runner: CallerRunner, pool: Pool, waiting: Waiting) -> bool:
    """Return True when ``runner`` is to run the request, False when that is not needed any more."""
    while not (future.done() or future.running()):
        with waiting.changes() as change:  # before the look, so that no change is missed
            if waiting.is_first(future) and pool.enlist(runner):
                return True
            left = None if future.ends_at is None else future.ends_at - clock.now()
            if left is not None and left <= 0:
                return False  # its caller gives it up
            change.wait_once(left)
    return False
