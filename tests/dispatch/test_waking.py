"""A worker that completes many requests wakes the threads that wait for them together, and soon."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from llm_sync.dispatch.future import RequestFuture
from llm_sync.dispatch.multiplexed_queue import MultiplexedRequestQueue
from llm_sync.runtime import interrupts
from llm_sync.runtime.steps import Elsewhere, Steps

PATIENCE_S = 10.0
Finish = Callable[[Any, "BaseException | None"], object]


class Pending:
    """A call in steps, which the test ends by ``finish``."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.finish: Finish = lambda *_: None

    def __call__(self) -> None:
        """A worker runs the steps instead."""

    def steps(self) -> Steps[Any]:
        """Wait for ``finish``."""
        result: Any = yield Elsewhere(self._start)
        return result

    def _start(self, done: Finish) -> None:
        self.finish = done
        self.started.set()


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[MultiplexedRequestQueue]:
    """One whose waiting threads do not look again by themselves."""
    monkeypatch.setattr(interrupts, "POLL_S", 6 * PATIENCE_S)
    monkeypatch.setattr(interrupts, "POLL_OTHERS_S", 6 * PATIENCE_S)
    made = MultiplexedRequestQueue("a", concurrency=8)
    yield made
    made.close(cancel_pending=True)


def submitted(queue: MultiplexedRequestQueue) -> tuple[Pending, RequestFuture]:
    """A request in flight."""
    call = Pending()
    future = queue.submit(call)
    assert call.started.wait(PATIENCE_S)
    return call, future


def waiting(future: RequestFuture) -> threading.Thread:
    """A thread that waits for ``future``."""
    thread = threading.Thread(target=future.wait, daemon=True)
    thread.start()
    while not future.reported._sleepers:
        thread.join(0.001)
    return thread


def test_a_thread_is_woken_when_its_request_is_done(queue):
    """It sleeps until somebody wakes it; so the worker must."""
    calls = [submitted(queue) for _ in range(3)]
    threads = [waiting(future) for _, future in calls]
    for call, _ in calls:
        call.finish("answer", None)
    for thread in threads:
        thread.join(PATIENCE_S)
    assert not any(thread.is_alive() for thread in threads)


def test_threads_are_woken_before_a_callback_runs(queue):
    """Of two requests that are done at the same time the second has a callback, which may wait for the thread of the first."""
    (blocking, blocker), (first, one), (second, other) = (submitted(queue) for _ in range(3))
    thread, gate, seen = waiting(one), threading.Event(), []
    blocker.add_done_callback(lambda _: gate.wait(PATIENCE_S))
    other.add_done_callback(lambda _: seen.append(thread.join(PATIENCE_S) or thread.is_alive()))
    blocking.finish(None, None)
    first.finish(1, None)  # both in the same turn, as the worker is in the callback
    second.finish(2, None)
    gate.set()
    assert other.wait(PATIENCE_S)
    while not seen:
        thread.join(0.001)
    assert seen == [False]
