"""What requests have done for them together."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from llm_sync.dispatch.common_work import CommonWork
from llm_sync.dispatch.multiplexed_queue import MultiplexedRequestQueue
from llm_sync.runtime.event_loop import EventLoop
from llm_sync.runtime.steps import Elsewhere, Steps, Together, run

PATIENCE_S = 10.0


class Item:
    """A call whose steps give an item to ``work``."""

    def __init__(self, work: Any, item: str, gate: threading.Event) -> None:
        self._work = work
        self._item = item
        self._gate = gate
        self.begun = threading.Event()

    def __call__(self) -> None:
        """A worker runs the steps instead."""

    def steps(self) -> Steps[Any]:
        """Wait for the gate, so that others are queued meanwhile."""
        self.begun.set()
        assert self._gate.wait(PATIENCE_S)
        result: Any = yield Together(self._work, self._item)
        return result


@pytest.fixture
def queue() -> Iterator[MultiplexedRequestQueue]:
    """One with eight requests in flight at most."""
    made = MultiplexedRequestQueue("a", concurrency=8)
    yield made
    made.close(cancel_pending=True)


def outcomes(queue: MultiplexedRequestQueue, work: Any, items: str) -> list[Any]:
    """The result or the error of each item's request, all of which start in one turn."""
    gate = threading.Event()
    calls = [Item(work, item, gate) for item in items]
    futures = []
    for call in calls:
        futures.append(queue.submit(call))
        assert calls[0].begun.wait(PATIENCE_S)
    gate.set()
    return [future.exception(PATIENCE_S) or future.result() for future in futures]


def test_the_items_of_requests_that_start_together_come_in_one_call(queue):
    """Each request gets the result of its own."""
    seen: list[list[str]] = []

    def work(items: list[str]) -> list[str]:
        seen.append(items)
        return [item.upper() for item in items]

    assert outcomes(queue, work, "abcdef") == list("ABCDEF")
    assert seen == [list("abcdef")]


def test_each_request_has_an_error_of_its_own(queue):
    """One that fails alone costs the others nothing."""

    def work(items: list[str]) -> list[str]:
        if "c" in items:
            raise OSError(f"no {''.join(items)}")
        return items

    a, b, c, d = outcomes(queue, work, "abcd")
    assert (a, b, d) == ("a", "b", "d")
    assert str(c) == "no c"


def test_what_ends_a_program_ends_requests_only(queue):
    """The worker goes on."""

    def work(_: list[str]) -> list[str]:
        raise SystemExit

    assert [type(outcome) for outcome in outcomes(queue, work, "ab")] == [SystemExit, SystemExit]
    assert outcomes(queue, list, "xy") == ["x", "y"]


def test_nothing_is_sent_before_it(queue):
    """What a request began later waits for may be a reply: the items of earlier ones are dealt with before it is asked for."""
    seen: list[str] = []

    def work(items: list[str]) -> list[str]:
        seen.extend(items)
        return items

    class Sending(Item):
        def steps(self) -> Steps[Any]:
            yield Elsewhere(lambda done: (seen.append("sent"), done(None, None)))
            return None

    gate = threading.Event()
    first, second = Item(work, "a", gate), Sending(work, "b", gate)
    futures = [queue.submit(first)]
    assert first.begun.wait(PATIENCE_S)
    futures.append(queue.submit(second))
    gate.set()
    assert [future.result(PATIENCE_S) for future in futures] == ["a", None]
    assert seen == ["a", "sent"]


def test_the_driver_of_one_request_does_it_at_once():
    """There is nobody to do it with."""

    def steps() -> Steps[Any]:
        result: Any = yield Together(lambda items: [f"{items}"], "a")
        return result

    assert run(steps()) == "['a']"


def test_a_forked_child_does_nothing():
    """Also if a callback of one of several requests has forked it."""
    done: list[Any] = []
    may_go_on = [True, True, True, False]
    common = CommonWork(lambda: may_go_on.pop(0))
    for item in "abc":
        common.add(Together(list.copy, item), lambda result, _: done.append(result))
    common.do()
    assert done == ["a", "b"]


class Late:
    """A call that waits for ``finish``, and then gives an item to ``work``, if there is one."""

    def __init__(self, work: Any = None) -> None:
        self._work = work
        self.begun = threading.Event()
        self.finish: Any = None

    def __call__(self) -> None:
        """A worker runs the steps instead."""

    def steps(self) -> Steps[Any]:
        """See the class."""
        yield Elsewhere(self._begin)
        result: Any = None if self._work is None else (yield Together(self._work, "item"))
        return result

    def _begin(self, done: Any) -> None:
        self.finish = done
        self.begun.set()


def submitted(queue: MultiplexedRequestQueue, work: Any = None) -> tuple[Late, Any]:
    """A call in flight, and its future."""
    call = Late(work)
    future = queue.submit(call)
    assert call.begun.wait(PATIENCE_S)
    return call, future


def test_it_is_done_before_a_callback_runs(queue):
    """The callback may take long, or end the program."""
    seen, gate, in_callback = threading.Event(), threading.Event(), []
    (holding, held), (giving, given), (ending, ended) = (
        submitted(queue),
        submitted(queue, lambda _: [seen.set()]),
        submitted(queue),
    )
    held.add_done_callback(lambda _: gate.wait(PATIENCE_S))
    ended.add_done_callback(lambda _: in_callback.append(seen.is_set()))
    holding.finish(None, None)
    giving.finish(None, None)  # both in the same turn, as the worker is in the first callback
    ending.finish(None, None)
    gate.set()
    assert given.wait(PATIENCE_S)
    assert ended.wait(PATIENCE_S)
    queue.close()
    assert in_callback == [True]


def test_it_is_done_when_the_worker_ends_unexpectedly(queue, monkeypatch):
    """What a request has got by then, such as an answer, is not lost."""
    seen: list[str] = []
    call, future = submitted(queue, lambda items: seen.extend(items) or items)
    run_all = EventLoop.run

    def broken(loop: EventLoop, ready: Any) -> None:
        run_all(loop, ready)
        if call.finish is None:
            raise MemoryError

    monkeypatch.setattr(EventLoop, "run", broken)
    finish, call.finish = call.finish, None
    finish(None, None)
    assert future.exception(PATIENCE_S) is None
    assert seen == ["item"]
