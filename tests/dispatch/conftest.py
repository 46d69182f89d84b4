"""Queues, calls that block until the test releases them, and gates between the steps of a queue."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import pytest

import llm_sync
from llm_sync.dispatch.future import RequestFuture
from llm_sync.dispatch.manager import ConcurrentLLMManager
from llm_sync.dispatch.queue import ProviderRequestQueue
from llm_sync.dispatch.worker import Worker
from llm_sync.events import Event

PATIENCE_S = 10.0  # how long a test waits for what must happen
BRIEF_S = 0.2  # how long it waits for what must not happen


class HeldCall:
    """A call that signals its start and blocks until released; ``abort`` releases it too. ``notified``: methods called."""

    def __init__(self, answer: object = None) -> None:
        self.answer = answer
        self.entered = threading.Event()
        self.released = threading.Event()
        self.notified: list[str] = []

    def __call__(self) -> object:
        """Wait for the release."""
        self.entered.set()
        assert self.released.wait(3 * PATIENCE_S)  # longer than any test, which must not be saved by it
        return self.answer

    def stop_retrying(self) -> None:
        """Record the call."""
        self.notified.append("stop_retrying")

    def abort(self) -> None:
        """Record the call and return from the request."""
        self.notified.append("abort")
        self.released.set()


class Gates:
    """Points at which a thread stops until the test opens them; only those that ``shut`` names."""

    def __init__(self) -> None:
        self.reached: dict[str, threading.Event] = {}
        self._open: dict[str, threading.Event] = {}

    def shut(self, name: str) -> None:
        """Stop the next thread that reaches ``name``, once."""
        self.reached[name], self._open[name] = threading.Event(), threading.Event()

    def wait_for(self, name: str) -> None:
        """Wait until a thread is stopped at ``name``."""
        assert self.reached[name].wait(PATIENCE_S), f"no thread reached {name}"

    def open(self, name: str) -> None:
        """Release the thread stopped there."""
        self._open[name].set()

    def open_all(self) -> None:
        """Release every thread, so that a failed test ends."""
        for each in self._open.values():
            each.set()

    def passing(self, name: str) -> None:
        """Called by the thread that passes."""
        reached = self.reached.get(name)
        if reached is not None and not reached.is_set():
            reached.set()
            assert self._open[name].wait(PATIENCE_S), f"{name} was never opened"


class GatedInbox:
    """Stops between the look for emptiness and what is made of it."""

    def __init__(self, gates: Gates) -> None:
        self.gates = gates
        self._queue: SimpleQueue[Any] = SimpleQueue()
        self.put, self.get, self.get_nowait = self._queue.put, self._queue.get, self._queue.get_nowait

    def empty(self) -> bool:
        """Like Queue.empty, then pass the gate."""
        is_empty = self._queue.empty()
        self.gates.passing("retire")
        return is_empty


class GatedQueue(ProviderRequestQueue):
    """With gates at: checked (accepted, not yet put), put, start (of a worker), empty, retire."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        self.gates = Gates()
        self.futures: list[RequestFuture] = []
        super().__init__(*args, **settings)

    def _reset(self) -> None:
        super()._reset()
        self._inbox = GatedInbox(self.gates)

    def _enqueue(self, future: RequestFuture) -> None:
        self.futures.append(future)
        self.gates.passing("checked")
        super()._enqueue(future)

    def _put(self, future: RequestFuture | None) -> None:
        if future is not None:
            self.gates.passing("put")
        super()._put(future)

    def _start_thread(self, worker: Worker) -> None:
        self.gates.passing("start")
        super()._start_thread(worker)

    def take(self, worker: Worker) -> RequestFuture | None:
        """Like the original, with a gate after an idle timeout."""
        try:
            return super().take(worker)
        except Empty:
            self.gates.passing("empty")
            raise


class RecordingQueue(ProviderRequestQueue):
    """Notes in ``record`` what it accepted, in order."""

    record: list[RequestFuture]

    def accept(self, future: RequestFuture, **options: Any) -> None:
        """Like the original, then record the future."""
        super().accept(future, **options)
        self.record.append(future)


class InThread(threading.Thread):
    """Runs ``what`` at once; ``outcome()`` gives what it returned or raised."""

    def __init__(self, what: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._what = what
        self._value: Any = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Keep the outcome."""
        try:
            self._value = self._what()
        except BaseException as error:  # the test asks for it
            self.error = error

    def outcome(self) -> Any:
        """Wait for it; exceptions are raised here."""
        self.join(PATIENCE_S)
        assert not self.is_alive(), "it hangs"
        if self.error is not None:
            raise self.error
        return self._value

    def hangs_for_now(self) -> bool:
        """Whether it is still at it after a brief wait."""
        self.join(BRIEF_S)
        return self.is_alive()


class Workshop:
    """Makes queues and held calls, and ends them all after the test."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._queues: list[ProviderRequestQueue] = []
        self._calls: list[HeldCall] = []

    def queue(self, name: str = "p", **settings: Any) -> ProviderRequestQueue:
        """A queue whose events are appended to ``events``."""
        return self._kept(ProviderRequestQueue(name, **{"emit": self.events.append, **settings}))

    def gated(self, name: str = "p", **settings: Any) -> GatedQueue:
        """A queue with gates."""
        return self._kept(GatedQueue(name, **{"emit": self.events.append, **settings}))

    def recording(self, record: list[RequestFuture], name: str = "p", **settings: Any) -> RecordingQueue:
        """A queue that notes what it accepts."""
        queue = RecordingQueue(name, **settings)
        queue.record = record
        return self._kept(queue)

    def _kept(self, queue: Any) -> Any:
        self._queues.append(queue)
        return queue

    def manager(self, **settings: Any) -> ConcurrentLLMManager:
        """Over queues of equal settings."""
        return ConcurrentLLMManager(lambda name: self.queue(name, **settings))

    def held(self, answer: object = None) -> HeldCall:
        """A call that waits."""
        self._calls.append(HeldCall(answer))
        return self._calls[-1]

    def occupy(self, queue: ProviderRequestQueue) -> HeldCall:
        """Keep one worker of ``queue`` busy until the call that this gives is released."""
        call = self.held("occupied")
        queue.submit(call)
        assert call.entered.wait(PATIENCE_S)
        return call

    def in_thread(self, what: Callable[[], Any]) -> InThread:
        """Run it beside the test."""
        return InThread(what)

    def end(self) -> None:
        """Release all calls and check that every thread ends."""
        for queue in self._queues:
            if isinstance(queue, GatedQueue):
                queue.gates.open_all()
        for call in self._calls:
            call.released.set()
        for queue in self._queues:
            queue.stop(cancel_pending=True)
        for queue in self._queues:
            assert queue.join(PATIENCE_S), "a worker does not end"


@pytest.fixture
def workshop() -> Iterator[Workshop]:
    """See Workshop."""
    shop = Workshop()
    yield shop
    shop.end()


class Script:
    """A program in a process of its own, with a few names ready (see PREAMBLE)."""

    PREAMBLE = """
import os, signal, sys, threading, time
from concurrent.futures import Future
from llm_sync.dispatch import shutdown
from llm_sync.dispatch.manager import ConcurrentLLMManager
from llm_sync.dispatch.queue import ProviderRequestQueue
from llm_sync.errors import ClientClosedError

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

class Call:
    def __init__(self, name, hold=False, stops=False):
        self.name, self.hold, self.stops = name, hold, stops
        self.entered, self.go = threading.Event(), threading.Event()
    def __call__(self):
        say("start", self.name)
        self.entered.set()
        if self.hold:
            self.go.wait(30)
        say("end", self.name)
        return self.name
    def stop_retrying(self):
        say("stop_retrying", self.name)
        if self.stops:
            self.go.set()
    def abort(self):
        say("abort", self.name)
        self.go.set()

def pause():
    # In short sleeps: a signal that arrives just before one long sleep would not interrupt it.
    for _ in range(600):
        time.sleep(0.05)

def provider(name):
    return ProviderRequestQueue(name)

manager = ConcurrentLLMManager(lambda name: provider(name))
"""

    def __init__(self, body: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore::DeprecationWarning", "-c", self.PREAMBLE + body],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(llm_sync.__file__).parents[1])},
        )
        self.lines: list[str] = []
        self.errors = ""

    def read_until(self, line: str) -> None:
        """Read its output up to ``line``."""
        assert self.process.stdout is not None
        for text in self.process.stdout:
            self.lines.append(text.rstrip("\n"))
            if self.lines[-1] == line:
                return
        raise AssertionError(f"it ended without printing {line!r}: {self.lines} {self.process.communicate()[1]}")

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def finish(self, within: float = PATIENCE_S) -> int:
        """Its exit status; fails when it does not end in time."""
        try:
            rest, self.errors = self.process.communicate(timeout=within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            rest, self.errors = self.process.communicate()
            raise AssertionError(f"it does not end: {self.lines} {rest} {self.errors}") from None
        self.lines += rest.splitlines()
        return self.process.returncode


@pytest.fixture
def script() -> Iterator[Callable[[str], Script]]:
    """Start a program; it is killed after the test should it still run."""
    started: list[Script] = []

    def start(body: str) -> Script:
        started.append(Script(body))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
            each.process.communicate()
