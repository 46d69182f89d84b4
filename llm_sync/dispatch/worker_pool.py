"""The worker threads of one queue: started on demand, removed when idle, joined on close."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from llm_sync.dispatch import errors as dispatch_errors
from llm_sync.dispatch import shutdown
from llm_sync.dispatch.future import RequestFuture
from llm_sync.dispatch.worker import Source, Worker
from llm_sync.events import logger
from llm_sync.runtime.interrupts import wait_slices

_log = logger("dispatch")


class WorkerPool:
    """``lock`` is the queue's. Hold it to start, remove or list workers, so that no put relies on a departing one."""

    def __init__(self, name: str, lock: threading.RLock) -> None:
        self._name = name
        self._lock = lock
        self._workers: set[Worker] = set()  # those that will take more requests
        self._started: set[Worker] = set()  # those workers whose start has succeeded
        self._threads: list[Worker] = []  # those that may still be running

    def __len__(self) -> int:
        return len(self._workers)

    def __contains__(self, thread: object) -> bool:
        return thread in self._workers

    def start_worker(self, source: Source, start: Callable[[Worker], None]) -> None:
        """Start one more worker. If that fails, the existing workers continue; without any, this raises.

        Raises ClientClosedError when the process is ending, else LLMConnectorError.
        """
        used_numbers = {worker.number for worker in self._workers}
        worker: Worker | None = None
        try:
            worker = Worker(source, min(set(range(1, len(used_numbers) + 2)) - used_numbers), daemon=shutdown.register_drain())
            self._workers.add(worker)
            start(worker)
        except BaseException as error:
            if worker is not None:
                self._workers.discard(worker)  # if it runs after all, it ends without taking a request
            if not isinstance(error, Exception):
                raise
            if shutdown.shutting_down():
                raise dispatch_errors.closed(self._name) from error
            if not self._workers:
                raise dispatch_errors.no_thread(self._name, error) from error
            _log.warning(
                "%s: another worker thread could not be started (%s); %d continue", self._name, error, len(self._workers)
            )
        else:
            self._started.add(worker)
            self._threads = [*(thread for thread in self._threads if thread.is_alive()), worker]

    def remove(self, worker: Worker) -> None:
        """Deregister ``worker``: it takes no more requests."""
        self._workers.discard(worker)
        self._started.discard(worker)

    def is_started(self, worker: Worker) -> bool:
        """Whether ``worker`` has started and is registered. Called by that worker itself, so it needs no lock."""
        return worker in self._started

    def in_flight(self) -> list[RequestFuture]:
        """The requests that the workers are processing."""
        return [future for worker in self._workers if (future := worker.current) is not None]

    def join(self, timeout: float | None) -> bool:
        """Wait up to ``timeout`` seconds (None: no limit) for all threads; return whether they ended."""
        until = None if timeout is None else time.monotonic() + timeout
        with self._lock:
            threads = list(self._threads)
        return all(_exited(thread, None if until is None else max(0.0, until - time.monotonic())) for thread in threads)


def _exited(worker: Worker, timeout: float | None) -> bool:
    return any(worker.exited_within(part) for part in wait_slices(timeout))
