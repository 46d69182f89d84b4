"""The engine ``dask``: workers of a Dask cluster, of this machine or of others."""

from __future__ import annotations

import contextlib
import itertools
import pickle
import threading
import time
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from llm_sync.engines import dask_tasks
from llm_sync.engines.board import Board
from llm_sync.engines.dask_connection import Connection
from llm_sync.engines.dask_submission import is_cancelled
from llm_sync.engines.flights import Flight, Worker
from llm_sync.engines.greeting import problem_with
from llm_sync.engines.wire import Hello, Session, outcome_of
from llm_sync.errors import ConfigurationError, LLMConnectorError, ProviderConnectionError
from llm_sync.events import logger

_GATHER_S = 0.002
_GREETING_S = 60.0  # until workers that do not greet are left to come later
_COLLECT_S = 150.0  # an attempt of a former run may take its whole timeout
_LOOK_S = 0.2
_FOLLOW_S = 1.0  # until another worker of a cluster that has just been started joins
_ALIVE = ("running", "newly-created")  # states of a client whose scheduler is there
_LINGER = 0.1  # fraction of a typical attempt that a task waits for further outcomes
_MIN_LINGER_S, _MAX_LINGER_S = 0.001, 0.02

_log = logger("engines")


class DaskEngine:
    """``address``: of a scheduler; None: a cluster is started on this machine. ``client``: the program's, which stays open."""

    def __init__(self, address: str | None = None, client: Any = None) -> None:
        self._connection = Connection(address, client)
        self.name = "Dask"
        self._numbers = itertools.count()
        self._fetching: dict[Worker, None] = {}  # those with a task that fetches; the thread that has the results changes it
        self._workers: dict[str, Worker] = {}  # by address
        self._lock = threading.Lock()  # guards _gathered
        self._gathered: dict[Worker, list[Flight]] = {}
        self._problems: list[LLMConnectorError] = []
        self._linger = _MIN_LINGER_S
        self._is_waiting = False  # for the first worker, when there was none at the start
        self._closing = False

    def open(self, board: Board, session: Session) -> None:
        """Connect, and greet the workers there are. Raises LLMConnectorError if none can send, or there is no scheduler."""
        self._board, self._session = board, session
        self._content = pickle.dumps(session._replace(claims=True))
        client = self._connection.client
        self.name = f"Dask's scheduler at {client.scheduler.address}"
        self._tasks = self._connection.tasks
        client.subscribe_topic("all", self._hear)
        threading.Thread(target=self._watch, args=(client,), name="llm-sync-dask-watch", daemon=True).start()
        known = self._connection.workers()
        if not known:
            _log.warning("%s has no workers yet: waiting for the first", self.name)
        for address in known:
            self._greet(address)
        self._wait_for_first(len(known))
        self._is_waiting = not self._workers

    def _wait_for_first(self, known: int) -> None:
        """Until a worker can send, or all have said why they cannot. Raises that, and why the scheduler is gone."""
        until = time.monotonic() + _GREETING_S
        while len(self._problems) < known and not self._workers and time.monotonic() < until and self._board.failure is None:
            time.sleep(0.01)
        if self._board.failure is not None:
            raise self._board.failure
        if self._problems and not self._workers:
            raise self._problems[0]

    # What former runs have left -------------------------------------------------------------------------------------

    def collect(self, output: str) -> list[bytes]:
        """The answers that workers of former runs have left on machines of the cluster; a cluster of this run has none.

        Waits for what they have in flight, and for workers if there are none yet: nothing could be sent without them. Raises
        LLMConnectorError if the scheduler cannot be reached.
        """
        if self._connection.is_own_cluster:
            return []
        self._connection.tasks.on_each(self._first_workers(), dask_tasks.finish, output, within=_COLLECT_S)
        machines = list({urlsplit(address).hostname: address for address in self._connection.workers()}.values())
        return list(
            itertools.chain(*self._connection.tasks.on_each(machines, dask_tasks.spooled_lines, output, within=_COLLECT_S))
        )

    def _first_workers(self) -> list[str]:
        """The workers there are; if there are none yet, the first, and those that follow it within a second."""
        known, client = self._connection.workers(), self._connection.client
        if known:
            return known
        _log.warning("Dask's scheduler at %s has no workers yet: waiting for the first", client.scheduler.address)
        while not known and client.status in _ALIVE:
            time.sleep(_LOOK_S)
            known = self._connection.workers()
        count = 0
        while count < len(known):
            count = len(known)
            time.sleep(_FOLLOW_S)
            known = self._connection.workers()
        return known

    def clear(self, output: str) -> None:
        """Remove what ``collect`` returns."""
        if self._connection.is_open and not self._connection.is_own_cluster:
            with contextlib.suppress(Exception):  # some worker has just left
                self._connection.tasks.on_each(self._connection.workers(), dask_tasks.clear, output, within=_LOOK_S * 25)

    # Workers come and go --------------------------------------------------------------------------------------------

    def _hear(self, event: Any) -> None:
        """In the client's own thread: what the scheduler tells."""
        message = event[1] if isinstance(event, tuple) and len(event) > 1 else event
        action = message.get("action") if isinstance(message, dict) else None
        if self._closing or action not in ("add-worker", "remove-worker"):
            return
        address = str(message.get("worker"))
        if action == "add-worker":  # not in this thread, which the submission needs
            threading.Thread(target=self._greet, args=(address,), name="llm-sync-dask-greet", daemon=True).start()
            return
        worker = self._workers.pop(address, None)
        leave = partial(self._left, address, worker, expected=bool(message.get("expected")))
        self._board.after_reading(leave)

    def _left(self, address: str, worker: Worker | None, *, expected: bool) -> None:
        """A worker is gone, and all that it had written down here is read."""
        if worker is not None:
            self._board.leave(worker, "it left the cluster", lost=not expected or bool(worker.flights))
        self._tasks.cancel(address)
        if not self._workers and not self._closing:
            _log.warning("%s has no workers any more: waiting for another", self.name)

    def _greet(self, address: str) -> None:
        """Have a worker open the session; it joins when it has."""
        if address not in self._workers:
            self._tasks.submit(partial(self._greeted, address), address, dask_tasks.greet, self._content)

    def _greeted(self, address: str, hello: Hello | None, error: BaseException | None) -> None:
        if hello is None and is_cancelled(error):
            return
        if hello is None:
            guidance = "Install llm-sync there, in the same release."
            problem: LLMConnectorError | None = ConfigurationError(
                f"the worker {address} cannot be used: {error}", guidance=guidance
            )
        else:
            problem = problem_with(hello)
        if problem is not None:
            if self._problems or self._workers:  # the first is raised if no worker is any better
                _log.error("%s", problem)
            self._problems.append(problem)
            if self._is_waiting and not self._workers:  # nothing was sent, and the only one that has come cannot send
                self._board.fail(problem)
        elif hello is not None:
            self._is_waiting = False
            worker = Worker(hello.worker, urlsplit(address).hostname or hello.host)
            if self._workers.setdefault(address, worker) is worker:
                self._board.join(worker)

    # Attempts -------------------------------------------------------------------------------------------------------

    def send(self, worker: Worker, flights: list[Flight]) -> None:
        """Give a group to a worker: a task that returns at once. Another one fetches the outcomes.

        A task costs more than many an attempt, so what comes within two milliseconds goes by one.
        """
        with self._lock:
            gathered = self._gathered.setdefault(worker, [])
            gathered += flights
            is_first = len(gathered) == len(flights)
        if is_first:
            threading.Timer(_GATHER_S, self._bring, (worker,)).start()
        self._board.acknowledge(worker)  # what follows is gathered, too

    def _bring(self, worker: Worker) -> None:
        with self._lock:
            flights = self._gathered.pop(worker, [])
        content = pickle.dumps([flight.item for flight in flights], pickle.HIGHEST_PROTOCOL)
        self._submit(worker, self._brought, dask_tasks.bring, next(self._numbers), content)

    def _submit(self, worker: Worker, done: Any, function: Any, *arguments: Any) -> None:
        address = next((address for address, each in list(self._workers.items()) if each is worker), None)
        if address is not None:  # otherwise it has just left, and the board is told
            self._tasks.submit(partial(done, worker), address, function, self._session.id, *arguments)

    def _brought(self, worker: Worker, result: None, error: BaseException | None) -> None:  # noqa: ARG002
        if error is not None:
            self._failed(worker, error)
            return
        if worker not in self._fetching:
            self._fetching[worker] = None
            self._submit(worker, self._fetched, dask_tasks.fetch, self._linger)

    def _fetched(self, worker: Worker, result: tuple[list[bytes], int] | None, error: BaseException | None) -> None:
        if result is None:
            self._failed(worker, error)
            return
        contents, left = result
        outcomes = list(map(outcome_of, contents))
        for outcome in outcomes:
            typical = min(_MAX_LINGER_S, max(_MIN_LINGER_S, outcome.elapsed * _LINGER))
            self._linger += (typical - self._linger) / 16
        self._board.settle_all(outcomes)
        if left or any(flight.sent for flight in list(worker.flights.values())):  # brought since the worker counted
            self._submit(worker, self._fetched, dask_tasks.fetch, self._linger)
        else:
            del self._fetching[worker]

    def _failed(self, worker: Worker, error: BaseException | None) -> None:
        """A task failed: nobody knows what became of the attempts. Not if it was cancelled, as its worker has left."""
        if not is_cancelled(error) and worker.state == "working":
            self._board.after_reading(partial(self._board.leave, worker, f"it failed: {error}"))

    def _watch(self, client: Any) -> None:
        """A thread: notices when the scheduler is gone."""
        while client.status in _ALIVE and not self._closing:
            time.sleep(_LOOK_S)
        if not self._closing:
            guidance = "The journal has every answer that came: run the same command again, with or without Dask."
            self._board.fail(ProviderConnectionError(f"{self.name} is gone", guidance=guidance))

    def ended(self, path: str) -> None:
        """A worker process of this machine has ended; the scheduler tells."""

    def close(self) -> None:
        """Disconnect; a cluster that was started here ends."""
        self._closing = True
        self._connection.close()
