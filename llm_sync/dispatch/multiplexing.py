"""A worker thread that has many requests in flight: it runs their steps, and waits for what all of them need at once."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from functools import partial
from queue import Empty
from typing import Any, Protocol

from llm_sync.dispatch.common_work import CommonWork
from llm_sync.dispatch.future import Call, RequestFuture
from llm_sync.dispatch.helpers import Done, Helpers
from llm_sync.dispatch.worker import Source, Worker
from llm_sync.dispatch.worker_turns import turns
from llm_sync.errors import LLMConnectorError
from llm_sync.runtime import clock
from llm_sync.runtime.event_loop import EventLoop
from llm_sync.runtime.import_lock import import_lock
from llm_sync.runtime.interrupts import Flag
from llm_sync.runtime.steps import Elsewhere, HTTPCall, Need, Pause, Steps, Together, in_one_step

MAX_STARTS = 32  # requests started before the loop looks at those in flight again
MAX_READY = 64  # sockets served before other workers get their turn
MAX_WAKING_DELAY_S = 0.01  # how long a thread may sleep on, at most, when its request is done and others are about to be


class MultiplexedSource(Source, Protocol):
    """What the worker needs from its queue."""

    def is_idle(self) -> bool:
        """Whether there is nothing to take."""

    def take_now(self) -> RequestFuture | None:
        """The next request, or None."""


class HTTPStarter(Protocol):
    """Starts HTTP calls on a loop; see MultiplexedClient in transport."""

    def start(self, call: HTTPCall, done: Done) -> None:
        """Begin ``call``; the loop calls ``done`` with its Reply or its error, never before ``start`` has returned."""


class MultiplexingWorker(Worker):
    """Runs up to ``size`` requests at once; helper threads do what blocks. FIFO: each request is started in its turn.

    Events are emitted, and done-callbacks run, in this one thread: while one of them runs, the other requests wait.
    """

    _source: MultiplexedSource

    def __init__(self, source: Source, number: int, daemon: bool, size: int) -> None:
        super().__init__(source, number, daemon)
        self._size = size
        self._running: dict[RequestFuture, _Running] = {}
        self._loop: EventLoop | None = None
        self._starters: dict[Any, HTTPStarter | None] = {}  # by HTTP client
        self._common = CommonWork(lambda: self._source.may_work(self))
        self._to_wake: list[Flag] = []  # those of threads that wait for requests that are done
        self._wake_at = math.inf  # monotonic

    def in_flight(self) -> list[RequestFuture]:
        """The requests that it processes."""
        return list(self._running)

    def wake(self) -> None:
        """A request was put into the queue."""
        loop = self._loop
        if loop is not None and len(self._running) < self._size:
            loop.wake()

    def abandon(self) -> None:
        """In a forked child: end the loop, which may be in the middle of a turn, and must not touch the parent's sockets."""
        if self._loop is not None:
            self._loop.close()

    def _serve(self) -> None:
        turns.check_process()
        loop = self._loop = EventLoop()
        self.helpers = Helpers(self, self._source, self._size, loop.post)
        try:
            while self._source.may_work(self):  # false in a child that a callback forked
                if not self._running and not self._take_first():
                    break
                self._start_requests()
                self._common.do()
                self._wake_threads()
                if self._running and self._source.may_work(self):
                    self._turn(loop)
                    self._wake_threads()
        except BaseException as error:
            with contextlib.suppress(BaseException):  # the first error is the reason
                self._common.do()  # what was asked for in common is done: answers may wait to be written
            for running in list(self._running.values()):
                running.future.abort()  # a helper may be at it
                running.end(None, error)
            raise
        finally:
            turns.give(self)
            self._wake_threads()
            self._loop = None
            loop.close()
            self.helpers.stop()

    def _take_first(self) -> bool:
        """Wait for a request and start it; False when the worker must end."""
        turns.give(self)
        try:
            future = self._source.take(self)
        except Empty:
            return not self._source.exit_if_idle(self)
        turns.take(self)
        if future is not None:
            self._start(future)
        return True

    def _turn(self, loop: EventLoop) -> None:
        """Wait for what the requests in flight need, and go on with those that have it."""
        turns.give(self)
        ready = loop.wait(self._may_sleep)
        for start in range(0, len(ready) or 1, MAX_READY):
            turns.give(self)  # to those that wait for theirs
            turns.take(self)
            loop.run(ready[start : start + MAX_READY])
            self._common.do()

    def _start_requests(self) -> None:
        for _ in range(MAX_STARTS):
            if len(self._running) >= self._size or not self._source.may_work(self):
                return
            future = self._source.take_now()
            if future is not None:
                self._start(future)
            elif self._source.is_idle():
                return

    def _may_sleep(self) -> bool:
        return len(self._running) >= self._size or self._source.is_idle()

    def _start(self, future: RequestFuture) -> None:
        running = self._running[future] = _Running(self, future)
        try:
            if not self._begin(future):
                del self._running[future]
                return
            running.steps = _steps_of(future.call)
        except BaseException as error:  # noqa: BLE001  (any exception goes to the future; the worker continues)
            running.end(None, error)
        else:
            running.resume(None, None)

    def serve(self, need: Need, running: _Running) -> None:
        """Have ``running`` resumed when its need is met."""
        if type(need) is Together:
            self._common.add(need, running.resume)
            return
        self._common.do()  # nothing is sent before what was asked for earlier is done
        if type(need) is HTTPCall:
            http = need.http
            starter = self._starters[http] if http in self._starters else self._open_starter(http)
            if starter is not None:
                starter.start(need, running.resume)
                return
        elif type(need) is Pause:
            running.pause(need)
            return
        elif type(need) is Elsewhere:
            need.start(partial(self._resume_later, running))
            return
        self.helpers.run(need.run, running.resume)

    def _resume_later(self, running: _Running, result: Any, error: BaseException | None) -> None:
        """From any thread: what a request waited for was done elsewhere."""
        loop = self._loop
        if loop is not None:
            loop.post(partial(running.resume, result, error))

    def _open_starter(self, http: Any) -> HTTPStarter | None:
        open_starter = getattr(http, "multiplexed", None)
        with import_lock:
            starter = None if open_starter is None else open_starter(self._loop, self.helpers.run)
        self._starters[http] = starter
        return starter

    def resume_soon(self, running: _Running, error: Exception) -> None:
        """What a request needs cannot even be begun."""
        if self._loop is not None:
            self._loop.call_soon(partial(running.resume, None, error))

    def is_of_parent(self) -> bool:
        """Whether this is a forked child, whose parent has the worker."""
        return not self._source.may_work(self)

    def end(self, running: _Running, value: object, failure: BaseException | None) -> None:
        """Complete a request. Who waits for it is woken when the sockets that are ready now were read, or soon.

        A thread that is woken in the middle of that competes with this one for the interpreter, which costs both of them.
        """
        running.future.later = self._to_wake
        if running.future.has_callbacks:  # which may take long
            self._common.do()
            self._wake_threads()
            turns.give(self)
        try:
            self._end(running.future, value, failure)
        finally:
            self._running.pop(running.future, None)
            if self._to_wake:
                now = clock.now()
                self._wake_at = min(self._wake_at, now + MAX_WAKING_DELAY_S)
                if now >= self._wake_at:
                    self._wake_threads()
            del failure

    def _wake_threads(self) -> None:
        """Wake the threads that wait for requests that are done."""
        self._wake_at = math.inf
        while self._to_wake:
            self._to_wake.pop(0).set()


class _Running:
    """One request in flight: its steps, and the timer of a pause."""

    __slots__ = ("_control", "_worker", "due", "future", "steps")

    def __init__(self, worker: MultiplexingWorker, future: RequestFuture) -> None:
        self._worker = worker
        self.future = future
        self.steps: Steps[Any] | None = None
        self.due = 0.0
        self._control: Any = None  # while it pauses

    def resume(self, result: Any, error: BaseException | None) -> None:
        """Run the next step with what the last one waited for."""
        steps = self.steps
        if steps is None:
            return
        value: object = None
        failure: BaseException | None = None
        need: Need | None = None
        try:
            need = steps.send(result) if error is None else steps.throw(error)
        except StopIteration as end:
            value = end.value
        except LLMConnectorError as caught:
            failure = caught.with_traceback(None)  # see RequestRunner.process
        except BaseException as caught:  # noqa: BLE001  (any exception goes to the future; the worker continues)
            failure = caught
        try:
            if need is None:
                self.end(value, failure)
            elif not self._worker.is_of_parent():
                self._worker.serve(need, self)
        except Exception as caught:  # noqa: BLE001  (it is this request's trouble, not the others')
            self._worker.resume_soon(self, caught)
        finally:
            del self, steps, value, error, failure  # the traceback refers to this frame

    def end(self, value: object, failure: BaseException | None) -> None:
        """Complete the request."""
        self.steps = None
        self._worker.end(self, value, failure)
        del failure

    def pause(self, need: Pause) -> None:
        """Resume when the time has passed, or the request is stopped."""
        loop = self._worker._loop  # noqa: SLF001
        assert loop is not None  # noqa: S101
        self.due = clock.now() + need.seconds
        self._control = need.control
        loop.add_timer(self)
        need.control.on_stop(partial(loop.post, self._end_pause))

    def _end_pause(self) -> None:
        loop = self._worker._loop  # noqa: SLF001
        if self._control is not None and loop is not None:
            loop.remove_timer(self)
            self.expire(0.0)

    def expire(self, now: float) -> None:  # noqa: ARG002  (a Timer's)
        """The pause is over."""
        control, self._control = self._control, None
        control.on_stop(None)
        self.resume(None, None)


def _steps_of(call: Call) -> Steps[Any]:
    make: Callable[[], Steps[Any] | None] | None = getattr(call, "steps", None)
    steps = None if make is None else make()
    return in_one_step(call) if steps is None else steps
