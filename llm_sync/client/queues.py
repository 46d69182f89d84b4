"""Which kind of queue a provider gets."""

from __future__ import annotations

from llm_sync.config.models import ProviderConfig
from llm_sync.dispatch.queue import ProviderRequestQueue
from llm_sync.events import Listener
from llm_sync.runtime.import_lock import import_lock


def open_queue(config: ProviderConfig, emit: Listener) -> ProviderRequestQueue:
    """The queue of one provider; with a thread for each request in flight where one thread cannot wait for all of them."""
    kind = ProviderRequestQueue
    if may_multiplex(config):
        with import_lock:
            from llm_sync.dispatch.multiplexed_queue import MultiplexedRequestQueue

        kind = MultiplexedRequestQueue
    return kind(
        config.name,
        concurrency=config.concurrency,
        max_queue=config.max_queue,
        idle_timeout=config.idle_timeout,
        emit=emit,
    )


def may_multiplex(config: ProviderConfig) -> bool:
    """Whether one worker thread may have several requests in flight. Not where each waits for a slot of the machine."""
    return config.concurrency > 1 and not config.machine_wide
