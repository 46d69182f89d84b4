"""Attempts go to a worker process of this machine through a FIFO, in frames: a length, and pickled items.

A task of a ProcessPoolExecutor costs the coordinator several threads' turns. Here one thread for each worker writes what gathers
in a millisecond, and at once if the worker has little to do.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import struct
import threading
import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

from llm_sync.engines.flights import Flight, Worker
from llm_sync.engines.wire import Item, Outcome
from llm_sync.errors import LLMConnectorError
from llm_sync.events import logger

SUFFIX = ".tasks"
_LENGTH = struct.Struct(">I")
_CHUNK = 1 << 18
_FEW = 4  # attempts that a worker has
_GATHER_S = 0.001

_log = logger("engines")


class TaskWriter:
    """The coordinator's end of one worker's FIFO, which the worker has open by now. Raises OSError if it has not.

    In the thread that writes, ``more`` is called for what may be added to a group, ``taken`` when it is written, and ``settle``
    for what cannot be written.
    """

    def __init__(
        self,
        path: str,
        worker: Worker,
        more: Callable[[], list[Flight]],
        taken: Callable[[], object],
        settle: Callable[[Outcome], object],
    ) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.set_blocking(self._descriptor, True)
        os.unlink(path)  # both have it open
        self._worker = worker
        self._more = more
        self._taken = taken
        self._settle = settle
        self._groups: SimpleQueue[list[Flight] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="llm-sync-tasks", daemon=True)
        self._thread.start()

    def put(self, flights: list[Flight]) -> None:
        """Have a group written. Any thread may call it; it does not wait."""
        self._groups.put(flights)

    def close(self) -> None:
        """Write nothing more. Does not wait for the thread, which a worker that is stopped may keep waiting."""
        self._groups.put(None)

    def join(self, timeout: float) -> None:
        """Wait until the thread has ended, after the worker has."""
        self._thread.join(timeout)

    def _run(self) -> None:
        with contextlib.suppress(BrokenPipeError):  # the worker has ended: its spool's lock tells
            while (flights := self._groups.get()) is not None:
                if len(self._worker.flights) > _FEW:
                    time.sleep(_GATHER_S)  # it has enough to do: fewer and larger groups cost less
                    flights = flights + self._more()
                content = self._packed([flight.item for flight in flights])
                _write(self._descriptor, _LENGTH.pack(len(content)) + content)
                self._taken()
        os.close(self._descriptor)

    def _packed(self, items: list[Item]) -> bytes:
        """The items as bytes, without those that cannot be pickled."""
        try:
            return pickle.dumps(items, pickle.HIGHEST_PROTOCOL)
        except Exception as error:  # noqa: BLE001  (an added dialect may put anything into a request)
            if len(items) == 1:
                failure = LLMConnectorError(f"the request cannot be sent to a worker: {error!r}")
                self._settle(Outcome(items[0].id, error=failure))
                return pickle.dumps([])
            rest = [item for item in items if self._packed([item]) != pickle.dumps([])]
            return pickle.dumps(rest, pickle.HIGHEST_PROTOCOL)


def make_fifo(folder: str, worker: str) -> str:
    """The path of a new FIFO for a worker. Raises OSError."""
    path = os.path.join(folder, worker.replace("/", "_") + SUFFIX)
    os.mkfifo(path, 0o600)
    return path


def listen(path: str, take: Callable[[bytes], object]) -> None:
    """In a worker: open its FIFO, and call ``take`` with the content of each frame, in a thread, as long as the process runs.

    The process ends if ``take`` raises: a worker that takes nothing more must not seem to live.
    """
    # For writing, too: opening does not wait for the coordinator, and the FIFO never reads as ended.
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    threading.Thread(target=_take_all, args=(descriptor, take), name="llm-sync-tasks", daemon=True).start()


def _take_all(descriptor: int, take: Callable[[bytes], object]) -> None:
    try:
        for content in _frames(descriptor):
            take(content)
    except Exception as error:  # noqa: BLE001  (no memory, no further thread; what is in flight is asked again elsewhere)
        _log.error("a worker cannot begin an attempt, and ends: %r", error)
        os._exit(1)


def _frames(descriptor: int) -> Iterator[bytes]:
    rest = bytearray()  # grows in place: a group with images comes in hundreds of pieces
    while True:
        rest += os.read(descriptor, _CHUNK)
        while len(rest) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(rest)[0]
            if len(rest) < end:
                break
            yield bytes(memoryview(rest)[_LENGTH.size : end])
            del rest[:end]


def _write(descriptor: int, content: Any) -> None:
    content = memoryview(content)
    while content:
        content = content[os.write(descriptor, content) :]
