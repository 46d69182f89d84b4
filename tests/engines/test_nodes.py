"""A server on every machine: limits for each, all kept busy, and one that is down."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from batch_apparatus import STUB_TIME, Batch

from llm_sync.engines import nodes as nodes_room
from llm_sync.engines.board import Board
from llm_sync.engines.flights import Flight, Worker
from llm_sync.engines.wire import Outcome, Session
from llm_sync.errors import ProviderConnectionError
from llm_sync.models import ModelResponse, Usage

CONFIG = """
defaults: {retry_base: 0, max_retries: 1}
providers:
  a: {type: openai, api_key: "${ENGINE_TEST_KEY}", base_url: "http://127.0.0.1:9/v1", models: [m], concurrency: 2, per_node: true}
"""


class Machines:
    """An engine of two machines, each with a worker and a server, which answers when it is let."""

    name = "machines"

    def __init__(self) -> None:
        self.in_flight = {"one": 0, "two": 0}
        self.most = {"one": 0, "two": 0}
        self.made = {"one": 0, "two": 0}
        self.down: set[str] = set()
        self.after: dict[str, Callable[[], object]] = {}
        self._pool = ThreadPoolExecutor(8)
        self._lock = threading.Lock()

    def open(self, board: Board, session: Session) -> None:
        self.board = board
        for host in self.in_flight:
            board.join(Worker(f"{host}:1", host, 99))

    def send(self, worker: Worker, flights: list[Flight]) -> None:
        for flight in flights:
            self._pool.submit(self._answer, worker.host, flight)
        self.board.acknowledge(worker)

    def _answer(self, host: str, flight: Flight) -> None:
        with self._lock:
            self.in_flight[host] += 1
            self.most[host] = max(self.most[host], self.in_flight[host])
        threading.Event().wait(0.01)
        number, request = flight.item.id, flight.item.prepared.request
        with self._lock:
            self.in_flight[host] -= 1
            self.made[host] += 1
            is_down = host in self.down
        after = self.after.get(host)
        if after is not None:
            after()
        if is_down:
            error = ProviderConnectionError("connection refused", provider="a", retryable=True)
            self.board.settle(Outcome(number, error=error))
        else:
            response = ModelResponse(f"from {host}", "m", "a", "stop", Usage(1, 1), STUB_TIME, 1.0, id=request.id)
            self.board.settle(Outcome(number, response))

    def ended(self, path: str) -> None: ...

    def close(self) -> None:
        self._pool.shutdown()


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch) -> Machines:
    """The engine that ``on="machines"`` names."""
    made = Machines()
    monkeypatch.setattr("llm_sync.engines.engine_for", lambda on: made)
    return made


@pytest.fixture
def node_job(tmp_path: Path, open_client: Callable[..., Any], key: str) -> Batch:
    """A batch of forty lines for the servers."""
    job = Batch(tmp_path, open_client(CONFIG))
    job.lines(*(f"p{number}" for number in range(40)))
    return job


def test_limits_count_for_each_machine_and_all_are_kept_busy(node_job: Batch, machines: Machines) -> None:
    """Two in flight on each, where one server would have two in all."""
    summary = node_job.run(on="machines")
    assert summary.tally.answered == 40
    assert machines.most == {"one": 2, "two": 2}
    assert min(machines.made.values()) >= 10


def test_a_machine_whose_server_is_down_is_taken_out(node_job: Batch, machines: Machines, caplog: Any) -> None:
    """Its lines go to the other one, and no line fails or is tried in vain more often than there were places."""
    machines.after["one"] = lambda: machines.down.add("one") if machines.made["one"] == 5 else None
    summary = node_job.run(on="machines")
    assert summary.tally.answered == 40
    assert machines.made["two"] >= 33
    assert machines.made["one"] <= 5 + 2 + 1
    assert caplog.text.count("the server of one cannot be reached") == 1


def test_a_server_that_answers_again_gets_requests_again(
    node_job: Batch, machines: Machines, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """After a rest, one request tries it."""
    monkeypatch.setattr(nodes_room, "FIRST_REST_S", 0.05)
    machines.down.add("one")
    machines.after["two"] = lambda: machines.down.discard("one") if machines.made["two"] == 8 else None
    summary = node_job.run(on="machines")
    assert summary.tally.answered == 40
    assert "the server of one answers again" in caplog.text
    assert machines.made["one"] >= 5


def test_with_every_server_down_requests_fail_as_ever(node_job: Batch, machines: Machines) -> None:
    """There is none to go to."""
    machines.down |= {"one", "two"}
    node_job.lines("p0")
    summary = node_job.run(on="machines")
    assert summary.tally.failed == {"ProviderConnectionError": 1}
