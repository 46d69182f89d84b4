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

_BUSY_S = 0.003  # between two outcomes of whatever worker
_GATHER_S = 0.0005
_LOOK_S = 0.1  # between two looks at who lives
_KEEP_S = 10.0  # a full file, after its last outcome was passed on: by then all are in the journal
_MAX_TICK_S = 1.0  # a longer one was a pause of this process


class SpoolReader:
    """A thread. ``heard(outcome, line)`` gets each frame; ``ended(path)``, after it, the spool of a worker that has ended.

    ``tick(seconds)`` is called several times a second with the time that has passed.
    """

    def __init__(
        self,
        folder: str,
        heard: Callable[[bytes, bytes], object],
        ended: Callable[[str], object],
        tick: Callable[[float], object],
    ) -> None:
        self._folder = folder
        self._heard = heard
        self._ended = ended
        self._tick = tick
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
        rung_at = 0.0
        while True:
            is_last = self._stopping
            rung = bool(select.select([self._bell], [], [], 0 if is_last else _LOOK_S)[0])
            if rung:
                if time.monotonic() - rung_at < _BUSY_S:
                    time.sleep(_GATHER_S)  # fewer readings, each of more outcomes, cost less
                rung_at = time.monotonic()
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
        for file in self._files.values():
            if file is not None:
                for outcome, line in file.read():
                    self._heard(outcome, line)

    def _look_for_ends(self) -> None:
        for path, file in list(self._files.items()):
            if file is None or file.is_written():
                continue
            for outcome, line in file.read():  # what it wrote before it ended
                self._heard(outcome, line)
            file.close()
            self._files[path] = None
            if is_further(path):
                self._full.append((path, time.monotonic()))
            else:
                self._ended(path)
        while self._full and time.monotonic() - self._full[0][1] > _KEEP_S:
            with contextlib.suppress(OSError):
                os.unlink(self._full.popleft()[0])
