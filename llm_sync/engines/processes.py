"""Worker processes on this machine: a pool of one process each, so that one that dies takes no other with it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import time
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from functools import partial
from typing import Any

from llm_sync.engines import worker as worker_process
from llm_sync.engines.board import Board
from llm_sync.engines.flights import Flight, Worker
from llm_sync.engines.greeting import refuse_problems
from llm_sync.engines.spool import SUFFIX
from llm_sync.engines.task_pipe import TaskWriter, listen, make_fifo
from llm_sync.engines.wire import Hello, Session
from llm_sync.errors import LLMConnectorError, ProviderConnectionError

ORPHAN_GRACE_S = 5.0  # an orphaned worker's requests in flight may take so long; as after Ctrl-C
_WATCH_S = 0.5
_STOP_S = 5.0
MAX_FAILED_STARTS = 3  # in a row, of all processes: something is wrong with this machine


class Processes:
    """The engine ``processes:N``. ``board``, ``session`` and the rest are given when it is opened."""

    is_local = True

    def __init__(self, count: int) -> None:
        self.count = count
        self.name = f"processes:{count}"
        self._slots: dict[str, _Slot] = {}  # by the worker's name
        self._failed_starts = 0
        self._closing = False

    def open(self, board: Board, session: Session) -> None:
        """Start the processes. Raises LLMConnectorError if a key is missing, or none can be started."""
        self._board, self._session = board, session
        self._content = pickle.dumps(session)
        slots: list[_Slot] = []
        hellos: list[Hello] = []
        try:
            while not hellos:
                self._greet_all(slots, hellos)
            refuse_problems(hellos)
        except BaseException:
            self._closing = True
            _stop(slots)
            raise
        for slot, hello in zip(slots, hellos, strict=True):
            if not self._join(slot, hello):
                self._start_later()
        for _ in range(self.count - len(slots)):
            self._start_later()

    def _greet_all(self, slots: list[_Slot], hellos: list[Hello]) -> None:
        """Start all processes at once; those that begin are added. Raises ProviderConnectionError when none did several times."""
        begun = [_Slot() for _ in range(self.count)]
        slots += begun
        for slot, greeting in [(slot, slot.greet(self._content)) for slot in begun]:
            try:
                hellos.append(greeting.result())
            except BrokenExecutor as error:  # noqa: PERF203  (it was killed, or could not begin)
                slots.remove(slot)
                slot.pool.shutdown(wait=False)
                self._failed_starts += 1
                if self._failed_starts >= MAX_FAILED_STARTS * self.count:
                    raise _cannot_start(error) from error
        self._failed_starts = 0 if hellos else self._failed_starts

    def _join(self, slot: _Slot, hello: Hello) -> bool:
        """Let a worker have attempts. Returns False if it has died since it was greeted."""
        worker = Worker(hello.worker, hello.host)
        path = make_fifo(self._session.folder, hello.worker)
        try:
            slot.pool.submit(listen, path, partial(worker_process.take, self._session.id)).result()
            more, taken = partial(self._board.take_more, worker), partial(self._board.acknowledge, worker)
            slot.tasks = TaskWriter(path, worker, more, taken, self._board.settle)
        except (RuntimeError, OSError):  # a BrokenExecutor is the former
            slot.pool.shutdown(wait=False, cancel_futures=True)
            return False
        self._slots[hello.worker] = slot
        self._board.join(worker)
        return True

    def send(self, worker: Worker, flights: list[Flight]) -> None:
        """Give a group to a worker. It is acknowledged when it is on its way, so that what comes meanwhile travels together."""
        slot = self._slots.get(worker.name)
        if slot is not None and slot.tasks is not None:
            slot.tasks.put(flights)

    def ended(self, path: str) -> None:
        """The worker with this spool has ended: start another in its place."""
        name = os.path.basename(path).removesuffix(SUFFIX)
        slot = self._slots.pop(name, None)
        if slot is None or self._closing:
            return
        worker = next((each for each in self._board.workers() if each.name == name), None)
        if worker is not None:
            self._board.leave(worker, "the process ended")
        slot.end_tasks()
        slot.pool.shutdown(wait=False, cancel_futures=True)
        self._start_later()

    def _start_later(self) -> None:
        threading.Thread(target=self._start_another, name="llm-sync-new-worker", daemon=True).start()

    def _start_another(self) -> None:
        while not self._closing:
            slot = _Slot()
            try:
                hello = slot.greet(self._content).result()
            except Exception as error:  # noqa: BLE001  (whatever keeps a process from starting)
                slot.pool.shutdown(wait=False, cancel_futures=True)
                self._failed_starts += 1
                if self._failed_starts >= MAX_FAILED_STARTS and not self._board.workers():
                    self._board.fail(_cannot_start(error))
                    return
                time.sleep(_WATCH_S)
                continue
            self._failed_starts = 0
            if not self._join(slot, hello):
                continue
            if self._closing:  # meanwhile
                _stop([slot])
            return

    def close(self) -> None:
        """End the processes, also those that are stopped or hang."""
        self._closing = True
        _stop(list(self._slots.values()))


class _Slot:
    """A pool of one process."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pool = ProcessPoolExecutor(1, mp_context=context, initializer=_begin, initargs=(os.getpid(),))
        self.processes: list[Any] = []
        self.tasks: TaskWriter | None = None

    def greet(self, content: bytes) -> Future[Hello]:
        """Start the process, and have it open the session."""
        future = self.pool.submit(worker_process.hello, content)
        self.processes = list(self.pool._processes.values())  # noqa: SLF001  (to end one that hangs; there is no other way to it)
        return future

    def end_tasks(self) -> None:
        """Send nothing more."""
        if self.tasks is not None:
            self.tasks.close()

    def join_tasks(self) -> None:
        """Wait for the thread that sends, after the process has ended."""
        if self.tasks is not None:
            self.tasks.join(_STOP_S)


def _stop(slots: list[_Slot]) -> None:
    """End the processes of all."""
    for slot in slots:
        slot.end_tasks()
        slot.pool.shutdown(wait=False, cancel_futures=True)
    until = time.monotonic() + _STOP_S
    for process in [process for slot in slots for process in slot.processes]:
        process.join(max(0.0, until - time.monotonic()))
        if process.is_alive():
            process.kill()
    for slot in slots:
        slot.join_tasks()
        slot.pool.shutdown(wait=True)


def _cannot_start(error: BaseException) -> LLMConnectorError:
    return ProviderConnectionError(
        f"no worker process can be started: {str(error) or type(error).__name__}",
        guidance="A script that starts processes needs its main part under: if __name__ == '__main__':",
    )


def _begin(coordinator: int) -> None:
    """In a new process: Ctrl-C and SIGTERM are the coordinator's to handle; without it this process ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(coordinator,), name="llm-sync-orphan", daemon=True).start()


def _end_with(coordinator: int) -> None:
    """End this process when its parent has gone, after what is in flight has had some seconds."""
    while os.getppid() == coordinator:
        time.sleep(_WATCH_S)
    until = time.monotonic() + ORPHAN_GRACE_S
    while time.monotonic() < until and worker_process.is_busy():
        time.sleep(_WATCH_S / 5)
    with contextlib.suppress(Exception):
        worker_process.close_all()
    os._exit(0)
