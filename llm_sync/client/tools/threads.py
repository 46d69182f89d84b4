"""Runs the calls of one round: each in a daemon thread of its own, several at once, each within its time limit.

A thread cannot be stopped. One whose time is over is given up: it goes on by itself, and what it returns is dropped.
"""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from llm_sync.runtime import clock
from llm_sync.runtime.interrupts import poll_interval

MIN_WAIT_S = 0.001  # with a timeout near 0, SimpleQueue.get may wait for ever on Python 3.10


class Job(NamedTuple):
    """A call of a tool; ``timeout``: seconds, None: no limit."""

    name: str
    call: Callable[[], Any]
    timeout: float | None


class Outcome(NamedTuple):
    """What came of the job in this place. ``gave_up``: its time was over before it was done."""

    place: int
    value: Any = None
    error: BaseException | None = None
    elapsed: float = 0.0
    gave_up: bool = False


def run_jobs(jobs: Sequence[Job], most: int) -> Iterator[Outcome]:
    """Run all jobs, at most ``most`` at once, and yield what comes of each as soon as it is done or given up.

    May be left at any time, also by an exception of a signal handler: no further job is begun then. Raises RuntimeError if no
    thread can be started.
    """
    done: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    began: dict[int, float] = {}  # the jobs that run
    waiting = list(enumerate(jobs))
    while waiting or began:
        while waiting and len(began) < most:
            place, job = waiting.pop(0)
            began[place] = clock.now()
            _start(place, job, done)
        for outcome in _wait(done, jobs, began):
            if began.pop(outcome.place, None) is not None:  # otherwise it was given up before
                yield outcome


def _start(place: int, job: Job, done: queue.SimpleQueue[Outcome]) -> None:
    context = contextvars.copy_context()
    name = f"llm-sync-tool-{job.name}"
    threading.Thread(target=context.run, args=(_run, place, job.call, done), name=name, daemon=True).start()


def _run(place: int, call: Callable[[], Any], done: queue.SimpleQueue[Outcome]) -> None:
    began = clock.now()
    try:
        outcome = Outcome(place, call())
    except BaseException as error:  # noqa: BLE001  (reported in the thread that waits)
        outcome = Outcome(place, error=error)
    done.put(outcome._replace(elapsed=clock.now() - began))


def _wait(done: queue.SimpleQueue[Outcome], jobs: Sequence[Job], began: dict[int, float]) -> list[Outcome]:
    """Wait until a job is done or its time is over, or for a slice of that time, in which signals are noticed."""
    now = clock.now()
    ends = {place: start + limit for place, start in began.items() if (limit := jobs[place].timeout) is not None}
    late = [Outcome(place, elapsed=now - began[place], gave_up=True) for place, end in ends.items() if end <= now]
    left = min([end - now for end in ends.values()], default=poll_interval())
    try:
        return [done.get_nowait() if late else done.get(timeout=max(MIN_WAIT_S, min(left, poll_interval())))]
    except queue.Empty:
        return late
