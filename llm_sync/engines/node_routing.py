"""How a batch's requests reach the machines of a ``per_node`` provider: a queue of its own, and an endpoint that spreads them."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable
from typing import Any

from llm_sync.client import queues
from llm_sync.client.dispatcher import Dispatcher
from llm_sync.client.endpoints import Endpoint
from llm_sync.config.models import LLMConfig
from llm_sync.dispatch.manager import ConcurrentLLMManager
from llm_sync.dispatch.queue import ProviderRequestQueue
from llm_sync.engines.attempts import RemoteAttempts
from llm_sync.engines.board import Board
from llm_sync.engines.nodes import Nodes

MAX_IN_FLIGHT = 4096  # of one provider on all machines


class NodeRouting:
    """The ``per_node`` providers of one run."""

    def __init__(self, dispatcher: Dispatcher, board: Board) -> None:
        self._dispatcher = dispatcher
        self._board = board
        self._config: LLMConfig = dispatcher.config
        self.nodes = {
            name: Nodes(name, provider.concurrency, self._endpoint_on)
            for name, provider in dispatcher.config.providers.items()
            if provider.per_node
        }
        self._originals: dict[int, str] = {id(nodes): name for name, nodes in self.nodes.items()}
        self._manager = ConcurrentLLMManager(self._open_queue)
        board.changed = self.sync

    def sync(self) -> None:
        """Workers have come or gone."""
        hosts = {worker.host for worker in self._board.workers()}
        for nodes in self.nodes.values():
            nodes.sync(hosts)

    def tick(self) -> None:
        """Some time has passed."""
        for nodes in self.nodes.values():
            nodes.serve_waiting()

    def replace(self, name: str, endpoint: Endpoint) -> Endpoint:
        """The endpoint of a provider that spreads its requests."""
        nodes: Any = self.nodes[name]
        provider = copy.copy(endpoint.provider)
        vars(provider)["steps"] = nodes.steps  # the cache calls it
        return Endpoint(provider, endpoint.http, _GateOfAll(nodes, endpoint.gate), nodes.steps)  # type: ignore[arg-type]

    def routed(self, dispatcher: Dispatcher) -> Dispatcher:
        """The dispatcher, with queues that are long enough."""
        vars(dispatcher)["_manager"] = _Queues(dispatcher.queues, self._manager, self.nodes)
        return dispatcher

    def close(self) -> None:
        """End the queues."""
        self._manager.close(cancel_pending=True, grace=0)

    def _endpoint_on(self, host: str, nodes: Nodes) -> Endpoint:
        """The endpoint of a provider for one machine, with a gate of its own."""
        name = self._originals[id(nodes)]
        endpoint = self._dispatcher.another_endpoint(name)
        limits = endpoint.gate.traffic.adapt
        provider = endpoint.provider.with_attempts_by(
            lambda own, emit: RemoteAttempts(self._board, name, own, emit, limits, host, nodes.judge)
        )
        return endpoint._replace(provider=provider, steps=provider.steps)

    def _open_queue(self, name: str) -> ProviderRequestQueue:
        config = dataclasses.replace(self._config.providers[name], concurrency=MAX_IN_FLIGHT, max_queue=None, machine_wide=False)
        return queues.open_queue(config, self._dispatcher.queues.queue(name).emit)


class _Queues:
    """The queues of a client, but for the providers that have one of their own here."""

    def __init__(self, usual: ConcurrentLLMManager, own: ConcurrentLLMManager, names: Iterable[str]) -> None:
        self._usual = usual
        self._own = own
        self._names = frozenset(names)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._usual, name)

    def submit(self, provider: str, call: Any, **options: Any) -> Any:
        """See ConcurrentLLMManager."""
        return (self._own if provider in self._names else self._usual).submit(provider, call, **options)


class _GateOfAll:
    """What is asked of a provider's gate beside admission, for all machines together."""

    def __init__(self, nodes: Nodes, gate: Any) -> None:
        self._nodes = nodes
        self.traffic = gate.traffic

    @property
    def cooling_down_until(self) -> Any:
        """See Gate."""
        return self._nodes.cooling_down_until
