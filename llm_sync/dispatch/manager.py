"""All provider queues of one client: submitting, waiting, results in input order, closing, forking."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, MutableSequence
from concurrent.futures import Future
from typing import Any

from llm_sync.dispatch import errors as dispatch_errors
from llm_sync.dispatch import shutdown, wait
from llm_sync.dispatch.future import Call, RequestFuture
from llm_sync.dispatch.queue import ProviderRequestQueue
from llm_sync.dispatch.status import ProviderStatus
from llm_sync.errors import BatchError, ClientClosedError, LLMConnectorError, QueueFullError
from llm_sync.runtime import clock, fork
from llm_sync.runtime.interrupts import raised_by_signal_handler

Item = tuple[str, Call] | Future[Any] | LLMConnectorError
"""A call and the provider to queue it for; or a request that is done, or that could not be built."""


class ConcurrentLLMManager:
    """Owns the queues. ``open_queue(provider)`` creates one on first use; a queue that it creates may not be used.

    Providers never wait for each other. Every method may be called from any thread. Those that wait for results raise
    RuntimeError on a worker thread of a provider that they would wait for.
    """

    def __init__(self, open_queue: Callable[[str], ProviderRequestQueue]) -> None:
        self._open_queue = open_queue
        self._process = os.getpid()
        # No lock guards these, see ProviderRequestQueue: queue looks at _closed after it adds; close sets it before it looks.
        self._queues: dict[str, ProviderRequestQueue] = {}
        self._closed = False
        self._resets: list[Callable[[], None]] = []
        fork.watch(self)

    def queue(self, provider: str) -> ProviderRequestQueue:
        """The queue of ``provider``. Raises ClientClosedError when closed, and what ``open_queue`` raises."""
        self._check_process()
        queue = self._queues.get(provider)
        if queue is not None and not self._closed:
            return queue
        if self._closed:
            raise dispatch_errors.closed(provider)
        # Two threads may both open one; setdefault keeps the first, and the other one is never used.
        queue = self._queues.setdefault(provider, self._open_queue(provider))
        if self._closed:  # meanwhile, so close may not have seen it
            queue.stop()
            raise dispatch_errors.closed(provider)
        return queue

    def opened(self, provider: str) -> ProviderRequestQueue | None:
        """The queue of ``provider`` if it was used before, also once the client is closed; else None."""
        return self._queues.get(provider)

    def queue_for_step(self, provider: str) -> ProviderRequestQueue:
        """As ``queue``, for a step of a request that was accepted before: also while the client closes."""
        queue = self._queues.get(provider) or self._queues.setdefault(provider, self._open_queue(provider))
        if self._closed:
            queue.stop()  # its workers end when they have nothing to do
        return queue

    def submit(self, provider: str, call: Call, *, block: bool = True, timeout: float | None = None) -> RequestFuture:
        """Queue one call, waiting at most ``timeout`` seconds for room. Raises as ProviderRequestQueue.submit."""
        future = self._prepare(provider, call)
        future.owner.accept(future, block=block, timeout=timeout)
        return future

    def _prepare(self, provider: str, call: Call) -> RequestFuture:
        shutdown.clear_interrupt()
        return self.queue(provider).prepare(call)

    # Waiting

    def call(self, provider: str, call: Call, *, timeout: float | None = None) -> Any:
        """Queue one call and wait for its result, ``timeout`` seconds in all, the wait for room in the queue included.

        Ctrl-C at any moment also withdraws the request; between separate ``submit`` and ``result`` calls it could not.
        """
        self._refuse_own_worker(provider)
        limit = None if timeout is None else clock.clamp_timeout(timeout)
        began = clock.now()
        future = self._prepare(provider, call)
        if limit is not None:
            future.ends_at = began + limit
        try:
            try:
                future.owner.accept(future, timeout=limit)
                done = future.wait(None if limit is None else limit - (clock.now() - began))
                outcome = wait.outcome_of(future) if done else None
            except QueueFullError as error:
                state = f"{error.message}; nothing was sent"
                raise dispatch_errors.wait_timed_out(limit, state, future.owner.name, future.model) from error
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    shutdown.note_interrupt()
                future.withdraw()
                raise
            return wait.result_of(future, outcome, limit)
        finally:
            outcome = None
            del future  # breaks the cycle of future, error, traceback and this frame

    def result(self, future: Future[Any], timeout: float | None = None) -> Any:
        """Wait for a future of ``submit`` and return its result or raise its error.

        After ``timeout`` seconds the request is cancelled, if it is still queued, and RequestTimeoutError raised. Ctrl-C
        cancels the request, or aborts it when in flight, and is raised at once. Raises ClientClosedError when the future was
        cancelled, RuntimeError on the provider's own worker.
        """
        try:
            try:
                outcome = wait.outcome_within(future, clock.clamp_timeout(timeout))
            except BaseException:
                wait.withdraw([future])
                raise
            return wait.result_of(future, outcome, timeout)
        finally:
            outcome = None
            del future  # as in call

    def run(self, calls: Iterable[Item], *, return_exceptions: bool = False) -> list[Any]:
        """Run all ``calls`` (provider, call) and wait for all; results in input order. A future that is done is a result.

        With ``return_exceptions`` the list holds exceptions in place of results. Otherwise, if any call failed, raises
        BatchError with that list as ``results``. Ctrl-C withdraws all calls. Raises ClientClosedError when already closed.
        """
        if self._closed:
            raise dispatch_errors.closed()
        calls = list(calls)  # iterated twice, so copy an iterator
        for provider in dict.fromkeys(call[0] for call in calls if isinstance(call, tuple)):
            self._refuse_own_worker(provider)
        futures: list[Future[Any]] = []
        try:
            for call in calls:
                if isinstance(call, tuple):
                    self._add(futures, *call)
                else:
                    futures.append(wait.failed_future(call) if isinstance(call, LLMConnectorError) else call)
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
        """Run ``calls`` lazily, at most ``window`` ahead of the next result; results in input order.

        An LLMConnectorError in place of a (provider, call) is the result of a request that could not be built, a future that is
        done is a result.

        Takes nothing from ``calls``, which may be infinite, before the first result is requested. An exception of ``calls``
        itself is raised after the results of the items before it; so is ClientClosedError when the client is closed meanwhile.
        A failed request raises and ends the iteration, unless ``return_exceptions``. Ending or closing the iterator early
        cancels queued requests; Ctrl-C also aborts those in flight. Raises ValueError for a ``window`` below 1.
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
            end = error = None  # their tracebacks refer to this frame
            for future in reversed(pending):  # last first, so that no worker takes the next one meanwhile
                future.cancel()

    def _fill(self, pending: deque[Future[Any]], calls: Iterator[Item], window: int) -> Exception | None:
        """Submit calls until ``window`` are pending. Returns the exception that ended the input, or None.

        Stops after two items if the next result is ready, so that slow input (a pipe) does not delay results.
        """
        taken = 0
        while len(pending) < window and not (taken >= 2 and pending[0].done()):
            try:
                item = next(calls)
            except Exception as failure:  # (of the input; raised after the results of the items before it)
                if raised_by_signal_handler(failure):
                    raise
                return failure
            taken += 1
            if isinstance(item, LLMConnectorError):
                pending.append(wait.failed_future(item))
                continue
            if isinstance(item, Future):
                pending.append(item)
                continue
            try:
                provider, call = item
                self._refuse_own_worker(provider)
                error = self._add(pending, provider, call)
            except Exception as failure:  # (likewise)
                if raised_by_signal_handler(failure):
                    raise
                return failure
            if isinstance(error, ClientClosedError):
                pending.pop()
                return error
        return None

    def _add(self, futures: MutableSequence[Future[Any]], provider: str, call: Call) -> LLMConnectorError | None:
        """Submit a call and append its future. A call that cannot be queued gets a failed future; the others still run."""
        try:
            future = self._prepare(provider, call)
        except LLMConnectorError as error:
            futures.append(wait.failed_future(error))
            return error
        futures.append(future)  # before accept, so that an interrupt withdraws it
        try:
            future.owner.accept(future)
        except LLMConnectorError as error:
            futures[-1] = wait.failed_future(error)
            return error
        except BaseException:
            futures.pop()
            raise
        return None

    def _refuse_own_worker(self, provider: str) -> None:
        queue = self._queues.get(provider)  # a queue that is not open has no workers
        if queue is not None and queue.on_worker():
            raise dispatch_errors.own_worker(provider)

    # Closing, status, forking

    def close(self, cancel_pending: bool = False, *, grace: float | None = None) -> None:
        """Accept no more requests and wait until those queued and in flight are done. May be called again.

        With ``cancel_pending`` queued requests are cancelled and those in flight make no further attempt; those still in
        flight after ``grace`` seconds (None: no limit) are aborted. Does not wait on a worker thread.
        """
        self._check_process()
        self._closed = True
        queues = list(self._queues.values())
        shutdown.drain(queues, cancel_pending=cancel_pending, grace=grace)

    def status(self) -> dict[str, ProviderStatus]:
        """The status of every provider used so far; ``cooling_down_until`` is left to the gate."""
        self._check_process()
        queues = dict(self._queues)
        return {provider: queue.status() for provider, queue in queues.items()}

    def after_fork(self, reset: Callable[[], None]) -> None:
        """Call ``reset`` in every forked child, after the queues are reset; for what calls use (connections, locks).

        ``reset`` must not lock, unlock or close inherited objects, and may be called more than once.
        """
        self._resets.append(reset)

    def reset_after_fork(self) -> None:
        """In the child: reset every queue and run the functions registered with ``after_fork``."""
        if self._process != os.getpid():
            self._process = os.getpid()
            fork.run_all([*(queue.reset_after_fork for queue in self._queues.values()), *self._resets])

    def _check_process(self) -> None:
        if self._process != os.getpid():  # forked without hooks, or in a hook that runs before ours
            self.reset_after_fork()
