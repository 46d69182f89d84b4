"""The coordinator's board: which worker has which attempts, which wait for one, and what becomes of those of a lost worker."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable

from llm_sync.engines.flights import Flight, Worker, WorkerView
from llm_sync.engines.wire import Outcome, WorkerLostError
from llm_sync.errors import ClientClosedError, LLMConnectorError
from llm_sync.events import logger

MAX_GROUP = 64  # attempts in one task
MAX_SHOWN_DEAD = 8
OVERDUE_S = 30.0  # after an attempt's own timeout, until it is taken for lost

_log = logger("engines")

Send = Callable[[Worker, "list[Flight]"], object]
"""``send(worker, flights)``: give them to the engine; later ``Board.acknowledge`` is called. Called by any thread."""


class Board:
    """Any thread may use it. Nothing that may block, and none of ``Flight.ended``, runs under the lock."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._lock = threading.Lock()  # guards all below, the workers and their flights; held for a few lines at a time
        self._workers: dict[str, Worker] = {}
        self._gone: deque[Worker] = deque(maxlen=MAX_SHOWN_DEAD)
        self._waiting: deque[Flight] = deque()  # for a worker
        self._holders: dict[int, Worker] = {}  # by attempt
        self.failure: LLMConnectorError | None = None  # why nothing can be sent any more
        self.changed: Callable[[], object] = lambda: None  # is called when a worker has come or gone
        # ``after_reading(work)`` calls ``work`` when all that workers of this machine have written down is read
        self.after_reading: Callable[[Callable[[], object]], object] = lambda work: work()

    # Attempts -------------------------------------------------------------------------------------------------------

    def submit(self, flight: Flight) -> None:
        """Have an attempt made by the worker that has least to do; it waits if there is none."""
        with self._lock:
            worker = None if self.failure is not None else self._assign(flight)
            if worker is None and self.failure is None:
                self._waiting.append(flight)
                return
            group = [] if worker is None or worker.open_tasks >= worker.max_tasks else self._take_group(worker)
        if worker is None:
            flight.ended(None, self._closed())
        elif group:
            self._send(worker, group)

    def acknowledge(self, worker: Worker) -> None:
        """A task was taken over: what has gathered meanwhile may follow."""
        with self._lock:
            worker.open_tasks -= 1
            group = self._take_group(worker)
        if group:
            self._send(worker, group)

    def settle(self, outcome: Outcome) -> None:
        """An attempt has ended. An outcome that comes twice, or too late, is ignored."""
        self.settle_all((outcome,))

    def settle_all(self, outcomes: Iterable[Outcome]) -> None:
        """The same for several: who waits for the first of them wakes when all are known here."""
        ended, second = [], int(time.monotonic())
        with self._lock:
            for outcome in outcomes:
                worker = self._holders.pop(outcome.id, None)
                if worker is not None:
                    ended.append((worker.flights.pop(outcome.id), outcome))
                    worker.count(second)
        for flight, outcome in ended:
            flight.ended(outcome, None)

    def withdraw(self, number: int) -> None:
        """Nobody waits for an attempt any more: the request was aborted."""
        flight = self._remove(number)
        if flight is not None:
            flight.ended(None, ClientClosedError("the request was aborted while a worker had it"))

    def return_unsent(self, numbers: list[int]) -> None:
        """The engine has not taken these attempts."""
        for number in numbers:
            flight = self._remove(number)
            if flight is not None:
                flight.ended(None, self._closed())

    def lose(self, numbers: list[int], why: str) -> None:
        """Attempts that were sent have no outcome, and will have none."""
        for number in numbers:
            with self._lock:
                worker = self._holders.get(number)
                if worker is not None:
                    worker.lost += 1
            flight = self._remove(number)
            if flight is not None and worker is not None:
                flight.ended(None, _lost_error(worker, why))

    def _remove(self, number: int) -> Flight | None:
        with self._lock:
            worker = self._holders.pop(number, None)
            if worker is None:
                for flight in self._waiting:
                    if flight.item.id == number:
                        self._waiting.remove(flight)
                        return flight
                return None
            return worker.flights.pop(number)

    def _assign(self, flight: Flight) -> Worker | None:
        host, number, least = flight.host, flight.item.id, math.inf
        worker: Worker | None = None
        for each in self._workers.values():  # for every attempt: a comprehension with ``min`` costs three times as much
            if (host is None or each.host == host) and len(each.flights) < least:
                worker, least = each, len(each.flights)
        if worker is not None:
            worker.outbox.append(flight)
            worker.flights[number] = flight
            self._holders[number] = worker
        return worker

    def take_more(self, worker: Worker) -> list[Flight]:
        """What else may travel with the task that a worker is about to get."""
        with self._lock:
            return self._take(worker)

    def _take_group(self, worker: Worker) -> list[Flight]:
        """What may be sent to a worker now, which is then an open task."""
        if worker.open_tasks >= worker.max_tasks or worker.state != "working":
            return []
        group = self._take(worker)
        worker.open_tasks += bool(group)
        return group

    def _take(self, worker: Worker) -> list[Flight]:
        group: list[Flight] = []
        while worker.outbox and len(group) < MAX_GROUP:
            flight = worker.outbox.popleft()
            if flight.item.id in worker.flights:  # not withdrawn meanwhile
                flight.sent = True
                group.append(flight)
        return group

    # Workers --------------------------------------------------------------------------------------------------------

    def join(self, worker: Worker) -> None:
        """A worker has come: it gets what waits."""
        groups = []
        with self._lock:
            self._workers[worker.name] = worker
            waiting, self._waiting = self._waiting, deque()
            for flight in waiting:
                taker = self._assign(flight)
                if taker is None:
                    self._waiting.append(flight)
            groups = [(each, self._take_group(each)) for each in self._workers.values()]
        for each, group in groups:
            if group:
                self._send(each, group)
        self.changed()

    def leave(self, worker: Worker, why: str, *, lost: bool = True) -> None:
        """A worker has gone. What was not sent to it goes to others; what was sent is lost."""
        with self._lock:
            if self._workers.pop(worker.name, None) is None:
                return
            worker.state = "lost" if lost else "ended"
            self._gone.append(worker)
            unsent = list(worker.outbox)
            worker.outbox.clear()
            for flight in unsent:
                if worker.flights.pop(flight.item.id, None) is not None:
                    del self._holders[flight.item.id]
            numbers = list(worker.flights)
        if lost:
            _log.warning("the worker %s is lost: %s; %d requests in flight on it", worker.name, why, len(numbers))
        self.lose(numbers, why)
        for flight in unsent:
            self.submit(flight)
        self.changed()

    def fail(self, error: LLMConnectorError) -> None:
        """The engine is gone: nothing is sent any more. What workers have may still end, until the run gives it up."""
        with self._lock:
            if self.failure is not None:
                return
            self.failure = error
            waiting, self._waiting = list(self._waiting), deque()
            workers = list(self._workers.values())
            unsent = [flight for worker in workers for flight in worker.outbox if flight.item.id in worker.flights]
            for worker in workers:
                worker.outbox.clear()
        for flight in waiting:
            flight.ended(None, self._closed())
        self.return_unsent([flight.item.id for flight in unsent])
        self.changed()

    def tick(self, seconds: float) -> None:
        """So much time has passed: lose what should have ended long ago, as its worker hangs or is cut off."""
        overdue = []
        with self._lock:
            for worker in self._workers.values():
                for number, flight in worker.flights.items():
                    flight.seconds_with_worker += seconds if flight.sent else 0.0
                    if flight.seconds_with_worker > flight.item.timeout + OVERDUE_S:
                        overdue.append(number)
        self.lose(overdue, "it did not answer in time")

    def workers(self) -> list[Worker]:
        """Those that work."""
        with self._lock:
            return list(self._workers.values())

    def views(self) -> tuple[WorkerView, ...]:
        """All workers, and those that have gone lately."""
        with self._lock:
            return tuple(worker.view() for worker in [*self._workers.values(), *self._gone])

    def in_flight(self) -> int:
        """The number of attempts that workers have, or are about to get."""
        return len(self._holders)

    def waiting(self) -> int:
        """The number of attempts that wait for a worker."""
        return len(self._waiting)

    def _closed(self) -> ClientClosedError:
        why = "" if self.failure is None else f": {self.failure.message}"
        return ClientClosedError(f"the request was not sent{why}", attempts=0)


def _lost_error(worker: Worker, why: str) -> WorkerLostError:
    return WorkerLostError(
        f"the worker {worker.name} is lost with the request in flight: {why}",
        worker=worker.name,
        possibly_billed=1,
        guidance="The provider may bill it. A batch asks again by itself.",
    )
