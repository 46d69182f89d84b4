"""Every order of submit against close, idle end and a failing start, forced by gates between the steps of a queue.

In each of them the future runs or ends with ClientClosedError; it is never left pending, and no step waits for another thread.
"""

from __future__ import annotations

import threading
from typing import Any

import pytest

from llm_sync.errors import ClientClosedError, LLMConnectorError

PATIENCE_S = 10.0


def settled(queue: Any) -> bool:
    """Whether nothing that ever stood in ``queue`` is pending."""
    return all(future.done() for future in queue.futures) and queue.status().queued == 0


@pytest.mark.parametrize("cancel_pending", [False, True])
@pytest.mark.parametrize("with_worker", [False, True])
def test_closed_between_accepted_and_put(workshop, cancel_pending, with_worker):
    """The queue closes completely while a submit is about to put: that submit raises, nothing runs."""
    queue = workshop.gated()
    if with_worker:
        queue.submit(lambda: 0).result(PATIENCE_S)
    queue.gates.shut("checked")
    submitting = workshop.in_thread(lambda: queue.submit(lambda: pytest.fail("it is closed")))
    queue.gates.wait_for("checked")
    workshop.in_thread(lambda: queue.close(cancel_pending)).outcome()
    queue.gates.open("checked")
    with pytest.raises(ClientClosedError):
        submitting.outcome()
    assert settled(queue)


@pytest.mark.parametrize("cancel_pending", [False, True])
def test_closed_before_a_put(workshop, cancel_pending):
    """The queue closes while a submit that has seen it open stands before its put: that submit raises, nothing runs."""
    queue = workshop.gated()
    queue.gates.shut("put")
    submitting = workshop.in_thread(lambda: queue.submit(lambda: pytest.fail("it is closed")))
    queue.gates.wait_for("put")
    workshop.in_thread(lambda: queue.close(cancel_pending)).outcome()
    queue.gates.open("put")
    with pytest.raises(ClientClosedError):
        submitting.outcome()
    assert settled(queue)


def test_closed_before_a_put_while_a_worker_is_busy(workshop):
    """A worker that is still there drains what is put after the stop signal."""
    queue = workshop.gated()
    first = workshop.occupy(queue)
    queue.gates.shut("put")
    submitting = workshop.in_thread(lambda: queue.submit(lambda: "ran"))
    queue.gates.wait_for("put")
    closing = workshop.in_thread(queue.close)
    assert closing.hangs_for_now()
    queue.gates.open("put")
    future = submitting.outcome()
    first.released.set()
    assert future.result(PATIENCE_S) == "ran"
    closing.outcome()
    assert settled(queue)


@pytest.mark.parametrize("cancel_pending", [False, True])
def test_closing_waits_for_a_worker_that_starts(workshop, cancel_pending):
    """The queue closes while a submit starts a worker: that worker ends before close returns; the request runs or is refused."""
    queue = workshop.gated()
    queue.gates.shut("start")
    submitting = workshop.in_thread(lambda: queue.submit(lambda: "ran"))
    queue.gates.wait_for("start")
    closing = workshop.in_thread(lambda: queue.close(cancel_pending))
    assert closing.hangs_for_now()
    queue.gates.open("start")
    try:
        future = submitting.outcome()
    except ClientClosedError:
        future = None
    closing.outcome()
    assert future is None or future.cancelled() or future.result(0) == "ran"
    assert settled(queue)


def test_submit_after_a_worker_found_nothing(workshop):
    """A worker that found the queue empty checks again before it ends: a request that arrived in between runs in that worker."""
    queue = workshop.gated(idle_timeout=0.01)
    queue.gates.shut("empty")
    first = queue.submit(threading.get_ident).result(PATIENCE_S)
    queue.gates.wait_for("empty")
    future = queue.submit(threading.get_ident)
    queue.gates.open("empty")
    assert future.result(PATIENCE_S) == first


def test_submit_while_a_worker_retires(workshop):
    """A worker that has looked and decided to end is deregistered by then: a submit starts another one."""
    queue = workshop.gated(idle_timeout=0.01)
    queue.gates.shut("retire")
    queue.submit(lambda: 0).result(PATIENCE_S)
    queue.gates.wait_for("retire")
    retiring = queue._pool._threads[0]
    assert queue.submit(threading.current_thread).result(PATIENCE_S) is not retiring
    queue.gates.open("retire")
    retiring.join(PATIENCE_S)
    assert not retiring.is_alive()
    assert queue.submit(lambda: "ran").result(PATIENCE_S) == "ran"


def test_a_worker_retires_while_a_submit_puts(workshop):
    """The other order: the submit has counted on the worker, which ends before the put: another one is started."""
    queue = workshop.gated(idle_timeout=0.01)
    queue.gates.shut("empty")
    queue.submit(lambda: 0).result(PATIENCE_S)
    queue.gates.wait_for("empty")
    queue.gates.shut("put")
    submitting = workshop.in_thread(lambda: queue.submit(lambda: "ran"))
    queue.gates.wait_for("put")
    worker = queue._pool._threads[0]
    queue.gates.open("empty")
    worker.join(PATIENCE_S)
    assert not worker.is_alive()
    queue.gates.open("put")
    assert submitting.outcome().result(PATIENCE_S) == "ran"


@pytest.mark.parametrize("gate", ["empty", "retire"])
def test_close_while_a_worker_retires(workshop, gate):
    """Close and idle end at once: close returns, and no thread is left."""
    queue = workshop.gated(idle_timeout=0.01)
    queue.gates.shut(gate)
    queue.submit(lambda: 0).result(PATIENCE_S)
    queue.gates.wait_for(gate)
    worker = queue._pool._threads[0]
    closing = workshop.in_thread(queue.close)
    assert closing.hangs_for_now()
    queue.gates.open(gate)
    closing.outcome()
    assert not worker.is_alive()


def test_cancelled_between_taken_and_begun(workshop):
    """A cancel that comes when the worker holds the request already, but has not begun: it is not made."""
    queue = workshop.gated()
    taken, go = threading.Event(), threading.Event()
    plain_take = queue.take

    def take(worker: Any) -> Any:
        future = plain_take(worker)
        taken.set()
        assert go.wait(PATIENCE_S)
        return future

    queue.take = take
    future = queue.submit(lambda: pytest.fail("it was cancelled"))
    assert taken.wait(PATIENCE_S)
    queue.stop(cancel_pending=True)
    assert future.cancelled()
    go.set()
    workshop.in_thread(queue.close).outcome()
    assert settled(queue)


def test_closed_between_begun_and_called(workshop):
    """A request that a worker has just started when the queue closes with cancel_pending makes no further attempt."""
    queue = workshop.gated()
    begun, go = threading.Event(), threading.Event()
    start_request = queue.start_request

    def begin(future: Any) -> float:
        begun.set()
        assert go.wait(PATIENCE_S)
        return start_request(future)

    queue.start_request = begin
    call = workshop.held()
    future = queue.submit(call)
    assert begun.wait(PATIENCE_S)
    queue.stop(cancel_pending=True)
    assert not future.cancelled()
    call.notified.clear()  # it may be notified twice
    go.set()
    assert call.entered.wait(PATIENCE_S)
    assert call.notified == ["stop_retrying"]


def test_closed_while_a_thread_fails_to_start(workshop):
    """The start fails while a close waits: the submit raises, the close returns, nothing is pending."""
    queue = workshop.gated()
    starting, go = threading.Event(), threading.Event()

    def start(worker: Any) -> None:
        starting.set()
        assert go.wait(PATIENCE_S)
        raise RuntimeError("can't start new thread")

    queue._start_thread = start
    submitting = workshop.in_thread(lambda: queue.submit(lambda: 1))
    assert starting.wait(PATIENCE_S)
    closing = workshop.in_thread(queue.close)
    assert closing.hangs_for_now()
    go.set()
    with pytest.raises(LLMConnectorError):
        submitting.outcome()
    closing.outcome()
    assert settled(queue)


def test_what_no_worker_was_woken_for_is_cancelled_on_close(workshop):
    """A request orphaned between accepting and putting (an interrupt hit there) ends when the queue closes."""
    queue = workshop.gated()
    queue.gates.shut("checked")
    submitting = workshop.in_thread(lambda: queue.submit(lambda: 1))
    queue.gates.wait_for("checked")
    workshop.in_thread(queue.close).outcome()
    assert queue.futures[0].cancelled()
    queue.gates.open("checked")
    with pytest.raises(ClientClosedError):
        submitting.outcome()
