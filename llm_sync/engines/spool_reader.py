"""Reads the spools of all workers on this machine while they grow, and notices when a worker ends."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable

from llm_sync.engines.spool import BELL, SpoolFile, is_further, spools_in

_MAX_GATHER_S = 0.005
_MIN_GATHER_S = 0.0002  # a shorter pause is not worth its cost
_FEW = 4  # attempts in flight
_LOOK_S = 0.1  # between two looks at who lives
_KEEP_S = 10.0  # a full file, after its last outcome was passed on: by then all are in the journal
_MAX_TICK_S = 1.0  # a longer one was a pause of this process


class SpoolReader:
    """A thread. ``heard(frames)`` gets outcomes and lines; ``ended(path)``, after them, the spool of a worker that has ended.

    ``tick(seconds)`` is called several times a second with the time that has passed. ``in_flight()``: how many outcomes there
    will be.
    """

    def __init__(
        self,
        folder: str,
        heard: Callable[[list[tuple[bytes, bytes]]], object],
        ended: Callable[[str], object],
        tick: Callable[[float], object],
        in_flight: Callable[[], int] = int,
    ) -> None:
        self._folder = folder
        self._heard = heard
        self._ended = ended
        self._tick = tick
        self._gathering = _Gathering(in_flight)
        self._files: dict[str, SpoolFile | None] = {}  # None: its worker has ended
        bell = os.path.join(folder, BELL)
        os.mkfifo(bell, 0o600)
        self._bell = os.open(bell, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)  # for writing, too: it never reads as ended
        self._full: deque[tuple[str, float]] = deque()  # read to their end, and when
        self._stopping = False
        self._works: deque[Callable[[], object]] = deque()  # to be called after the next reading
        self._thread = threading.Thread(target=self._run, name="llm-sync-spools", daemon=True)

    def start(self) -> None:
        """Start the thread. Raises RuntimeError if none can be started."""
        self._thread.start()

    def after_reading(self, work: Callable[[], object]) -> None:
        """Call ``work`` when all that is written now is read. Any thread may call this."""
        self._works.append(work)
        self._ring()

    def _ring(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self._bell, b"!")

    def stop(self) -> None:
        """Read what is there, and end."""
        self._stopping = True
        self._ring()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()
        os.close(self._bell)
        for file in self._files.values():
            if file is not None:
                file.close()

    def _run(self) -> None:
        looked_at = ticked_at = time.monotonic()
        while True:
            is_last = self._stopping
            rung = bool(select.select([self._bell], [], [], 0 if is_last else _LOOK_S)[0])
            if rung:
                if pause := self._gathering.seconds():
                    time.sleep(pause)
                with contextlib.suppress(BlockingIOError):
                    os.read(self._bell, 65_536)
            now = time.monotonic()
            works = len(self._works)
            looks = is_last or works or now - looked_at >= _LOOK_S
            if looks:
                self._find_new()
            self._read_all()
            for _ in range(works):
                self._works.popleft()()
            if looks:
                looked_at = time.monotonic()
                self._look_for_ends()
                self._tick(min(_MAX_TICK_S, looked_at - ticked_at))
                ticked_at = looked_at
            if is_last:
                return

    def _find_new(self) -> None:
        for path in spools_in(self._folder):
            if path not in self._files:
                self._files[path] = SpoolFile(path)

    def _read_all(self) -> None:
        frames: list[tuple[bytes, bytes]] = []
        for file in self._files.values():
            if file is not None:
                frames += file.read()
        self._gathering.count(len(frames))
        if frames:
            self._heard(frames)

    def _look_for_ends(self) -> None:
        for path, file in list(self._files.items()):
            if file is None or file.is_written():
                continue
            if frames := list(file.read()):  # what it wrote before it ended
                self._heard(frames)
            file.close()
            self._files[path] = None
            if is_further(path):
                self._full.append((path, time.monotonic()))
            else:
                self._ended(path)
        while self._full and time.monotonic() - self._full[0][1] > _KEEP_S:
            with contextlib.suppress(OSError):
                os.unlink(self._full.popleft()[0])


class _Gathering:
    """How long outcomes may gather before they are read: fewer readings, each of more outcomes, cost less.

    Meanwhile an eighth of what is in flight may end, so that no worker runs out of work.
    """

    def __init__(self, in_flight: Callable[[], int]) -> None:
        self._in_flight = in_flight
        self._read_at = time.monotonic()
        self._between = 0.0  # seconds from one outcome to the next, lately

    def count(self, outcomes: int) -> None:
        """So many were read."""
        if outcomes:
            now = time.monotonic()
            self._between, self._read_at = (now - self._read_at) / outcomes, now

    def seconds(self) -> float:
        """How long to wait now."""
        in_flight = self._in_flight()
        seconds = min(_MAX_GATHER_S, self._between * in_flight / 8)
        return seconds if in_flight > _FEW and seconds >= _MIN_GATHER_S else 0.0
