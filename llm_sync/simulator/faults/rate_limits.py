"""Enforced rate limits: requests and tokens per minute, and concurrent requests."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from llm_sync.simulator.faults.retry_after import LimitState

_MAX_USAGES = 10_000  # per limiter: clients may send any number of model names and keys
_MINUTE = 60.0


class LimitExceeded(NamedTuple):
    """Why a request is refused: state of the limit, seconds until it would pass (None: never), requested amount."""

    state: LimitState
    wait: float | None
    requested: int


class _Bucket:
    """A token bucket: ``limit`` units per minute, at most ``burst`` at once. Not thread-safe."""

    def __init__(self, kind: str, limit: int, burst: int, now: float) -> None:
        self.kind, self.limit, self.burst = kind, limit, burst
        self._level, self._at = float(burst), now

    def take(self, count: int, now: float) -> LimitExceeded | None:
        self._level = min(float(self.burst), self._level + (now - self._at) * self.limit / _MINUTE)
        self._at = now
        if count <= self._level:
            self._level -= count
            return None
        lacking = (count - self._level) * _MINUTE / self.limit
        return LimitExceeded(self.state()._replace(remaining=0), lacking if count <= self.burst else None, count)

    def state(self) -> LimitState:
        return LimitState(self.kind, self.limit, math.floor(self._level), (self.burst - self._level) * _MINUTE / self.limit)


class _Usage:
    """The usage of one provider, model or key."""

    def __init__(self, settings: Mapping[str, Any], now: float) -> None:
        self.in_flight = 0
        self.buckets: list[_Bucket] = []
        burst = settings.get("burst")
        for kind in ("requests", "tokens"):
            limit = settings.get(f"{kind}_per_minute")
            if limit is not None:
                self.buckets.append(_Bucket(kind, limit, limit if burst is None else burst, now))
                burst = None  # applies to requests if both are limited


class RateLimiter:
    """``settings``: requests_per_minute, tokens_per_minute, concurrency, burst, retry_after (delays.py). Thread-safe."""

    def __init__(self, settings: Mapping[str, Any], clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._concurrency: int | None = settings.get("concurrency")
        self._clock = clock
        self._lock = threading.Lock()  # guards _accounts and all in them
        self._usages: OrderedDict[str, _Usage] = OrderedDict()

    def enter(self, name: str) -> LimitExceeded | None:
        """Admits a request of ``name``, which must call ``leave`` later, or returns why it is refused."""
        with self._lock:
            usage = self._usage_of(name)
            if self._concurrency is not None and usage.in_flight >= self._concurrency:
                return LimitExceeded(LimitState("requests", self._concurrency, 0, 1.0), self._settings.get("retry_after", 1.0), 1)
            for bucket in usage.buckets:
                if bucket.kind == "requests" and (exceeded := bucket.take(1, self._clock())):
                    return exceeded
            usage.in_flight += 1
            return None

    def spend(self, name: str, tokens: int) -> LimitExceeded | None:
        """Takes the tokens of an admitted request, or returns why it is refused."""
        with self._lock:
            for bucket in self._usage_of(name).buckets:
                if bucket.kind == "tokens" and (exceeded := bucket.take(tokens, self._clock())):
                    return exceeded
            return None

    def leave(self, name: str) -> None:
        """Ends an admitted request."""
        with self._lock:
            usage = self._usage_of(name)
            usage.in_flight = max(0, usage.in_flight - 1)

    def states(self, name: str) -> list[LimitState]:
        """The state of each limit for ``name``."""
        with self._lock:
            return [bucket.state() for bucket in self._usage_of(name).buckets]

    def _usage_of(self, name: str) -> _Usage:
        usage = self._usages.get(name)
        if usage is None:
            usage = self._usages[name] = _Usage(self._settings, self._clock())
            if len(self._usages) > _MAX_USAGES:
                oldest = next(old for old, other in self._usages.items() if not other.in_flight or old == name)
                if oldest != name:
                    del self._usages[oldest]
        return usage
