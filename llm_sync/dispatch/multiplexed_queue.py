"""The FIFO queue of a provider whose requests one worker thread runs at once."""

from __future__ import annotations

from functools import partial
from queue import Empty

from llm_sync.dispatch.future import RequestFuture
from llm_sync.dispatch.multiplexing import MultiplexingWorker
from llm_sync.dispatch.queue import ProviderRequestQueue
from llm_sync.dispatch.worker_pool import WorkerPool
from llm_sync.runtime import event_loop


class MultiplexedRequestQueue(ProviderRequestQueue):
    """Like ProviderRequestQueue, with one worker thread that has up to ``concurrency`` requests in flight (multiplexing.py)."""

    def _reset(self) -> None:
        former = getattr(self, "_pool", None)
        if former is not None:  # in a forked child, perhaps in the worker itself
            former.abandon()
        super()._reset()
        if event_loop.is_usable():
            make = partial(MultiplexingWorker, size=self.concurrency)
            self._pool = WorkerPool(self.name, self.concurrency, threads=1, make=make)

    def _put(self, future: RequestFuture | None) -> None:
        super()._put(future)
        self._pool.wake()

    def is_idle(self) -> bool:
        """Whether there is nothing to take."""
        return self._inbox.empty()

    def take_now(self) -> RequestFuture | None:
        """Like ``take``, without waiting; None also if there is nothing."""
        try:
            return self._inbox.get_nowait()
        except Empty:
            return None
