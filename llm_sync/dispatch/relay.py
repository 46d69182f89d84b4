"""Futures that the futures of provider queues complete, one after another: what the caller of a route waits for."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import InvalidStateError
from typing import Any

from llm_sync.dispatch import errors as dispatch_errors
from llm_sync.dispatch import shutdown
from llm_sync.dispatch.future import RequestFuture
from llm_sync.dispatch.relayed_future import Relay, RelayedFuture, RelayOwner
from llm_sync.dispatch.status import ProviderStatus
from llm_sync.dispatch.worker import Worker
from llm_sync.events import logger
from llm_sync.runtime import clock, fork

POLL_S = 0.2  # how often ``join`` looks for a relay whose thread was interrupted
INTERRUPTED_S = 10.0  # how long a relay may take between two steps: longer than any import or slow machine needs

_log = logger("dispatch")


class RelayQueue:
    """All relays of one client that are under way. Has no workers: each step waits in its provider's own queue.

    ``ConcurrentLLMManager`` treats it like the queue of a provider. Every method may be called from any thread.
    """

    name = "routes"
    drains_first = True  # steps need the queues of the providers: those are closed when no relay is left

    def __init__(self, now: Callable[[], float] = clock.now) -> None:
        self._now = now
        self._closing = False
        self._abandon = False
        self._reset()
        fork.watch(self)
        shutdown.watch(self)

    def _reset(self) -> None:
        self._process = os.getpid()
        self._pending: dict[RequestFuture, Relay] = {}  # without a lock, like ProviderRequestQueue: each step is atomic

    def prepare(self, call: Any) -> RelayedFuture:
        """The future of a relay, which ``accept`` begins."""
        queue = call.first_queue
        if queue is not None:
            queue._renew_if_stale()  # noqa: SLF001
        return RelayedFuture(RelayOwner(self, call, queue), call, self._now())

    def accept(self, future: RequestFuture, *, block: bool = True, timeout: float | None = None) -> None:
        """Begin. If this raises, the future is withdrawn."""
        assert isinstance(future, RelayedFuture)  # noqa: S101  (prepare makes no others)
        relay: Any = future._call  # noqa: SLF001
        try:
            self._pending[future] = relay
            queue = future.owner.step_queue
            if self._closing or queue is None:  # a queue refuses by itself while the process ends
                self._refuse_when_closed(relay)
            if queue is None:
                relay.begin(future, block=block, timeout=timeout)
            else:
                queue.accept(future, block=block, timeout=timeout)
        except BaseException:
            future.withdraw()
            self._pending.pop(future, None)
            raise

    def _refuse_when_closed(self, relay: Relay) -> None:
        if self._closing:
            raise dispatch_errors.closed(relay.provider)
        if shutdown.shutting_down() and (shutdown.refuses_calls() or isinstance(threading.current_thread(), Worker)):
            raise dispatch_errors.ending(relay.provider)

    def on_done(self, future: RequestFuture) -> None:
        """Forget a future that is done; if it was cancelled, its step is too."""
        relay = self._pending.pop(future, None)
        future.release_call()
        if relay is not None and future.cancelled():
            relay.withdraw()

    def forget(self, future: RequestFuture) -> None:
        """A future is done that waited for its first step itself."""
        self._pending.pop(future, None)

    def on_worker(self) -> bool:
        """Whether the calling thread is a worker of this queue: it has none. The futures know which ones they need."""
        return False

    def may_continue(self) -> bool:
        """Whether a further step may be queued: also while the client closes, but not when it gives up what is pending."""
        return not self._abandon

    def stop(self, cancel_pending: bool = False) -> None:
        """Begin nothing more; with ``cancel_pending`` cancel what has not been sent, and begin no further steps."""
        self._check_process()
        self._closing = True
        if cancel_pending:
            self._abandon = True
            for future in list(self._pending):
                if not future.cancel():
                    future.stop_retrying()

    def end_workers(self) -> None:
        """The process ends. There are no workers here; steps run in the threads that queue them."""
        self._check_process()

    def join(self, timeout: float | None = None) -> bool:
        """Wait up to ``timeout`` seconds (None: no limit) until all relays have ended; return whether they have."""
        until = None if timeout is None else self._now() + timeout
        ended: dict[RequestFuture, tuple[object, float]] = {}  # the step that has ended, and since when it is known
        while pending := list(self._pending.items()):
            if any(future.owner.on_worker() for future, _ in pending):
                return True  # a worker that waited here would wait for itself
            now = self._now()
            steps = {future: step for future, relay in pending if (step := relay.ended_step()) is not None}
            known = {future: ended.get(future, (None, 0.0)) for future in steps}
            ended = {future: known[future] if known[future][0] is step else (step, now) for future, step in steps.items()}
            self._end_interrupted(future for future, (_, since) in ended.items() if now - since > INTERRUPTED_S)
            left = POLL_S if until is None else min(POLL_S, until - now)
            if left <= 0:
                return False
            pending[0][0].wait(left)
        return True

    def _end_interrupted(self, futures: Iterable[RequestFuture]) -> None:
        """End relays whose step ended some time ago, and that did not move on: their thread was interrupted."""
        for future in futures:
            if not future.done():
                settle(future, None, dispatch_errors.cancelled(future.owner.name, future.model))

    def abort(self) -> None:
        """Abort the step of every relay."""
        for future in list(self._pending):
            future.withdraw()

    def status(self) -> ProviderStatus:
        """Nothing: the steps count where they are asked."""
        return ProviderStatus()

    def reset_after_fork(self) -> None:
        """In the child: inherited relays belong to the parent."""
        if self._process != os.getpid():
            inherited = list(self._pending)
            self._reset()
            fork.run_all(future.settle_in_child for future in inherited)

    def _check_process(self) -> None:
        if self._process != os.getpid():  # forked without hooks, or in a hook that runs before ours
            self.reset_after_fork()


def may_be_worker() -> bool:
    """Whether the calling thread may be a worker of any queue: cheaper than to ask each queue."""
    thread = threading.current_thread()
    return isinstance(thread, Worker) or hasattr(thread, "helped") or shutdown.shutting_down()


def settle(future: RequestFuture, value: object, failure: BaseException | None) -> None:
    """Complete ``future`` from the done-callback of a step, without waiting for a lock that a calling thread may hold."""
    if future.is_locked():
        try:
            late = functools.partial(_settle, future, value, failure)
            threading.Thread(target=late, name="llm-sync-routes-late", daemon=True).start()
            return
        except RuntimeError:  # no thread could be started
            pass
    _settle(future, value, failure)


def _settle(future: RequestFuture, value: object, failure: BaseException | None) -> None:
    try:
        if failure is None:
            future.set_result(value)
        else:
            future.set_exception(failure)
    except InvalidStateError:
        return  # cancelled meanwhile, or completed from outside
    except BaseException as error:  # noqa: BLE001  (Future catches only Exception from callbacks)
        _log.error("%s: a done-callback raised %s", future.owner.name, type(error).__name__, exc_info=error)
    finally:
        del future, value, failure
