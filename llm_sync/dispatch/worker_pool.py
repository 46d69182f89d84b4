"""The worker threads of one queue: started on demand, removed when idle, joined on close."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

from llm_sync.dispatch import errors as dispatch_errors
from llm_sync.dispatch import shutdown
from llm_sync.dispatch.calling_thread import CallerRunner
from llm_sync.dispatch.future import RequestFuture
from llm_sync.dispatch.worker import Source, Worker
from llm_sync.events import logger
from llm_sync.runtime import clock
from llm_sync.runtime.interrupts import raised_by_signal_handler

_log = logger("dispatch")


class WorkerPool:
    """At most ``size`` workers, numbered from 1. Without a lock: ``dict.setdefault`` decides which worker gets a number.

    ``threads``: how many of them may be threads of the pool, made by ``make``; the others are calling threads.

    A registered worker takes requests until it is removed. Who puts a request into the queue does so before it looks for
    registered workers; a worker that is idle removes itself before it looks for requests. So one of the two sees the other.
    """

    def __init__(
        self, name: str, size: int, threads: int | None = None, make: Callable[[Source, int, bool], Worker] = Worker
    ) -> None:
        if size < 1:
            raise ValueError(f"concurrency={size} of provider {name!r}: give 1 or more")
        self._name = name
        self._size = size
        self.thread_limit = size if threads is None else threads
        self._make = make
        self._workers: dict[int, Worker | CallerRunner] = {}  # registered, by number
        self._threads: list[Worker | CallerRunner] = []  # those that may still be running
        self.callers: dict[int, CallerRunner] = {}  # those registered, by the identifier of their thread
        self.starting: dict[int, Worker] = {}  # by the identifier of the thread that starts it

    def __len__(self) -> int:
        return len(self._workers)

    def __contains__(self, thread: object) -> bool:
        thread = getattr(thread, "helped", thread)
        return isinstance(thread, (Worker, CallerRunner)) and self._workers.get(thread.number) is thread

    def start_worker(self, source: Source, start: Callable[[Worker], None]) -> None:
        """Start one more worker unless there are ``threads``. If that fails, the existing ones continue; without any, it raises.

        Raises LLMConnectorError, but not when the process is ending: then the calling thread runs its request. Also what a
        signal handler raises meanwhile.
        """
        number = self._free_number(self.thread_limit)
        if not number or shutdown.shutting_down():
            return
        worker: Worker | None = None
        try:
            worker = self._make(source, number, shutdown.register_drain())
            self.starting[threading.get_ident()] = worker
            if not self.register(worker):
                return
            self._forget_ended()
            self._threads.append(worker)
            start(worker)
        except BaseException as error:
            if worker is not None and worker.cancel_start():
                self.remove(worker)
            if not isinstance(error, (RuntimeError, MemoryError, OSError)) or raised_by_signal_handler(error):
                raise
            if shutdown.shutting_down() or shutdown.is_refusal_of_thread(error):
                return
            if not self._workers:
                raise dispatch_errors.no_thread(self._name, error) from error
            _log.warning(
                "%s: another worker thread could not be started (%s); %d continue", self._name, error, len(self._workers)
            )
        finally:
            self.starting.pop(threading.get_ident(), None)

    def cancel_interrupted_start(self) -> None:
        """Call this before relying on workers: one that the calling thread is about to start will not run.

        Then a signal handler has interrupted ``start_worker``, which goes on only after the handler. Once it goes on, its worker
        ends at once.
        """
        worker = self.starting.get(threading.get_ident()) if self.starting else None
        if worker is not None and worker.cancel_start():
            self.remove(worker)

    def _free_number(self, limit: int) -> int:
        return next((each for each in range(1, limit + 1) if each not in self._workers), 0)

    def enlist(self, runner: CallerRunner) -> bool:
        """Count a calling thread among the workers while it runs its request; False while there are ``size``."""
        runner.number = self._free_number(self._size)
        if not runner.number or not self.register(runner):
            return False
        self.callers[runner.thread_id] = runner
        self._forget_ended()
        self._threads.append(runner)
        return True

    def register(self, worker: Worker | CallerRunner) -> bool:
        """Let ``worker`` take requests, unless another one has its number."""
        return self._workers.setdefault(worker.number, worker) is worker

    def remove(self, worker: Worker | CallerRunner) -> None:
        """Deregister ``worker``: it takes no more requests."""
        if isinstance(worker, CallerRunner) and self.callers.get(worker.thread_id) is worker:
            self.callers.pop(worker.thread_id, None)
        if worker in self:
            self._workers.pop(worker.number, None)  # only the worker itself, or who failed to start it, removes it

    def _forget_ended(self) -> None:
        for thread in list(self._threads):
            if thread.has_ended():
                with contextlib.suppress(ValueError):  # another thread did it
                    self._threads.remove(thread)

    def in_flight(self) -> list[RequestFuture]:
        """The requests that the workers are processing."""
        return [future for worker in list(self._workers.values()) for future in worker.in_flight()]

    def abandon(self) -> None:
        """In a forked child: the parent has the workers. What they have open here is closed."""
        for worker in list(self._workers.values()):
            if isinstance(worker, Worker):
                worker.abandon()

    def wake(self) -> None:
        """Call this after a request was put into the queue."""
        for worker in list(self._workers.values()):
            if isinstance(worker, Worker):
                worker.wake()

    def join(self, timeout: float | None) -> bool:
        """Wait up to ``timeout`` seconds (None: no limit) for all threads; return whether they ended."""
        until = None if timeout is None else clock.now() + timeout
        return all(
            thread.ended_within(None if until is None else max(0.0, until - clock.now())) for thread in list(self._threads)
        )
