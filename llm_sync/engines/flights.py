"""An attempt that a worker makes, as the coordinator knows it, and the workers themselves."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from llm_sync.engines.wire import Item, Outcome

RECENT_S = 60

Ended = Callable[["Outcome | None", "BaseException | None"], object]
"""``ended(outcome, error)``; any thread may call it, once."""


class Flight:
    """One attempt on its way: waiting for a worker, or with one. ``host``: the only machine that may make it; None: any.

    ``seconds_with_worker`` grows while the coordinator runs, so that a pause of the coordinator does not count.
    """

    __slots__ = ("ended", "host", "item", "seconds_with_worker", "sent")

    def __init__(self, item: Item, ended: Ended, host: str | None = None) -> None:
        self.item = item
        self.ended = ended
        self.host = host
        self.sent = False
        self.seconds_with_worker = 0.0


class WorkerView(NamedTuple):
    """A worker as progress shows it. ``state``: "working", "ended" (in an orderly way) or "lost"; ``rate``: attempts a second."""

    name: str
    host: str
    in_flight: int
    done: int
    lost: int
    rate: float
    state: str


class Worker:
    """A worker and what it has. The board alone changes it, under its lock.

    ``open_tasks``: sent to the engine and not acknowledged yet; at most ``max_tasks``, so that what comes meanwhile travels
    together. ``name``: as it calls itself; for an executor whose workers are not known, that of the executor.
    """

    def __init__(self, name: str, host: str, max_tasks: int = 1) -> None:
        self.name = name
        self.host = host
        self.max_tasks = max_tasks
        self.open_tasks = 0
        self.outbox: deque[Flight] = deque()
        self.flights: dict[int, Flight] = {}  # with the outbox's
        self.done = 0
        self.lost = 0
        self.state = "working"
        self._recent: deque[tuple[int, int]] = deque(maxlen=RECENT_S)
        self._began = time.monotonic()

    def count(self, second: int) -> None:
        """An attempt has ended in this second of the monotonic clock."""
        self.done += 1
        count = self._recent.pop()[1] if self._recent and self._recent[-1][0] == second else 0
        self._recent.append((second, count + 1))

    def view(self) -> WorkerView:
        """The current state."""
        now = time.monotonic()
        recent = sum(count for second, count in self._recent if second > now - RECENT_S)
        rate = recent / max(1.0, min(RECENT_S, now - self._began))
        return WorkerView(self.name, self.host, len(self.flights), self.done, self.lost, rate, self.state)
