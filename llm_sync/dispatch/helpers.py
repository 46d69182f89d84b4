"""Threads beside a worker that multiplexes, for work that blocks: connecting, unusual responses, calls that are no steps."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from llm_sync.dispatch.worker import Source, Worker

IDLE_S = 10.0  # seconds without work after which a helper ends

Done = Callable[[Any, "BaseException | None"], object]
"""``done(result, error)``: the end of some work."""
_Job = tuple[Callable[[], Any], Done]


class Helper(Worker):
    """Does jobs of one worker, ``helped``. A blocking call to the provider would wait for that worker, so it counts as one."""

    def __init__(self, helped: Worker, source: Source, number: int, helpers: Helpers) -> None:
        super().__init__(source, number, helped.daemon)
        self.name = f"{helped.name}-helper-{number}"
        self.helped = helped
        self._helpers = helpers

    def run(self) -> None:
        """Do jobs until there were none for a while, or None is given instead of one."""
        try:
            if self._fate.setdefault("start", "running") == "running":
                self._helpers.work()
        finally:
            self._exited.set()


class Helpers:
    """The helpers of one worker, started on demand, at most ``limit``; only the worker's thread calls ``run`` and ``stop``."""

    def __init__(self, worker: Worker, source: Source, limit: int, post: Callable[[Callable[[], object]], object]) -> None:
        self._worker = worker
        self._source = source
        self._limit = limit
        self._post = post
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._open = 0  # jobs that were given and whose ``done`` was not called yet
        self._helpers: dict[int, Helper] = {}  # by number; one for each that was not given None
        self._threads: list[Helper] = []  # all that may still run
        self._process = os.getpid()

    def run(self, work: Callable[[], Any], done: Done) -> None:
        """Have a helper do ``work``; then the worker's loop calls ``done`` with its outcome."""
        self._open += 1
        if self._open > len(self._helpers) and len(self._helpers) < self._limit:
            self._start_one()
        if self._helpers:
            self._jobs.put((work, done))
        else:  # no thread can be started, as when the process ends: then the worker does it, and its other requests wait
            self._do(work, done)

    def _start_one(self) -> None:
        number = next(each for each in range(1, self._limit + 1) if each not in self._helpers)
        helper = Helper(self._worker, self._source, number, self)
        try:
            helper.start()
        except (RuntimeError, MemoryError, OSError):
            helper.cancel_start()
        else:
            self._helpers[number] = helper
            self._threads = [*(each for each in self._threads if not each.has_ended()), helper]

    def work(self) -> None:
        """What a helper does in its thread."""
        while os.getpid() == self._process:  # not in a child that a job has forked
            try:
                job = self._jobs.get(timeout=IDLE_S)
            except Empty:
                self._post(self._dismiss_one)  # the worker decides, as ``run`` counts on every helper
                job = self._jobs.get()
            if job is None:
                return
            self._do(*job)
            del job

    def _do(self, work: Callable[[], Any], done: Done) -> None:
        result: Any = None
        failure: BaseException | None = None
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001  (goes to who asked for the work)
            failure = error
        self._post(partial(self._done, done, result, failure))
        del work, done, result, failure  # the traceback refers to this frame

    def _done(self, done: Done, result: Any, failure: BaseException | None) -> None:
        self._open -= 1
        try:
            done(result, failure)
        finally:
            del done, result, failure  # likewise: a frame keeps those that called it

    def _dismiss_one(self) -> None:
        """In the worker's thread: let one helper end, whichever comes first, if there is nothing to do."""
        if not self._open and self._helpers:
            self._helpers.popitem()
            self._jobs.put(None)

    def stop(self) -> None:
        """Let all helpers end, and wait for them: they have nothing left to do."""
        if os.getpid() != self._process:
            return  # in a forked child there are none
        for _ in self._helpers:
            self._jobs.put(None)
        for helper in self._threads:
            helper.ended_within(None)
