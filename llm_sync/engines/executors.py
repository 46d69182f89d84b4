"""Any ``concurrent.futures.Executor`` as an engine: a group of attempts is a task, which returns their outcomes."""

from __future__ import annotations

import itertools
import pickle
from concurrent.futures import BrokenExecutor, Executor, Future
from functools import partial

from llm_sync.engines import worker as worker_process
from llm_sync.engines.board import Board
from llm_sync.engines.flights import Flight, Worker
from llm_sync.engines.greeting import problem_with
from llm_sync.engines.wire import Hello, Session, outcome_of
from llm_sync.errors import ProviderConnectionError

_UNKNOWN_SIZE = 256  # tasks at once for an executor that does not tell how many it runs


class ExecutorEngine:
    """The engine around an executor that a program has made; it is not shut down. Its workers must be able to import llm_sync.

    Outcomes come back with their task; on this machine the spools bring each as it ends.
    """

    is_local = True  # perhaps: its workers find out whether they are on this machine

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self.name = type(executor).__name__
        self._groups = itertools.count()

    def open(self, board: Board, session: Session) -> None:
        """Nothing is known of the workers before their first task."""
        self._board, self._session = board, session
        self._content = pickle.dumps(session._replace(claims=True))
        size = getattr(self._executor, "_max_workers", None)
        board.join(Worker(self.name, "", size if isinstance(size, int) and size > 0 else _UNKNOWN_SIZE))

    def send(self, worker: Worker, flights: list[Flight]) -> None:
        """Submit a group as a task."""
        content = pickle.dumps([flight.item for flight in flights], pickle.HIGHEST_PROTOCOL)
        numbers = [flight.item.id for flight in flights]
        try:
            future = self._executor.submit(worker_process.ask, self._content, next(self._groups), content)
        except Exception as error:  # noqa: BLE001  (broken, shut down, or whatever an engine of its own raises)
            self._fail(error)
            self._board.return_unsent(numbers)
            return
        future.add_done_callback(partial(self._done, worker, numbers))

    def _done(self, worker: Worker, numbers: list[int], future: Future[tuple[Hello, list[bytes]]]) -> None:
        try:
            hello, outcomes = future.result()
        except BaseException as error:  # noqa: BLE001  (CancelledError, too)
            self._board.after_reading(partial(self._lost, worker, numbers, error))
            return
        self._board.settle_all(map(outcome_of, outcomes))
        problem = None if outcomes else problem_with(hello)
        if problem is not None:
            self._board.fail(problem)
            self._board.return_unsent(numbers)
        self._board.lose(numbers, "its task was run a second time")
        self._board.acknowledge(worker)

    def _lost(self, worker: Worker, numbers: list[int], error: BaseException) -> None:
        """The task failed as a whole; what its worker has spooled on this machine is settled by now."""
        self._board.lose(numbers, str(error) or type(error).__name__)
        if isinstance(error, BrokenExecutor):
            self._fail(error)
        else:
            self._board.acknowledge(worker)

    def _fail(self, error: BaseException) -> None:
        self._board.fail(
            ProviderConnectionError(
                f"{self.name} takes no more tasks: {str(error) or type(error).__name__}",
                guidance="The journal has every answer: run the same command again, with or without an engine.",
            )
        )

    def ended(self, path: str) -> None:
        """A worker process has ended; the executor tells what becomes of its tasks."""

    def close(self) -> None:
        """The sessions end with the executor's workers, which are the program's."""
        worker_process.close_session(self._session.id)  # of threads of this process
