"""The engine of one run: where attempts are made, and what the coordinator needs for it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from llm_sync.client.endpoints import Endpoint
from llm_sync.engines.attempts import RemoteAttempts
from llm_sync.engines.board import Board
from llm_sync.engines.flights import Flight, Worker, WorkerView
from llm_sync.engines.node_routing import NodeRouting
from llm_sync.engines.spool import make_folder, remove_folder, spools_in
from llm_sync.engines.spool_reader import SpoolReader
from llm_sync.engines.wire import Record, Session, host_id, outcome_of
from llm_sync.errors import ConfigurationError, LLMConnectorError
from llm_sync.events import logger

if TYPE_CHECKING:
    from llm_sync.client.client import LLMClient
    from llm_sync.client.dispatcher import Dispatcher

_log = logger("engines")


class Link(Protocol):
    """How tasks get to workers."""

    name: str

    def open(self, board: Board, session: Session) -> None:
        """Begin; workers join the board from now on. Raises LLMConnectorError."""

    def send(self, worker: Worker, flights: list[Flight]) -> None:
        """Give a group to a worker."""

    def ended(self, path: str) -> None:
        """The worker with this spool, on this machine, has ended."""

    def close(self) -> None:
        """End what was begun."""


@runtime_checkable
class Collects(Protocol):
    """A link whose workers may have left answers on other machines."""

    def collect(self, output: str) -> list[bytes]:
        """The lines of those answers."""

    def clear(self, output: str) -> None:
        """Remove them."""


class EngineRun:
    """One run on an engine. ``folder``: for spools, made by ``open``; ``record``: see Record."""

    def __init__(self, link: Link, client: LLMClient, folder: str, record: Record) -> None:
        self._link = link
        self._client = client
        self._folder = folder
        self._record = record
        self._board = Board(link.send)
        self._reader: SpoolReader | None = None
        self._nodes: NodeRouting | None = None
        self._output = ""

    def open(self, providers: Iterable[str], output: str) -> Dispatcher:
        """Start; return what sends by the workers. ``providers``: those that get requests. ``output``: see Session.

        Raises LLMConnectorError if a worker lacks a key, or none can be started; OSError.
        """
        self._output = output
        if not hasattr(os, "mkfifo"):
            raise ConfigurationError("batches run on other processes on Linux and macOS only", guidance="Leave out --on (on=…).")
        make_folder(self._folder)
        dispatcher = self._client.dispatcher
        config = dispatcher.config
        session = Session(
            os.urandom(8).hex(), config, dispatcher.strict, self._folder, host_id(), output, tuple(providers), self._record
        )
        self._nodes = NodeRouting(dispatcher, self._board)
        self._reader = SpoolReader(self._folder, self._hear, self._link.ended, self._tick, self._board.in_flight)
        self._board.after_reading = self._reader.after_reading
        self._reader.start()
        self._link.open(self._board, session)
        self._nodes.sync()
        return self._nodes.routed(dispatcher.over(self._replace))

    def collect(self, output: str) -> list[bytes]:
        """The lines of answers that workers of former runs have left on other machines. Raises LLMConnectorError."""
        return self._link.collect(output) if isinstance(self._link, Collects) else []

    def clear(self, output: str) -> None:
        """Remove what ``collect`` returns: all of it is written down here."""
        if isinstance(self._link, Collects):
            self._link.clear(output)

    def _hear(self, frames: list[tuple[bytes, bytes]]) -> None:
        """Outcomes have been read from spools, with their lines."""
        outcomes = []
        for content, line in frames:
            try:
                outcomes.append(outcome_of(content, line))
            except Exception:  # noqa: BLE001, PERF203  (the others go on; this attempt is taken for lost when its time is over)
                _log.exception("the outcome of an attempt cannot be read")
        self._board.settle_all(outcomes)

    def _replace(self, name: str, endpoint: Endpoint) -> Endpoint:
        """The endpoint of a provider whose attempts the workers make. One with a way of sending of its own stays here."""
        if endpoint.steps is None:
            return endpoint
        if self._nodes is not None and name in self._nodes.nodes:
            return self._nodes.replace(name, endpoint)
        limits = endpoint.gate.traffic.adapt
        provider = endpoint.provider.with_attempts_by(lambda own, emit: RemoteAttempts(self._board, name, own, emit, limits))
        return endpoint._replace(provider=provider, steps=provider.steps)

    def _tick(self, seconds: float) -> None:
        self._board.tick(seconds)
        if self._nodes is not None:
            self._nodes.tick()

    def room(self, provider: str) -> int | None:
        """How many requests the machines of a ``per_node`` provider take at once; None for any other."""
        nodes = None if self._nodes is None else self._nodes.nodes.get(provider)
        return None if nodes is None else nodes.room

    def in_flight(self, provider: str) -> int | None:
        """How many of a ``per_node`` provider's requests are in flight; None for any other."""
        nodes = None if self._nodes is None else self._nodes.nodes.get(provider)
        return None if nodes is None else nodes.busy

    @property
    def failure(self) -> LLMConnectorError | None:
        """Why nothing can be sent any more."""
        return self._board.failure

    def views(self) -> tuple[WorkerView, ...]:
        """The workers."""
        return self._board.views()

    def close(self, *, keeps_spools: bool) -> None:
        """End the workers. ``keeps_spools``: there may be answers in them that the journal lacks."""
        try:
            if not keeps_spools:
                self.clear(self._output)
            self._link.close()
        finally:
            if self._reader is not None:
                self._reader.stop()
            if self._nodes is not None:
                self._nodes.close()
            if not (keeps_spools and any(os.path.getsize(path) for path in spools_in(self._folder))):
                remove_folder(self._folder)
