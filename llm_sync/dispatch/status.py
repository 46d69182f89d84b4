"""Request counts and latencies of a provider, computed from its events."""

from __future__ import annotations

import math
import threading
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import field
from datetime import datetime

from llm_sync.dispatch.future import RequestFuture
from llm_sync.events import AttemptStarted, CacheHit, Event, Finished, Retrying
from llm_sync.models.frozen import Frozen, dataclass
from llm_sync.runtime import clock

MAX_LATENCIES = 1024  # enough for a stable 95th percentile, few enough to sort for each status
MINUTE_S = 60
COUNTED = (Finished, Retrying, AttemptStarted, CacheHit)
MAX_HITS = 1024  # hits that are counted one by one before they are added up


@dataclass(frozen=True, repr=False, eq=False)
class ProviderStatus(Frozen):
    """The status of one provider at one moment.

    ``queued`` requests wait; ``in_flight`` are being processed by a worker, the oldest for ``oldest_in_flight_s`` seconds.
    ``done`` were answered; ``failed`` counts failures by error class (cancelled requests are in neither). ``retries``:
    attempts beyond each request's first. ``cooling_down_until``: aware UTC, or None. ``last_error``: class and message
    of the latest failure, retried ones included. ``latency_p50_ms``, ``latency_p95_ms``: milliseconds from the worker's
    start to the answer, retries and waits included, over the latest 1,024 answered requests. ``requests_per_minute``:
    attempts started in the last 60 s. ``cached``: answers that came from a cache, which ``done`` includes.
    ``breaker_open_until``: aware UTC, while routes pass the provider over because it keeps failing; or None. ``concurrency``:
    with ``concurrency: auto``, how many requests it is found to take at once.
    """

    queued: int = 0
    in_flight: int = 0
    oldest_in_flight_s: float | None = None
    done: int = 0
    failed: Mapping[str, int] = field(default_factory=dict)
    retries: int = 0
    cooling_down_until: datetime | None = None
    last_error: str | None = None
    latency_p50_ms: float | None = None
    latency_p95_ms: float | None = None
    requests_per_minute: int = 0
    cached: int = 0
    breaker_open_until: datetime | None = None
    concurrency: int | None = None


class StatusCounts:
    """Counts the events of one provider, in any order and from any thread, in bounded memory."""

    def __init__(self, clock: Callable[[], float] = clock.now) -> None:
        self._clock = clock
        # Guards all fields below while they are changed, which only workers do: the events of calling threads are not counted.
        # Reading takes no lock: a signal handler could interrupt it and wait for a worker that waits for the lock.
        self._lock = threading.RLock()
        self._done = 0
        self._failed: Counter[str] = Counter()
        self._retries = 0
        self._cached = 0
        self._hits: list[None] = []  # one for each hit on a calling thread, which takes no lock; see _add_hit
        self._last_error: str | None = None
        self._latencies: deque[float] = deque(maxlen=MAX_LATENCIES)
        self._attempts: deque[tuple[int, int]] = deque(maxlen=MINUTE_S)  # (second, attempts started in it), oldest first

    def add(self, event: Event) -> None:
        """Count one event, of the kinds in COUNTED."""
        if isinstance(event, AttemptStarted):
            second, attempts = int(self._clock()), self._attempts
            with self._lock:
                count = attempts.pop()[1] if attempts and attempts[-1][0] == second else 0
                attempts.append((second, count + 1))
        elif isinstance(event, Finished):
            if event.error != "cancelled":
                with self._lock:
                    self._add_finished(event)
        elif isinstance(event, Retrying):
            with self._lock:
                self._retries += 1
                self._last_error = _described(event.error, event.message)
        elif isinstance(event, CacheHit) and not event.queued:
            self._add_hit()
        elif isinstance(event, CacheHit):
            with self._lock:
                self._cached += 1

    def _add_hit(self) -> None:
        """Count a hit on a calling thread: never waits for the lock, which a thread that a signal handler interrupts may hold."""
        self._hits.append(None)
        if len(self._hits) > MAX_HITS and self._lock.acquire(blocking=False):
            try:
                count = len(self._hits)
                self._cached += count
                self._done += count
                del self._hits[:count]
            finally:
                self._lock.release()

    def _add_finished(self, event: Finished) -> None:
        if event.error is None:
            self._done += 1
            self._latencies.append(event.elapsed * 1000)
        else:
            self._failed[event.error] += 1
            self._last_error = _described(event.error, event.message)

    def status(self, in_flight: Iterable[RequestFuture], waiting: Collection[RequestFuture]) -> ProviderStatus:
        """The counts so far, combined with the requests that workers have taken (started or not), and those that wait."""
        started = {future: since for future in in_flight if (since := future.started_at) is not None}
        since = self._clock() - MINUTE_S
        ordered = sorted(self._latencies.copy())
        hits = len(self._hits)
        return ProviderStatus(
            queued=len(waiting) - sum(future in waiting for future in started),
            in_flight=len(started),
            oldest_in_flight_s=self._clock() - min(started.values()) if started else None,
            done=self._done + hits,
            failed=dict(self._failed),
            retries=self._retries,
            last_error=self._last_error,
            latency_p50_ms=_percentile(ordered, 0.50),
            latency_p95_ms=_percentile(ordered, 0.95),
            requests_per_minute=sum(count for second, count in self._attempts.copy() if second > since),
            cached=self._cached + hits,
        )


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    """Percentile by nearest rank, so always a measured latency."""
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else None


def _described(error: str, message: str) -> str:
    return f"{error}: {message}" if message else error
