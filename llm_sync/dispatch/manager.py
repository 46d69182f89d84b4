"""All provider queues of one client: who gets which call, answers in input order, waiting, closing, forking."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, MutableSequence
from concurrent.futures import Future
from typing import Any

from llm_sync.dispatch import errors as dispatch_errors
from llm_sync.dispatch import shutdown, wait
from llm_sync.dispatch.future import Call, RequestFuture, seconds
from llm_sync.dispatch.queue import ProviderRequestQueue
from llm_sync.dispatch.status import ProviderStatus
from llm_sync.errors import BatchError, ClientClosedError, LLMConnectorError, QueueFullError
from llm_sync.runtime import fork

Item = tuple[str, Call] | LLMConnectorError


class ConcurrentLLMManager:
    """Owns the queues. ``open_queue(provider)`` makes one, on first use, and does no more than that (a lock is held).

    Providers never wait for each other. Every method may be called from any thread; those that wait for answers raise
    RuntimeError on a worker thread of a provider that they would wait for.
    """

    def __init__(self, open_queue: Callable[[str], ProviderRequestQueue]) -> None:
        self._open_queue = open_queue
        self._process = os.getpid()
        # Guards _queues and _closed from look to change: no queue is opened twice, or after closing. Re-entrant: the
        # garbage collector may run anything meanwhile.
        self._lock = threading.RLock()
        self._queues: dict[str, ProviderRequestQueue] = {}
        self._closed = False
        self._resets: list[Callable[[], None]] = []
        fork.watch(self)

    def queue(self, provider: str) -> ProviderRequestQueue:
        """The queue of ``provider``. Raises ClientClosedError when closed, and whatever opening it raises."""
        self._check_process()
        with self._lock:
            if self._closed:
                raise dispatch_errors.closed(provider)
            queue = self._queues.get(provider)
            if queue is None:
                queue = self._queues[provider] = self._open_queue(provider)
            return queue

    def submit(self, provider: str, call: Call, *, block: bool = True, timeout: float | None = None) -> RequestFuture:
        """Queue one call; see ProviderRequestQueue.submit."""
        future = self._prepare(provider, call)
        future.owner.accept(future, block=block, timeout=timeout)
        return future

    def _prepare(self, provider: str, call: Call) -> RequestFuture:
        shutdown.forget_interrupt()
        return self.queue(provider).prepare(call)

    # Waiting

    def call(self, provider: str, call: Call, *, timeout: float | None = None) -> Any:
        """Queue one call and wait for it: ``submit`` and ``result`` in one ``timeout``, the wait for room included.

        Ctrl-C, whenever it comes, leaves no request behind: between ``submit`` and ``result`` it may.
        """
        self._refuse_own_worker(provider)
        limit = seconds(timeout)
        began = time.monotonic()
        future = self._prepare(provider, call)
        try:
            try:
                future.owner.accept(future, timeout=limit)
                found = wait.outcome_within(future, None if limit is None else limit - (time.monotonic() - began))
            except QueueFullError as error:
                what = f"{error.message}; nothing was sent"
                raise dispatch_errors.expired(limit, what, provider, future.model) from error
            except BaseException:
                future.withdraw()
                raise
            return wait.conclude(future, found, limit)
        finally:
            found = None
            del future  # an error's traceback holds this frame, and the future the error

    def result(self, future: Future[Any], timeout: float | None = None) -> Any:
        """Wait for a future of ``submit`` and give its outcome.

        ``timeout``: seconds; on expiry the request is cancelled, if it is unsent, and RequestTimeoutError raised. Ctrl-C
        cancels the request, or aborts it when in flight, and is raised at once. ClientClosedError when it was cancelled;
        RuntimeError on the provider's own worker.
        """
        try:
            try:
                found = wait.outcome_within(future, seconds(timeout))
            except BaseException:
                wait.withdraw([future])
                raise
            return wait.conclude(future, found, timeout)
        finally:
            found = None
            del future  # as in call

    def run(self, calls: Iterable[tuple[str, Call]], *, return_exceptions: bool = False) -> list[Any]:
        """Make all ``calls`` (provider, call) and wait for all; results in input order.

        With ``return_exceptions`` exceptions stand in place of results; otherwise, when there are any, BatchError is
        raised, whose ``results`` is that list. Ctrl-C withdraws all of them. ClientClosedError when closed beforehand.
        """
        if self._closed:
            raise dispatch_errors.closed()
        calls = list(calls)  # an iterator too: it is gone through twice
        for provider in dict.fromkeys(provider for provider, _ in calls):
            self._refuse_own_worker(provider)
        futures: list[Future[Any]] = []
        try:
            for provider, call in calls:
                self._add(futures, provider, call)
            outcomes = [wait.outcome(future) for future in futures]
        except BaseException:
            wait.withdraw(futures)
            raise
        results = [value if error is None else error for value, error in outcomes]
        failures = [error for _, error in outcomes if error is not None]
        if failures and not return_exceptions:
            raise BatchError(
                f"{len(failures)} of {len(results)} requests failed, first with {type(failures[0]).__name__}",
                results=results,
                guidance="The error's .results holds answers and exceptions in input order.",
            ) from failures[0]
        return results

    def map(self, calls: Iterable[Item], *, window: int = 256, return_exceptions: bool = False) -> Iterator[Any]:
        """Make ``calls`` as they come, at most ``window`` ahead of the result asked for; results in input order.

        An LLMConnectorError in the place of a (provider, call) is the outcome of a request that could not be made.

        Lazy: nothing is taken from ``calls``, which may be endless, before the first result is asked for. What ``calls``
        itself raises comes after the results of what it gave before; so does ClientClosedError when closed meanwhile.
        A failed request raises here and ends the iteration, unless ``return_exceptions``. Ending or closing the
        iterator early cancels what is queued; Ctrl-C also aborts what is in flight.
        """
        if window < 1:
            raise ValueError(f"window={window}: give 1 or more")
        return self._map(iter(calls), window, return_exceptions)

    def _map(self, calls: Iterator[Item], window: int, return_exceptions: bool) -> Iterator[Any]:
        pending: deque[Future[Any]] = deque()
        end: Exception | None = None
        error: BaseException | None = None
        try:
            while True:
                try:
                    if end is None:
                        end = self._fill(pending, calls, window)
                    if not pending:
                        break
                    value, error = wait.outcome(pending[0])
                except BaseException:
                    wait.withdraw(pending)
                    raise
                pending.popleft()
                if error is not None and not return_exceptions:
                    raise error
                yield value if error is None else error
                value = error = None
            if end is not None and not isinstance(end, StopIteration):
                raise end
        finally:
            end = error = None  # their tracebacks hold this frame
            for future in reversed(pending):  # last first: no worker takes the next one while the one before is cancelled
                future.cancel()

    def _fill(self, pending: deque[Future[Any]], calls: Iterator[Item], window: int) -> Exception | None:
        """Submit until ``window`` are pending; gives what ended the input, if it ended.

        An answer that is there goes before more than two inputs: input that comes slowly (a pipe) holds none back.
        """
        taken = 0
        while len(pending) < window and not (taken >= 2 and pending[0].done()):
            try:
                item = next(calls)
            except Exception as error:  # noqa: BLE001  (the input's own; raised in its place, after the results before it)
                return error
            taken += 1
            if isinstance(item, LLMConnectorError):
                pending.append(wait.failed(item))
                continue
            try:
                provider, call = item
                self._refuse_own_worker(provider)
                refusal = self._add(pending, provider, call)
            except Exception as error:  # noqa: BLE001  (likewise)
                return error
            if isinstance(refusal, ClientClosedError):
                pending.pop()
                return refusal
        return None

    def _add(self, futures: MutableSequence[Future[Any]], provider: str, call: Call) -> LLMConnectorError | None:
        """Submit a call and append its future; one that is refused fails alone: answers of the others are paid for."""
        try:
            future = self._prepare(provider, call)
        except LLMConnectorError as error:
            futures.append(wait.failed(error))
            return error
        futures.append(future)  # before it is accepted: so an interrupt finds it
        try:
            future.owner.accept(future)
        except LLMConnectorError as error:
            futures[-1] = wait.failed(error)
            return error
        except BaseException:
            futures.pop()
            raise
        return None

    def _refuse_own_worker(self, provider: str) -> None:
        queue = self._queues.get(provider)  # one that is not open has no workers
        if queue is not None and queue.on_worker():
            raise dispatch_errors.own_worker(provider)

    # Closing, looking on, forking

    def close(self, cancel_pending: bool = False, *, grace: float | None = None) -> None:
        """Take no more requests, and wait until those queued and in flight are done; may be called again.

        With ``cancel_pending`` what is queued is cancelled and what is in flight makes no further attempt; what is in
        flight ``grace`` seconds later (None: however long it takes) is aborted. On a worker thread it does not wait.
        """
        self._check_process()
        with self._lock:
            self._closed = True
            queues = list(self._queues.values())
        shutdown.drain(queues, cancel_pending=cancel_pending, grace=grace)

    def status(self) -> dict[str, ProviderStatus]:
        """Every provider used so far; ``cooling_down_until`` is its gate's to tell."""
        self._check_process()
        with self._lock:
            queues = dict(self._queues)
        return {provider: queue.status() for provider, queue in queues.items()}

    def after_fork(self, reset: Callable[[], None]) -> None:
        """Call ``reset`` in every child, after the queues are reset: for what the calls use (connections, locks).

        It must neither lock, unlock nor close what it finds, and may be called more than once. Held as long as the manager.
        """
        self._resets.append(reset)

    def reset_after_fork(self) -> None:
        """In the child: a lock of its own, and the same for every queue and for what ``after_fork`` was told of."""
        if self._process != os.getpid():
            self._process = os.getpid()
            self._lock = threading.RLock()
            fork.run_all([*(queue.reset_after_fork for queue in self._queues.values()), *self._resets])

    def _check_process(self) -> None:
        if self._process != os.getpid():  # forked without running hooks, or in a hook that runs before ours
            self.reset_after_fork()
