"""One provider's requests, one after another: a FIFO queue and the threads that work through it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from llm_sync.dispatch import errors as dispatch_errors
from llm_sync.dispatch import shutdown
from llm_sync.dispatch.future import Call, RequestFuture, cancel_all, seconds
from llm_sync.dispatch.status import ProviderStatus, StatusCounts
from llm_sync.dispatch.worker import Worker
from llm_sync.dispatch.worker_pool import Crew
from llm_sync.events import Event, Finished, Listener, Queued, logger
from llm_sync.runtime import fork
from llm_sync.runtime.interrupts import Condition, Inbox, pieces

_log = logger("dispatch")


class ProviderRequestQueue:
    """FIFO; at most ``concurrency`` requests in flight, each in a worker thread that starts when it is needed.

    ``max_queue``: how many requests may wait (None: any number). ``idle_timeout``: seconds without work after which a
    worker ends. ``emit`` hears of every event, in the thread where it arises; an exception it raises is logged.
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
        self._closing = False  # no new work; what is queued is done
        self._abandon = False  # what is queued is cancelled, what is in flight makes no further attempt
        self._start_afresh()
        fork.watch(self)
        shutdown.watch(self)

    def _start_afresh(self) -> None:
        self._process = os.getpid()
        # Guards _closing, _abandon, _waiting, _crew and every put: whoever has seen the queue open under it
        # has put before a stop signal can be. Never held while a future is settled or cancelled, an event emitted or a
        # call made. Re-entrant: the garbage collector may close a forgotten map() meanwhile, and so cancel requests.
        self._lock = threading.RLock()
        self._room = Condition(self._lock)  # signalled when _waiting shrinks, and on closing
        self._inbox: Inbox[RequestFuture | None] = Inbox()  # None: one worker is to end
        self._waiting: dict[RequestFuture, None] = {}  # accepted, with no worker yet, not cancelled; oldest first
        self._crew = Crew(self.name, self._lock)
        self._counts = StatusCounts(self._clock)

    # Taking requests in

    def submit(self, call: Call, *, block: bool = True, timeout: float | None = None) -> RequestFuture:
        """Queue ``call`` and return its future; a worker calls it without arguments.

        Where ``max_queue`` requests wait already, this blocks up to ``timeout`` seconds (None: until there is room), or
        not at all with ``block=False``. ``call.stop_retrying()`` and ``call.abort()`` are used on closing and on Ctrl-C,
        where it has them.

        Raises ClientClosedError when closed (also: while waiting for room, and at the end of the process), QueueFullError,
        RuntimeError when it would wait for room on the provider's own worker, LLMConnectorError when no thread can start.
        """
        future = self.prepare(call)
        self.accept(future, block=block, timeout=timeout)
        return future

    def prepare(self, call: Call) -> RequestFuture:
        """The first half of ``submit``: a future that ``accept`` queues, or ``withdraw`` ends, whenever Ctrl-C comes."""
        if not callable(call):
            raise TypeError(f"a {type(call).__name__} cannot be called: give a function of no arguments")
        self._check_process()
        future = RequestFuture(self, call, self._clock())
        future.add_done_callback(self._settled)  # type: ignore[arg-type]  # it is called with this very future
        return future

    def accept(self, future: RequestFuture, *, block: bool = True, timeout: float | None = None) -> None:
        """The second half of ``submit``; when it raises, the future is withdrawn."""
        try:
            depth = self._reserve(future, block, seconds(timeout))
            self.emit(Queued(self.name, future.key, model=future.model, depth=depth))
            self._enqueue(future)
        except BaseException:
            future.withdraw()
            raise

    def _reserve(self, future: RequestFuture, block: bool, timeout: float | None) -> int:
        """Give ``future`` its place among those that wait, when there is one."""
        with self._lock:
            self._refuse_when_closed()
            if not self._has_room():
                if not block:
                    raise dispatch_errors.full(self.name, self.max_queue)
                if self.on_worker():
                    raise dispatch_errors.own_worker(self.name)
                self._wait_for_room(timeout)
            self._waiting[future] = None
            if future.done():  # withdrawn before it got here: nobody would give its place up
                del self._waiting[future]
                raise dispatch_errors.cancelled(self.name, future.model)
            return len(self._waiting)

    def _has_room(self) -> bool:
        return self.max_queue is None or len(self._waiting) < self.max_queue

    def _wait_for_room(self, timeout: float | None) -> None:
        try:
            in_time = any(self._room.wait_for(lambda: self._closing or self._has_room(), piece) for piece in pieces(timeout))
        except BaseException as error:
            self._room.notify_all()  # the interrupted one may have been the one that was woken for the free place
            if isinstance(error, KeyboardInterrupt):
                shutdown.note_interrupt()
            raise
        self._refuse_when_closed()
        if not in_time:
            raise dispatch_errors.full(self.name, self.max_queue, timeout)

    def _enqueue(self, future: RequestFuture) -> None:
        with self._lock:
            self._refuse_when_closed()
            hired = len(self._crew)  # once there are as many as may be, nobody counts what they are busy with
            if hired < self.concurrency and hired < len(self._crew.under_way()) + len(self._waiting):
                self._crew.hire(self, self._start)
            self._put(future)

    def _put(self, future: RequestFuture | None) -> None:
        self._inbox.put(future)  # unbounded: it never blocks

    def _refuse_when_closed(self) -> None:
        if self._closing or shutdown.ending():
            raise dispatch_errors.closed(self.name)

    def _settled(self, future: RequestFuture) -> None:
        """The first done-callback: a request cancelled while it waited makes room at once."""
        future.drop_call()
        if self._forget(future) and future.cancelled():
            self.emit(Finished(self.name, future.key, error="cancelled"))

    def _forget(self, future: RequestFuture) -> bool:
        """It waits no longer; False if it did not."""
        # Looked at before the lock is asked for: most were taken long ago, and with many workers the lock is the bottleneck.
        # One that _reserve is just adding is seen there to be done.
        if future not in self._waiting:
            return False
        with self._lock:
            if future not in self._waiting:
                return False
            del self._waiting[future]
            self._room.notify()
            return True

    # What a Worker asks for

    def _start(self, worker: Worker) -> None:
        worker.start()

    def enlisted(self, worker: Worker) -> bool:
        """Whether ``worker`` may take work: submit decides under the lock whether its start succeeded."""
        if self._crew.is_settled(worker):
            return True
        with self._lock:
            return worker in self._crew

    def take(self, worker: Worker) -> RequestFuture | None:  # noqa: ARG002  (whose turn it is does not matter)
        """The next request, None to end; raises queue.Empty after ``idle_timeout``."""
        return self._inbox.get(timeout=self.idle_timeout)

    def retire(self, worker: Worker) -> bool:
        """Let an idle ``worker`` end, unless something came in between."""
        with self._lock:
            if not self._inbox.empty():
                return False
            self._crew.dismiss(worker)
            return True

    def leave(self, worker: Worker, trouble: BaseException | None) -> None:
        """``worker`` ends; with ``trouble``, and as the last one, what waits is cancelled."""
        with self._lock:
            self._crew.dismiss(worker)
            stranded = list(self._waiting) if trouble is not None and not len(self._crew) else []
        if trouble is not None:
            _log.error("%s: a worker ends; %d waiting requests are cancelled", self.name, len(stranded), exc_info=trouble)
        cancel_all(stranded)

    def begin(self, future: RequestFuture) -> float:
        """``future`` is in flight; the seconds it waited."""
        with self._lock:
            now = future.started_at = self._clock()
            self._forget(future)
            abandon = self._abandon
        if abandon:
            future.stop_retrying()
        return now - future.queued_at

    def end(self, future: RequestFuture) -> float:
        """``future`` is in flight no more; the seconds it was."""
        since, future.started_at = future.started_at, None
        return 0.0 if since is None else self._clock() - since

    # Closing

    def close(self, cancel_pending: bool = False) -> None:
        """Take no more requests and wait until those queued and in flight are done; may be called again.

        With ``cancel_pending`` what is queued is cancelled and what is in flight makes no further attempt. Called on a
        worker thread (in a done-callback), it does not wait.
        """
        self.stop(cancel_pending)
        self.join()

    def stop(self, cancel_pending: bool = False) -> None:
        """The first half of ``close``: set it going and return at once."""
        self._check_process()
        with self._lock:
            self._closing = True
            for _ in range(len(self._crew)):  # each time: an interrupt may have cut the former off
                self._put(None)  # behind all that is queued, and nothing is put behind it
            self._room.notify_all()
            if not cancel_pending:
                return
            self._abandon = True
            waiting, under_way = list(self._waiting), self._crew.under_way()
        cancel_all(waiting)
        for future in under_way:
            future.stop_retrying()

    def join(self, timeout: float | None = None) -> bool:
        """The second half of ``close``: wait up to ``timeout`` seconds (None: as long as it takes); whether all ended."""
        if isinstance(threading.current_thread(), Worker):
            return True  # workers that wait for each other would never end
        if not self._crew.join(timeout):
            return False
        with self._lock:
            stranded = list(self._waiting)
        cancel_all(stranded)  # accepted by a submit that an interrupt or this closing stopped half-way
        return True

    def abort(self) -> None:
        """End what is in flight, where the calls know how to."""
        with self._lock:
            under_way = self._crew.under_way()
        for future in under_way:
            future.abort()

    # Looking on

    def on_worker(self) -> bool:
        """Whether the calling thread is one of this queue's workers."""
        return threading.current_thread() in self._crew

    def emit(self, event: Event) -> None:
        """Count ``event`` for ``status``, then pass it to the listener. Whoever makes the attempts emits theirs here."""
        self._counts.add(event)
        if self._listener is not None:
            try:
                self._listener(event)
            except Exception:  # noqa: BLE001  (foreign code, whose bug must not cost an answer)
                _log.exception("%s: a listener of events fails at %s; the request goes on", self.name, type(event).__name__)

    def status(self) -> ProviderStatus:
        """This moment's counts; ``cooling_down_until`` is the gate's to tell."""
        self._check_process()
        with self._lock:
            queued = len(self._waiting)
            begun = [since for future in self._crew.under_way() if (since := future.started_at) is not None]
        oldest = self._clock() - min(begun) if begun else None
        return self._counts.status(queued=queued, in_flight=len(begun), oldest_in_flight_s=oldest)

    # Forking

    def reset_after_fork(self) -> None:
        """In the child: its own locks, queue and counts, no threads, no inherited requests; closed stays closed."""
        if self._process != os.getpid():
            inherited = dict.fromkeys([*self._waiting, *self._crew.under_way(), *self._inbox.queue])  # with those cancelled
            self._start_afresh()
            fork.run_all(future.settle_in_child for future in inherited if future is not None)

    def _check_process(self) -> None:
        if self._process != os.getpid():  # forked without running hooks, or in a hook that runs before ours
            self.reset_after_fork()
