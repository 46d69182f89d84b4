"""The engine of one run: where attempts are made, and what the coordinator needs for it."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from llm_sync.client.endpoints import Endpoint
from llm_sync.engines.attempts import RemoteAttempts
from llm_sync.engines.board import Board
from llm_sync.engines.flights import Flight, Worker, WorkerView
from llm_sync.engines.spool import spools_in
from llm_sync.engines.spool_reader import SpoolReader
from llm_sync.engines.wire import Record, Session, host_id, unpacked
from llm_sync.errors import LLMConnectorError

if TYPE_CHECKING:
    from llm_sync.client.client import LLMClient
    from llm_sync.client.dispatcher import Dispatcher


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


class EngineRun:
    """One run on an engine. ``folder``: for spools, made by ``open``; ``record``: see Record."""

    def __init__(self, link: Link, client: LLMClient, folder: str, record: Record) -> None:
        self._link = link
        self._client = client
        self._folder = folder
        self._record = record
        self._board = Board(link.send)
        self._reader: SpoolReader | None = None

    def open(self, providers: Iterable[str], output: str) -> Dispatcher:
        """Start; return what sends by the workers. ``providers``: those that get requests. ``output``: see Session.

        Raises LLMConnectorError if a worker lacks a key, or none can be started; OSError.
        """
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        for name in os.listdir(self._folder):  # of former runs, which were collected
            os.unlink(os.path.join(self._folder, name))
        dispatcher = self._client.dispatcher
        config = dispatcher.config
        session = Session(
            os.urandom(8).hex(), config, dispatcher.strict, self._folder, host_id(), output, tuple(providers), self._record
        )
        self._reader = SpoolReader(self._folder, self._hear, self._link.ended, self._board.tick)
        self._board.after_reading = self._reader.after_reading
        self._reader.start()
        self._link.open(self._board, session)
        return dispatcher.over(self._replace)

    def _hear(self, content: bytes) -> None:
        self._board.settle(unpacked(content))

    def _replace(self, name: str, endpoint: Endpoint) -> Endpoint:
        """The endpoint of a provider whose attempts the workers make. One with a way of sending of its own stays here."""
        if endpoint.steps is None:
            return endpoint
        limits = endpoint.gate.traffic.adapt
        provider = endpoint.provider.with_attempts_by(lambda own, emit: RemoteAttempts(self._board, name, own, emit, limits))
        return endpoint._replace(provider=provider, steps=provider.steps)

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
            self._link.close()
        finally:
            if self._reader is not None:
                self._reader.stop()
            if not (keeps_spools and any(os.path.getsize(path) for path in spools_in(self._folder))):
                with contextlib.suppress(OSError):
                    shutil.rmtree(self._folder)
