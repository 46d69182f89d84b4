"""The worker threads of one queue: hired when there is work, dismissed when idle, waited for at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from llm_sync.dispatch import errors as dispatch_errors
from llm_sync.dispatch import shutdown
from llm_sync.dispatch.future import RequestFuture
from llm_sync.dispatch.worker import Source, Worker
from llm_sync.events import logger
from llm_sync.runtime.interrupts import pieces

_log = logger("dispatch")


class Crew:
    """``lock`` is the queue's: whoever hires, dismisses or lists holds it, so that no put counts on one who leaves."""

    def __init__(self, name: str, lock: threading.RLock) -> None:
        self._name = name
        self._lock = lock
        self._members: set[Worker] = set()  # those that will take more work
        self._settled: set[Worker] = set()  # of the members, those whose start is known to have succeeded
        self._threads: list[Worker] = []  # those that may still be alive

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, thread: object) -> bool:
        return thread in self._members

    def hire(self, source: Source, start: Callable[[Worker], None]) -> None:
        """Start one more worker. Where none can be started, those that are there go on; without any, this raises.

        ClientClosedError when the process ends, else LLMConnectorError.
        """
        taken = {worker.number for worker in self._members}
        worker: Worker | None = None
        try:
            worker = Worker(source, min(set(range(1, len(taken) + 2)) - taken), daemon=shutdown.arm())
            self._members.add(worker)
            start(worker)
        except BaseException as error:
            if worker is not None:
                self._members.discard(worker)  # should it run after all, it ends without taking work
            if not isinstance(error, Exception):
                raise
            if shutdown.ending():
                raise dispatch_errors.closed(self._name) from error
            if not self._members:
                raise dispatch_errors.no_thread(self._name, error) from error
            _log.warning("%s: a further worker thread cannot be started (%s); %d go on", self._name, error, len(self._members))
        else:
            self._settled.add(worker)
            self._threads = [*(thread for thread in self._threads if thread.is_alive()), worker]

    def dismiss(self, worker: Worker) -> None:
        """It takes no more work."""
        self._members.discard(worker)
        self._settled.discard(worker)

    def is_settled(self, worker: Worker) -> bool:
        """Whether it is a member for certain; asked without the lock, by the worker itself, which alone is dismissed."""
        return worker in self._settled

    def under_way(self) -> list[RequestFuture]:
        """What they are busy with."""
        return [future for worker in self._members if (future := worker.current) is not None]

    def join(self, timeout: float | None) -> bool:
        """Wait up to ``timeout`` seconds (None: as long as it takes) for all threads; whether they ended."""
        until = None if timeout is None else time.monotonic() + timeout
        with self._lock:
            threads = list(self._threads)
        return all(_ended(thread, None if until is None else max(0.0, until - time.monotonic())) for thread in threads)


def _ended(worker: Worker, timeout: float | None) -> bool:
    return any(worker.ended_within(piece) for piece in pieces(timeout))
