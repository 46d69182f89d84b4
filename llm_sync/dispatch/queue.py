"""The FIFO queue of one provider and its worker threads."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from llm_sync.dispatch import errors as dispatch_errors
from llm_sync.dispatch import shutdown
from llm_sync.dispatch.future import Call, RequestFuture, cancel_all, clamp_timeout
from llm_sync.dispatch.status import ProviderStatus, StatusCounts
from llm_sync.dispatch.worker import Worker
from llm_sync.dispatch.worker_pool import WorkerPool
from llm_sync.events import Event, Finished, Listener, Queued, logger
from llm_sync.runtime import fork
from llm_sync.runtime.interrupts import Condition, SafeQueue, wait_slices

_log = logger("dispatch")


class ProviderRequestQueue:
    """FIFO; at most ``concurrency`` requests in flight, each in a worker thread started on demand.

    ``max_queue``: how many requests may be queued (None: no limit). ``idle_timeout``: seconds without a request after which a
    worker ends. ``emit`` is called with every event, in the thread where it occurs; its exceptions are logged.
    Raises ValueError for impossible values. Every method may be called from any thread.
    """

    def __init__(
        self,
        name: str,
        *,
        concurrency: int = 1,
        max_queue: int | None = None,
        idle_timeout: float = 60.0,
        emit: Listener | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if concurrency < 1:
            raise ValueError(f"concurrency={concurrency} of provider {name!r}: give 1 or more")
        if max_queue is not None and max_queue < 1:
            raise ValueError(f"max_queue={max_queue} of provider {name!r}: give 1 or more, or None for no limit")
        if not idle_timeout >= 0:
            raise ValueError(f"idle_timeout={idle_timeout} of provider {name!r}: give 0 or more seconds")
        self.name = name
        self.concurrency = concurrency
        self.max_queue = max_queue
        self.idle_timeout = min(idle_timeout, threading.TIMEOUT_MAX)
        self._listener = emit
        self._clock = clock
        self._closing = False  # refuse new requests; finish queued ones
        self._abandon = False  # cancel queued requests; those in flight make no further attempt
        self._reset()
        fork.watch(self)
        shutdown.watch(self)

    def _reset(self) -> None:
        self._process = os.getpid()
        # Guards _closing, _abandon, _waiting, _pool and every put: a submit that has seen the queue open under the lock has
        # put its request before a stop signal can be put. Never held while a future is completed or cancelled, an event
        # emitted or a call run. Re-entrant: while it is held, the garbage collector may close an abandoned map(), which
        # cancels requests.
        self._lock = threading.RLock()
        self._room = Condition(self._lock)  # notified when _waiting shrinks, and on closing
        self._inbox: SafeQueue[RequestFuture | None] = SafeQueue()  # None: one worker must end
        self._waiting: dict[RequestFuture, None] = {}  # accepted, not yet taken by a worker, not cancelled; oldest first
        self._pool = WorkerPool(self.name, self._lock)
        self._counts = StatusCounts(self._clock)

    # Submitting

    def submit(self, call: Call, *, block: bool = True, timeout: float | None = None) -> RequestFuture:
        """Queue ``call`` and return its future; a worker calls it without arguments.

        If ``max_queue`` requests are queued, this blocks up to ``timeout`` seconds (None: until there is room), or raises
        QueueFullError at once with ``block=False``. If ``call`` has methods ``stop_retrying`` and ``abort``, closing and
        Ctrl-C use them.

        Raises ClientClosedError when closed (also while waiting for room, and during shutdown), QueueFullError, RuntimeError
        when it would wait for room on the provider's own worker, LLMConnectorError when no thread can be started.
        """
        future = self.prepare(call)
        self.accept(future, block=block, timeout=timeout)
        return future

    def prepare(self, call: Call) -> RequestFuture:
        """The first half of ``submit``: create the future, so that the caller can withdraw it if Ctrl-C interrupts ``accept``."""
        if not callable(call):
            raise TypeError(f"a {type(call).__name__} cannot be called: give a function of no arguments")
        self._check_process()
        future = RequestFuture(self, call, self._clock())
        future.add_done_callback(self._on_done)  # type: ignore[arg-type]  # it is called with this future
        return future

    def accept(self, future: RequestFuture, *, block: bool = True, timeout: float | None = None) -> None:
        """The second half of ``submit``: queue the future. If this raises, the future is withdrawn."""
        try:
            depth = self._reserve(future, block, clamp_timeout(timeout))
            self.emit(Queued(self.name, future.key, model=future.model, depth=depth))
            self._enqueue(future)
        except BaseException:
            future.withdraw()
            raise

    def _reserve(self, future: RequestFuture, block: bool, timeout: float | None) -> int:
        """Wait for room and add ``future`` to the waiting requests; return how many are waiting."""
        with self._lock:
            self._refuse_when_closed()
            if not self._has_room():
                if not block:
                    raise dispatch_errors.full(self.name, self.max_queue)
                if self.on_worker():
                    raise dispatch_errors.own_worker(self.name)
                self._wait_for_room(timeout)
            self._waiting[future] = None
            if future.done():  # withdrawn before it was added, so nothing else would remove it
                del self._waiting[future]
                raise dispatch_errors.cancelled(self.name, future.model)
            return len(self._waiting)

    def _has_room(self) -> bool:
        return self.max_queue is None or len(self._waiting) < self.max_queue

    def _wait_for_room(self, timeout: float | None) -> None:
        try:
            in_time = any(self._room.wait_for(lambda: self._closing or self._has_room(), part) for part in wait_slices(timeout))
        except BaseException as error:
            self._room.notify_all()  # the interrupted thread may be the one that was notified of the free place
            if isinstance(error, KeyboardInterrupt):
                shutdown.note_interrupt()
            raise
        self._refuse_when_closed()
        if not in_time:
            raise dispatch_errors.full(self.name, self.max_queue, timeout)

    def _enqueue(self, future: RequestFuture) -> None:
        with self._lock:
            self._refuse_when_closed()
            workers = len(self._pool)  # at full concurrency the rest of the condition is not evaluated
            if workers < self.concurrency and workers < len(self._pool.in_flight()) + len(self._waiting):
                self._pool.start_worker(self, self._start_thread)
            self._put(future)

    def _put(self, future: RequestFuture | None) -> None:
        self._inbox.put(future)  # unbounded: it never blocks

    def _refuse_when_closed(self) -> None:
        if self._closing or shutdown.shutting_down():
            raise dispatch_errors.closed(self.name)

    def _on_done(self, future: RequestFuture) -> None:
        """The first done-callback: a request cancelled while queued makes room at once."""
        future.drop_call()
        if self._drop_waiting(future) and future.cancelled():
            self.emit(Finished(self.name, future.key, error="cancelled"))

    def _drop_waiting(self, future: RequestFuture) -> bool:
        """Remove ``future`` from the waiting requests; return whether it was there."""
        # Check without the lock first: usually a worker took the request long ago, and with many workers the lock is a
        # bottleneck. If _reserve is adding the future at this moment, _reserve sees that it is done.
        if future not in self._waiting:
            return False
        with self._lock:
            if future not in self._waiting:
                return False
            del self._waiting[future]
            self._room.notify()
            return True

    # Used by Worker

    def _start_thread(self, worker: Worker) -> None:
        worker.start()

    def may_work(self, worker: Worker) -> bool:
        """Whether ``worker`` may take a request; not if its start failed, which submit decides under the lock."""
        if self._pool.is_started(worker):
            return True
        with self._lock:
            return worker in self._pool

    def take(self, worker: Worker) -> RequestFuture | None:  # noqa: ARG002  (any worker may take it)
        """The next request, or None to end. Raises queue.Empty after ``idle_timeout``."""
        return self._inbox.get(timeout=self.idle_timeout)

    def exit_if_idle(self, worker: Worker) -> bool:
        """Deregister an idle ``worker`` unless a request has arrived; return whether it must end."""
        with self._lock:
            if not self._inbox.empty():
                return False
            self._pool.remove(worker)
            return True

    def worker_exited(self, worker: Worker, error: BaseException | None) -> None:
        """``worker`` has ended. If it was the last one and ended with ``error``, cancel the waiting requests."""
        with self._lock:
            self._pool.remove(worker)
            orphaned = list(self._waiting) if error is not None and not len(self._pool) else []
        if error is not None:
            _log.error(
                "%s: a worker ended unexpectedly; %d waiting requests are cancelled", self.name, len(orphaned), exc_info=error
            )
        cancel_all(orphaned)

    def start_request(self, future: RequestFuture) -> float:
        """Mark ``future`` as in flight; return the seconds it was queued."""
        with self._lock:
            now = future.started_at = self._clock()
            self._drop_waiting(future)
            abandon = self._abandon
        if abandon:
            future.stop_retrying()
        return now - future.queued_at

    def finish_request(self, future: RequestFuture) -> float:
        """Mark ``future`` as no longer in flight; return the seconds it was."""
        since, future.started_at = future.started_at, None
        return 0.0 if since is None else self._clock() - since

    # Closing

    def close(self, cancel_pending: bool = False) -> None:
        """Accept no more requests and wait until those queued and in flight are done. May be called again.

        With ``cancel_pending`` queued requests are cancelled and those in flight make no further attempt. Does not wait on a
        worker thread (in a done-callback).
        """
        self.stop(cancel_pending)
        self.join()

    def stop(self, cancel_pending: bool = False) -> None:
        """The first half of ``close``: start closing and return at once."""
        self._check_process()
        with self._lock:
            self._closing = True
            for _ in range(len(self._pool)):  # on every call: an interrupt may have cut an earlier one short
                self._put(None)  # the last items in the queue: nothing is put after them
            self._room.notify_all()
            if not cancel_pending:
                return
            self._abandon = True
            waiting, in_flight = list(self._waiting), self._pool.in_flight()
        cancel_all(waiting)
        for future in in_flight:
            future.stop_retrying()

    def join(self, timeout: float | None = None) -> bool:
        """The second half of ``close``: wait up to ``timeout`` seconds (None: no limit); return whether all workers ended."""
        if isinstance(threading.current_thread(), Worker):
            return True  # two workers that wait for each other would never end
        if not self._pool.join(timeout):
            return False
        with self._lock:
            orphaned = list(self._waiting)
        cancel_all(orphaned)  # accepted by a submit that an interrupt or this close stopped half-way
        return True

    def abort(self) -> None:
        """Abort the requests in flight whose calls have an ``abort`` method."""
        with self._lock:
            in_flight = self._pool.in_flight()
        for future in in_flight:
            future.abort()

    # Events and status

    def on_worker(self) -> bool:
        """Whether the calling thread is one of this queue's workers."""
        return threading.current_thread() in self._pool

    def emit(self, event: Event) -> None:
        """Count ``event`` for ``status``, then pass it to the listener. Events of attempts are emitted here too."""
        self._counts.add(event)
        if self._listener is not None:
            try:
                self._listener(event)
            except Exception:  # noqa: BLE001  (foreign code; its bug must not lose an answer)
                _log.exception("%s: a listener of events failed on %s; the request continues", self.name, type(event).__name__)

    def status(self) -> ProviderStatus:
        """The current counts; ``cooling_down_until`` is left to the gate."""
        self._check_process()
        with self._lock:
            queued = len(self._waiting)
            started = [since for future in self._pool.in_flight() if (since := future.started_at) is not None]
        oldest = self._clock() - min(started) if started else None
        return self._counts.status(queued=queued, in_flight=len(started), oldest_in_flight_s=oldest)

    # Forking

    def reset_after_fork(self) -> None:
        """In the child: replace locks, queue and counts, drop threads and inherited requests. A closed queue stays closed."""
        if self._process != os.getpid():
            inherited = dict.fromkeys([*self._waiting, *self._pool.in_flight(), *self._inbox.queue])  # cancelled ones included
            self._reset()
            fork.run_all(future.settle_in_child for future in inherited if future is not None)

    def _check_process(self) -> None:
        if self._process != os.getpid():  # forked without hooks, or in a hook that runs before ours
            self.reset_after_fork()
