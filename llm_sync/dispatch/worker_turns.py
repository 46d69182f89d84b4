"""Workers with many requests in flight run one after the other: a worker that has its turn runs, the others sleep.

A worker gives the interpreter up at each system call. Two that want to run at the same time would pass it back and forth several
times for each request, which costs as much as the request itself. Providers do not wait for each other for long: a turn lasts
some milliseconds, and from a worker that keeps it for longer (a done-callback that waits) it is taken.
"""

from __future__ import annotations

import os
import threading
from collections import deque

from llm_sync.runtime import fork

LONGEST_TURN_S = 0.05  # of one worker, while another one waits


class WorkerTurns:
    """Gives the turns, first come, first served. Any thread may use it, but not in a signal handler."""

    def __init__(self) -> None:
        self.reset_after_fork()
        fork.watch(self)

    def reset_after_fork(self) -> None:
        """In the child: no worker has a turn, and none waits."""
        self._process = os.getpid()
        self._lock = threading.Lock()  # guards the others; held for a few instructions
        self._holder: object = None
        self._waiting: deque[tuple[object, threading.Lock]] = deque()  # each with a held lock, whose release wakes it
        self._given = 0  # turns so far

    def check_process(self) -> None:
        """A worker begins: if this is a child that was forked without hooks, reset."""
        if self._process != os.getpid():
            self.reset_after_fork()

    def take(self, worker: object) -> None:
        """Wait until ``worker`` has the turn. It may have it already."""
        with self._lock:
            if self._holder is None or self._holder is worker:
                self._give_to(worker)
                return
            sleeper = threading.Lock()
            sleeper.acquire()
            self._waiting.append((worker, sleeper))
            given = self._given
        while not sleeper.acquire(timeout=LONGEST_TURN_S):
            with self._lock:
                if self._holder is worker:  # only just
                    return
                if self._given == given:  # nobody else had it meanwhile: who has it is stuck
                    self._waiting.remove((worker, sleeper))
                    self._give_to(worker)
                    return
                given = self._given

    def give(self, worker: object) -> None:
        """Let the next worker run, if ``worker`` still has the turn."""
        with self._lock:
            if self._holder is worker:
                self._holder = None
                if self._waiting:
                    following, sleeper = self._waiting.popleft()
                    self._give_to(following)
                    sleeper.release()

    def _give_to(self, worker: object) -> None:
        self._holder = worker
        self._given += 1


turns = WorkerTurns()
