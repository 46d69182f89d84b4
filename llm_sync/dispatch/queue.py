"""The FIFO queue of one provider and its worker threads."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable

from llm_sync.dispatch import errors as dispatch_errors
from llm_sync.dispatch import shutdown
from llm_sync.dispatch.calling_thread import run_in_calling_thread
from llm_sync.dispatch.future import Call, RequestFuture
from llm_sync.dispatch.outcome_event import finished_event
from llm_sync.dispatch.status import COUNTED, ProviderStatus, StatusCounts
from llm_sync.dispatch.waiting import WaitingRequests, cancel_all
from llm_sync.dispatch.worker import Worker
from llm_sync.dispatch.worker_pool import WorkerPool
from llm_sync.errors import LLMConnectorError
from llm_sync.events import Event, Listener, Queued, logger, report_failed_listener
from llm_sync.models import grammar
from llm_sync.runtime import clock, fork

_log = logger("dispatch")


class ProviderRequestQueue:
    """FIFO; at most ``concurrency`` requests in flight, each in a worker thread started on demand.

    ``max_queue``: how many requests may be queued (None: no limit). ``idle_timeout``: seconds without a request after which a
    worker ends. ``emit`` is called with every event, in the thread where it occurs; its exceptions are logged. Raises
    ValueError for impossible values. Every method may be called from any thread.
    """

    def __init__(
        self,
        name: str,
        *,
        concurrency: int = 1,
        max_queue: int | None = None,
        idle_timeout: float = 60.0,
        emit: Listener | None = None,
        clock: Callable[[], float] = clock.now,
    ) -> None:
        if not idle_timeout >= 0:
            raise ValueError(f"idle_timeout={idle_timeout} of provider {name!r}: give 0 or more seconds")
        self.name = name
        self.concurrency = concurrency
        self.max_queue = max_queue
        self.idle_timeout = min(idle_timeout, threading.TIMEOUT_MAX)
        self._listener, self._clock = emit, clock
        self._closing = False  # refuse new requests; finish queued ones
        self._abandon = False  # cancel queued requests; those in flight make no further attempt
        self._process_ends = False  # workers end when nothing is queued
        self._reset()
        fork.watch(self)
        shutdown.watch(self)

    def _reset(self) -> None:
        # No lock guards these: an exception, or a signal handler that uses the queue itself, may interrupt a caller anywhere.
        # Each step is atomic; where two threads could miss each other, each writes its own field before it reads the other's:
        # - submit adds to _waiting and puts, then looks at _closing; stop sets _closing, and join cancels what is left waiting.
        # - submit puts, then looks for workers; an idle worker deregisters, then looks into _inbox.
        # - a worker sets its ``current`` and then reads _abandon; stop sets _abandon, then looks at what is in flight.
        self._process = os.getpid()
        self._inbox_class = queue.SimpleQueue  # gevent and eventlet replace it when they patch
        self._inbox: queue.SimpleQueue[RequestFuture | None] = queue.SimpleQueue()  # None wakes a worker: it looks at _closing
        self._waiting = WaitingRequests(self.name, self.max_queue)
        self._pool = WorkerPool(self.name, self.concurrency)
        self._counts = StatusCounts(self._clock)

    # Submitting

    def submit(self, call: Call, *, block: bool = True, timeout: float | None = None) -> RequestFuture:
        """Queue ``call`` and return its future; a worker calls it without arguments.

        If ``max_queue`` requests are queued, this blocks up to ``timeout`` seconds (None: until there is room), or raises
        QueueFullError at once with ``block=False``. Closing and Ctrl-C use ``call.stop_retrying`` and ``call.abort``, if any.
        Once the main thread has ended, ``call`` runs in the calling thread, and this returns when it is done.
        Raises ClientClosedError when closed (also while waiting for room, and when Ctrl-C ends the process), QueueFullError,
        RuntimeError when it would wait for room on the provider's own worker, LLMConnectorError when no thread can be started.
        """
        future = self.prepare(call)
        self.accept(future, block=block, timeout=timeout)
        return future

    def prepare(self, call: Call) -> RequestFuture:
        """The first half of ``submit``: create the future, which Ctrl-C in ``accept`` can withdraw. Raises TypeError, too."""
        if not callable(call):
            raise TypeError(f"{grammar.type_name(call)} cannot be called: give a function of no arguments")
        self._renew_if_stale()
        return RequestFuture(self, call, self._clock())

    def _renew_if_stale(self) -> None:
        self._check_process()
        if self._inbox_class is not queue.SimpleQueue:  # patched since: wait in the new way, unless workers wait in the old one
            if len(self._pool) or self._waiting:
                raise dispatch_errors.patched_late(self.name)
            self._reset()

    def accept(self, future: RequestFuture, *, block: bool = True, timeout: float | None = None) -> None:
        """The second half of ``submit``: queue it, after at most ``timeout`` seconds. If this raises, the future is withdrawn."""
        try:
            depth = self._reserve(future, block, None if timeout is None else clock.clamp_timeout(timeout))
            self.emit(Queued(self.name, future.key, model=future.model, depth=depth, operation=future.operation))
            self._enqueue(future)
            if shutdown.shutting_down() and (future.continues or not isinstance(threading.current_thread(), Worker)):
                run_in_calling_thread(future, self, self._pool, self._waiting)  # no worker may be left that takes it
        except BaseException:
            future.withdraw()
            self._rescue_waiting()
            raise

    def _reserve(self, future: RequestFuture, block: bool, timeout: float | None) -> int:
        """Wait for room and add ``future`` to the waiting requests; return how many are waiting."""
        if not future.continues or self._abandon:
            self._refuse_when_closed()
        if not self._waiting.add(future):
            if not block:
                raise dispatch_errors.full(self.name, self.max_queue)
            if self.on_worker():
                raise dispatch_errors.own_worker(self.name)
            self._waiting.add_when_there_is_room(future, timeout, self._refuse_when_closed)
        if future.done():  # withdrawn before it was added, so nothing else would remove it
            self._waiting.remove(future)
            raise dispatch_errors.cancelled(self.name, future.model)
        return len(self._waiting)

    def _enqueue(self, future: RequestFuture) -> None:
        if self._closing and not future.continues:
            raise dispatch_errors.closed(self.name)
        self._start_worker_if_needed()
        self._put(future)
        self._start_worker_if_needed()  # if an idle worker has ended meanwhile
        if self._closing and (future.cancelled() or (not len(self._pool) and future.cancel())):
            raise dispatch_errors.closed(self.name)  # closed meanwhile, and no worker is left that takes it

    def _start_worker_if_needed(self) -> None:
        if self._pool.starting:
            self._pool.cancel_interrupted_start()
        workers = len(self._pool)  # with all workers there, the rest of the condition is not evaluated
        if workers < self._pool.thread_limit and workers < len(self._pool.in_flight()) + len(self._waiting):
            self._pool.start_worker(self, self._start_thread)

    def _put(self, future: RequestFuture | None) -> None:
        self._inbox.put(future)  # unbounded: it never blocks

    def _refuse_when_closed(self) -> None:
        if self._closing:
            raise dispatch_errors.closed(self.name)
        if shutdown.shutting_down() and (shutdown.refuses_calls() or isinstance(threading.current_thread(), Worker)):
            raise dispatch_errors.ending(self.name)

    def _rescue_waiting(self) -> None:
        """After a failed start of a worker: serve, or else cancel, the requests whose threads counted on that worker."""
        if self._waiting and not len(self._pool) and not self._closing:
            try:
                self._start_worker_if_needed()
            except LLMConnectorError:
                cancel_all(self._waiting)

    def on_done(self, future: RequestFuture) -> None:
        """Make room if the request was cancelled while queued, and report its end. Called before the done-callbacks."""
        future.release_call()
        was_waiting = self._waiting.remove(future)
        if future.elapsed is not None or (was_waiting and future.cancelled()):
            self.report_end(future)

    # Used by Worker

    def _start_thread(self, worker: Worker) -> None:
        worker.start()

    def may_work(self, worker: Worker) -> bool:
        """Whether ``worker`` may take a request."""
        return worker in self._pool

    def take(self, worker: Worker) -> RequestFuture | None:  # noqa: ARG002  (any worker may take it)
        """The next request, or None to look again at ``may_work``. Raises queue.Empty after ``idle_timeout``, or if closed."""
        wait = 0 if self._closing or self._process_ends else self.idle_timeout
        return self._inbox.get(timeout=wait) if wait else self._inbox.get_nowait()  # Python 3.10 may wait for ever with timeout=0

    def exit_if_idle(self, worker: Worker) -> bool:
        """Deregister an idle ``worker`` unless a request has arrived; return whether it must end."""
        self._pool.remove(worker)
        return self._inbox.empty() or not self._pool.register(worker)

    def worker_exited(self, worker: Worker, error: BaseException | None) -> None:
        """``worker`` has ended. If it was the last one and ended with ``error``, cancel the waiting requests."""
        self._pool.remove(worker)
        self._waiting.signal_room()  # for a calling thread that waits for its turn
        if (self._closing or self._process_ends) and len(self._pool):
            self._put(None)  # this worker may have taken the one meant for another
        if error is not None:
            orphaned = [] if len(self._pool) else list(self._waiting)
            _log.error(
                "%s: a worker ended unexpectedly; %d waiting requests are cancelled", self.name, len(orphaned), exc_info=error
            )
            cancel_all(orphaned)

    def discard(self, future: RequestFuture) -> None:
        """Forget a request that is not started. Its cancelling did this already, unless it was interrupted."""
        self._waiting.remove(future)

    def start_request(self, future: RequestFuture) -> float:
        """Mark ``future`` as in flight; return the seconds it was queued."""
        now = future.started_at = self._clock()
        self._waiting.remove(future)
        if self._abandon:
            future.stop_retrying()
        return now - future.queued_at

    def finish_request(self, future: RequestFuture) -> None:
        """Mark ``future`` as no longer in flight."""
        since, future.started_at = future.started_at, None
        future.elapsed = 0.0 if since is None else self._clock() - since

    def report_end(self, future: RequestFuture) -> None:
        """Count and report the end of a request. Its future is done, whatever the code that hears of it does."""
        self.emit(finished_event(self.name, future))

    # Closing

    def close(self, cancel_pending: bool = False) -> None:
        """Accept no more requests and wait until those queued and in flight are done, but not on a worker thread (in a
        done-callback). With ``cancel_pending`` those queued are cancelled, and those in flight make no further attempt."""
        self.stop(cancel_pending)
        self.join()

    def stop(self, cancel_pending: bool = False) -> None:
        """The first half of ``close``: start closing and return at once."""
        self._check_process()
        self._closing = True
        self._pool.cancel_interrupted_start()
        self._wake_workers()  # on every call: an interrupt may have cut an earlier one short
        self._waiting.signal_room()
        if cancel_pending:
            self._abandon = True
            cancel_all(self._waiting)
            for future in self._pool.in_flight():
                future.stop_retrying()

    def end_workers(self) -> None:
        """The process ends: let the workers end when nothing is queued. What comes later runs in the thread that asks."""
        self._check_process()
        self._process_ends = True
        self._wake_workers()

    def _wake_workers(self) -> None:
        for _ in range(len(self._pool)):
            self._put(None)

    def join(self, timeout: float | None = None) -> bool:
        """The second half of ``close``: wait up to ``timeout`` seconds (None: no limit); return whether all workers ended."""
        if isinstance(threading.current_thread(), Worker) or self.on_worker():
            return True  # two workers that wait for each other would never end
        if (ended := self._pool.join(timeout)) and self._closing:
            cancel_all(self._waiting)  # accepted by a submit that an interrupt or this close stopped half-way
        return ended

    def abort(self) -> None:
        """Abort the requests in flight whose calls have an ``abort`` method."""
        for future in self._pool.in_flight():
            future.abort()

    def on_worker(self) -> bool:
        """Whether the calling thread is one of this queue's workers."""
        return threading.current_thread() in self._pool or threading.get_ident() in self._pool.callers

    def emit(self, event: Event) -> None:
        """Count ``event`` for ``status``, then pass it to the listener. Events of attempts are emitted here too."""
        if isinstance(event, COUNTED):
            self._counts.add(event)
        if self._listener is not None:
            try:
                self._listener(event)
            except BaseException as error:  # noqa: BLE001  (a bug of the listener must not affect the request)
                report_failed_listener(event, error)

    def status(self) -> ProviderStatus:
        """The current counts; ``cooling_down_until`` is left to the gate."""
        self._check_process()
        return self._counts.status(self._pool.in_flight(), self._waiting)

    # Forking

    def reset_after_fork(self) -> None:
        """In the child: replace locks, queue and counts, drop threads and inherited requests. A closed queue stays closed."""
        if self._process != os.getpid():
            inherited = dict.fromkeys([*self._waiting, *self._pool.in_flight()])
            while not self._inbox.empty():  # cancelled ones too; no lock is needed while it is not empty
                future = self._inbox.get_nowait()
                if future is not None:
                    inherited[future] = None
            self._reset()
            fork.run_all(each.settle_in_child for each in inherited)

    def _check_process(self) -> None:
        if self._process != os.getpid():  # forked without hooks, or in a hook that runs before ours
            self.reset_after_fork()
