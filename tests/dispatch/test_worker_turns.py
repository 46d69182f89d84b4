"""Workers with many requests in flight run one after the other, and none waits long for another one."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace

import pytest

from llm_sync.dispatch import multiplexing, worker_turns
from llm_sync.dispatch.multiplexed_queue import MultiplexedRequestQueue
from llm_sync.dispatch.worker_turns import WorkerTurns
from llm_sync.runtime.event_loop import READ, EventLoop
from llm_sync.runtime.steps import Blocking, Steps

PATIENCE_S = 10.0
BRIEF_S = 0.2


class Taker:
    """A worker, in a thread of its own, that takes a turn. ``has_turn``: whether it got it."""

    def __init__(self, turns: WorkerTurns) -> None:
        self.has_turn = threading.Event()
        self.thread = threading.Thread(target=lambda: (turns.take(self), self.has_turn.set()), daemon=True)
        before = len(turns._waiting)
        self.thread.start()
        while not self.has_turn.is_set() and len(turns._waiting) == before:
            self.thread.join(0.001)


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> WorkerTurns:
    """WorkerTurns that nobody takes from another one within the test."""
    monkeypatch.setattr(worker_turns, "LONGEST_TURN_S", 6 * PATIENCE_S)
    return WorkerTurns()


def test_one_worker_has_the_turn_and_the_others_get_it_in_their_order(turns):
    """First come, first served, each when the one before it gives the turn."""
    first, second, third = (Taker(turns) for _ in range(3))
    assert (first.has_turn.is_set(), second.has_turn.is_set(), third.has_turn.is_set()) == (True, False, False)
    turns.give(first)
    assert second.has_turn.wait(PATIENCE_S)
    assert not third.has_turn.is_set()
    turns.give(second)
    assert third.has_turn.wait(PATIENCE_S)


def test_a_worker_that_has_the_turn_keeps_it(turns):
    """Taking it twice needs one giving only."""
    turns.take("a")
    turns.take("a")
    other = Taker(turns)
    assert not other.has_turn.is_set()
    turns.give("a")
    assert other.has_turn.wait(PATIENCE_S)


def test_only_the_one_that_has_the_turn_gives_it(turns):
    """A worker whose turn was taken, or that never had one, gives nothing away."""
    first, second = Taker(turns), Taker(turns)
    turns.give(second)
    turns.give("a worker that never asked")
    assert not second.has_turn.is_set()
    turns.give(first)
    assert second.has_turn.wait(PATIENCE_S)


def test_the_turn_of_a_worker_that_is_stuck_is_taken(monkeypatch):
    """It never gives it; the next one goes on nevertheless, and keeps the turn when the stuck one gives its own."""
    monkeypatch.setattr(worker_turns, "LONGEST_TURN_S", 0.01)
    turns = WorkerTurns()
    turns.take("stuck")
    second = Taker(turns)
    assert second.has_turn.wait(PATIENCE_S)
    monkeypatch.setattr(worker_turns, "LONGEST_TURN_S", 6 * PATIENCE_S)
    third = Taker(turns)
    turns.give("stuck")
    assert not third.has_turn.wait(BRIEF_S)
    turns.give(second)
    assert third.has_turn.wait(PATIENCE_S)


class Sleeper:
    """In place of the lock on which a worker sleeps: while it sleeps, ``events`` happen, one in each slice of the time."""

    def __init__(self, events: list[Callable[[], object]]) -> None:
        self._events = events
        self._is_held = False

    def acquire(self, timeout: float | None = None) -> bool:
        """Take it, at first; then let the next thing happen, and return whether it was released."""
        if timeout is None:
            self._is_held = True
            return True
        self._events.pop(0)()
        return not self._is_held

    def release(self) -> None:
        """Wake the worker."""
        self._is_held = False


def test_a_turn_that_passes_from_one_to_the_next_is_waited_for(turns, monkeypatch):
    """The wait is long because others have their turns, none of whom is stuck: nobody's turn is taken."""
    holders: list[object] = []
    others = [partial(turns._give_to, number) for number in range(1, 5)]
    events = [*others, partial(turns.give, 4)]
    each = [lambda event=event: (holders.append(turns._holder), event()) for event in events]
    monkeypatch.setattr(worker_turns, "threading", SimpleNamespace(Lock=lambda: Sleeper(each)))
    turns.take(0)
    turns.take("last")
    assert (holders, turns._holder) == ([0, 1, 2, 3, 4], "last")


def test_a_forked_child_starts_with_nobodys_turn(turns):
    """Another thread of the parent has the turn, and holds the lock."""
    turns.take("parent")
    with turns._lock:
        child = os.fork()
        if not child:
            turns.take("child")
            os._exit(int(turns._holder != "child"))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_child_forked_without_hooks_starts_anew(turns, monkeypatch):
    """Its workers look at the process when they begin."""
    turns.take("parent")
    child = os.getpid() + 1
    monkeypatch.setattr(os, "getpid", lambda: child)
    turns.check_process()
    turns.take("child")
    assert turns._holder == "child"


class Work:
    """A call in one step; a helper thread does nothing for it."""

    def __call__(self) -> None:
        """A worker runs the steps instead."""

    def steps(self) -> Steps[str]:
        """Wait for the helper."""
        yield Blocking(lambda: None)
        return "done"


@pytest.fixture
def queues() -> Iterator[list[MultiplexedRequestQueue]]:
    """Of two providers."""
    made = [MultiplexedRequestQueue(name, concurrency=4) for name in "ab"]
    yield made
    for queue in made:
        queue.close(cancel_pending=True)


def test_a_done_callback_that_waits_for_another_provider_does_not_hold_it_up(queues, turns, monkeypatch):
    """The worker gives its turn before the callback runs, which then waits for an answer of the other worker."""
    monkeypatch.setattr(multiplexing, "turns", turns)  # in which no turn is taken from a worker that is stuck
    first, second = queues
    seen: list[str] = []
    future = first.submit(Work())
    future.add_done_callback(lambda _: seen.append(second.submit(Work()).result(PATIENCE_S)))
    assert future.result(PATIENCE_S) == "done"
    first.close()
    assert seen == ["done"]


def test_an_idle_worker_and_one_that_has_ended_have_no_turn(queues, turns, monkeypatch):
    """Neither keeps the others waiting."""
    monkeypatch.setattr(multiplexing, "turns", turns)
    for queue in queues:
        assert queue.submit(Work()).result(PATIENCE_S) == "done"  # the first one is idle when the second one works
    queues[0].close()
    assert queues[1].submit(Work()).result(PATIENCE_S) == "done"
    queues[1].close()
    assert turns._holder is None


def test_a_worker_with_many_ready_sockets_passes_its_turn_on_in_between(queues, turns, monkeypatch):
    """Another worker that waits has its turn before all of them are served."""
    monkeypatch.setattr(multiplexing, "turns", turns)
    monkeypatch.setattr(multiplexing, "MAX_READY", 2)
    order: list[object] = []
    others: list[Taker] = []

    def served(number: int) -> None:
        order.append((number, len(others) == 1 and others[0].has_turn.is_set()))
        if not others:
            others.append(Taker(turns))  # waits, as this worker has the turn
            threading.Thread(target=lambda: others[0].has_turn.wait(PATIENCE_S) and turns.give(others[0]), daemon=True).start()

    ready = [(SimpleNamespace(data=lambda _, number=number: served(number)), READ) for number in range(4)]
    worker = multiplexing.MultiplexingWorker(queues[0], 1, True, 4)
    loop = EventLoop()
    monkeypatch.setattr(loop, "wait", lambda _: ready)
    worker._turn(loop)
    loop.close()
    turns.give(worker)
    assert order == [(0, False), (1, False), (2, True), (3, True)]
