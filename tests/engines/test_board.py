"""The board: which worker gets which attempts, and what becomes of them when a worker goes."""

from __future__ import annotations

from typing import Any

from llm_sync.engines.board import OVERDUE_S, Board
from llm_sync.engines.flights import Flight, Worker
from llm_sync.engines.wire import Item, Outcome, WorkerLostError
from llm_sync.errors import ClientClosedError, ProviderConnectionError


class Bench:
    """A board whose engine writes down what it is given."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, list[int]]] = []
        self.ended: dict[int, Any] = {}
        self.board = Board(lambda worker, flights: self.sent.append((worker.name, [flight.item.id for flight in flights])))

    def submit(self, *numbers: int, host: str | None = None) -> None:
        """Attempts of these numbers, with a timeout of 1 s."""
        for number in numbers:
            prepared: Any = None
            flight = Flight(Item(number, prepared, 1, 1.0), lambda outcome, error, n=number: self.end(n, outcome or error), host)  # type: ignore[misc]
            self.board.submit(flight)

    def end(self, number: int, what: Any) -> None:
        """An attempt ends once."""
        assert number not in self.ended
        self.ended[number] = what


def test_what_comes_while_a_task_is_open_travels_together() -> None:
    """The first goes at once; the others follow as one group when the worker has taken it."""
    bench = Bench()
    worker = Worker("w", "h")
    bench.board.join(worker)
    bench.submit(1, 2, 3)
    assert bench.sent == [("w", [1])]
    bench.board.acknowledge(worker)
    assert bench.sent[1:] == [("w", [2, 3])]


def test_what_comes_before_a_task_is_written_travels_with_it() -> None:
    """It is one open task still, and what was withdrawn meanwhile stays here."""
    bench = Bench()
    worker = Worker("w", "h")
    bench.board.join(worker)
    bench.submit(1, 2, 3)
    bench.board.withdraw(2)
    assert [flight.item.id for flight in bench.board.take_more(worker)] == [3]
    bench.submit(4)
    assert bench.sent == [("w", [1])]
    bench.board.acknowledge(worker)
    assert bench.sent[1:] == [("w", [4])]
    bench.board.leave(worker, "it was killed")
    assert {number for number, end in bench.ended.items() if isinstance(end, WorkerLostError)} == {1, 3, 4}


def test_outcomes_that_are_read_together_end_after_all_are_known() -> None:
    """Who waits for the first finds that nothing else of them is in flight; each ends once."""
    bench = Bench()
    worker = Worker("w", "h", max_tasks=9)
    bench.board.join(worker)
    bench.submit(1, 2, 3)
    left: list[int] = []
    flight = worker.flights[1]
    ended, flight.ended = flight.ended, lambda *end: (left.append(bench.board.in_flight()), ended(*end))
    bench.board.settle_all([Outcome(1), Outcome(2), Outcome(2), Outcome(9)])
    assert (left, bench.ended) == ([1], {1: Outcome(1), 2: Outcome(2)})
    assert (worker.done, bench.board.in_flight()) == (2, 1)


def test_the_worker_with_least_in_flight_gets_the_next() -> None:
    """An outcome makes room: the worker that is fast gets more."""
    bench = Bench()
    for name in ("v", "w"):
        bench.board.join(Worker(name, "h", max_tasks=9))
    bench.submit(1, 2)
    bench.board.settle(Outcome(2))
    bench.submit(3)
    assert bench.sent == [("v", [1]), ("w", [2]), ("w", [3])]


def test_attempts_wait_for_a_worker_of_their_host() -> None:
    """None at the start is waited for, and another host's does not count."""
    bench = Bench()
    bench.submit(1)
    bench.board.join(Worker("v", "here", max_tasks=9))
    bench.submit(2, host="there")
    assert (bench.sent, bench.board.waiting()) == ([("v", [1])], 1)
    bench.board.join(Worker("w", "there"))
    assert (bench.sent[1:], bench.board.waiting()) == ([("w", [2])], 0)


def test_of_a_lost_worker_only_what_was_sent_may_be_billed() -> None:
    """The rest goes to another one, and is not even reported."""
    bench = Bench()
    worker = Worker("v", "h")
    bench.board.join(worker)
    bench.submit(1, 2)
    bench.board.join(Worker("w", "h"))
    bench.board.leave(worker, "it was killed")
    assert bench.sent == [("v", [1]), ("w", [2])]
    assert isinstance(bench.ended[1], WorkerLostError)
    assert (bench.ended[1].possibly_billed, bench.ended[1].retryable, bench.ended.keys()) == (1, False, {1})
    assert [(view.name, view.state, view.lost) for view in bench.board.views()] == [("w", "working", 0), ("v", "lost", 1)]


def test_an_outcome_that_comes_late_or_twice_is_ignored() -> None:
    """A worker that was cut off comes back; its attempt is asked again by then."""
    bench = Bench()
    worker = Worker("w", "h", max_tasks=9)
    bench.board.join(worker)
    bench.submit(1, 2)
    bench.board.settle(Outcome(1))
    bench.board.settle(Outcome(1))
    bench.board.leave(worker, "cut off")
    bench.board.settle(Outcome(2))
    assert bench.ended[1] == Outcome(1)
    assert isinstance(bench.ended[2], WorkerLostError)


def test_a_worker_that_hangs_loses_its_attempts_after_their_timeout() -> None:
    """A pause of the coordinator is no such time: a tick counts what passed while it ran."""
    bench = Bench()
    bench.board.join(Worker("w", "h"))
    bench.submit(1, 2)
    bench.board.tick(OVERDUE_S)
    assert bench.ended == {}
    bench.board.tick(1.5)
    assert bench.ended.keys() == {1}
    assert isinstance(bench.ended[1], WorkerLostError)


def test_without_its_engine_nothing_is_sent_any_more() -> None:
    """What is with a worker may still end; what is not was not sent."""
    bench = Bench()
    bench.board.join(Worker("w", "h"))
    bench.submit(1, 2)
    bench.submit(3, host="elsewhere")
    bench.board.fail(ProviderConnectionError("the scheduler is gone"))
    bench.submit(4)
    bench.board.settle(Outcome(1))
    kinds = {number: type(end) for number, end in bench.ended.items()}
    assert kinds == {1: Outcome, 2: ClientClosedError, 3: ClientClosedError, 4: ClientClosedError}
    assert "the scheduler is gone" in str(bench.ended[4])


def test_what_is_withdrawn_is_not_sent() -> None:
    """An abort takes back what waits in an outbox, and what waits for a worker."""
    bench = Bench()
    bench.submit(1)
    bench.board.withdraw(1)
    worker = Worker("w", "h")
    bench.board.join(worker)
    bench.submit(2, 3)
    bench.board.withdraw(3)
    bench.board.acknowledge(worker)
    assert bench.sent == [("w", [2])]
    assert {number: type(end) for number, end in bench.ended.items()} == {1: ClientClosedError, 3: ClientClosedError}
