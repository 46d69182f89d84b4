"""Rate limits that are really kept: requests and tokens a minute, and how many at once."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from llm_sync.simulator.faults.retry_after import Standing

_MOST_ACCOUNTS = 10_000  # of one limit: names of models and keys are the client's to make up
_MINUTE = 60.0


class Exceeded(NamedTuple):
    """Why a request is refused: the limit's standing, the seconds until it would pass (None: never), what it asked for."""

    standing: Standing
    wait: float | None
    requested: int


class _Bucket:
    """Fills evenly to ``limit`` in a minute, holds ``burst`` at most; not safe by itself."""

    def __init__(self, kind: str, limit: int, burst: int, now: float) -> None:
        self.kind, self.limit, self.burst = kind, limit, burst
        self._level, self._at = float(burst), now

    def take(self, count: int, now: float) -> Exceeded | None:
        self._level = min(float(self.burst), self._level + (now - self._at) * self.limit / _MINUTE)
        self._at = now
        if count <= self._level:
            self._level -= count
            return None
        lacking = (count - self._level) * _MINUTE / self.limit
        return Exceeded(self.standing()._replace(remaining=0), lacking if count <= self.burst else None, count)

    def standing(self) -> Standing:
        return Standing(self.kind, self.limit, math.floor(self._level), (self.burst - self._level) * _MINUTE / self.limit)


class _Account:
    """What one provider, model or key has used."""

    def __init__(self, settings: Mapping[str, Any], now: float) -> None:
        self.in_flight = 0
        self.buckets: list[_Bucket] = []
        burst = settings.get("burst")
        for kind in ("requests", "tokens"):
            limit = settings.get(f"{kind}_per_minute")
            if limit is not None:
                self.buckets.append(_Bucket(kind, limit, limit if burst is None else burst, now))
                burst = None  # is of requests where both are limited


class RateLimit:
    """``settings``: requests_per_minute, tokens_per_minute, concurrency, burst (schema.py). Any thread may use it."""

    def __init__(self, settings: Mapping[str, Any], clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._concurrency: int | None = settings.get("concurrency")
        self._clock = clock
        self._lock = threading.Lock()  # guards _accounts and all in them
        self._accounts: OrderedDict[str, _Account] = OrderedDict()

    def enter(self, name: str) -> Exceeded | None:
        """Counts a request of ``name`` in, or says why not; one that was counted in has to leave."""
        with self._lock:
            account = self._account(name)
            if self._concurrency is not None and account.in_flight >= self._concurrency:
                return Exceeded(Standing("requests", self._concurrency, 0, 1.0), self._settings.get("retry_after", 1.0), 1)
            for bucket in account.buckets:
                if bucket.kind == "requests" and (exceeded := bucket.take(1, self._clock())):
                    return exceeded
            account.in_flight += 1
            return None

    def spend(self, name: str, tokens: int) -> Exceeded | None:
        """Takes the tokens of a request that was counted in, or says why not."""
        with self._lock:
            for bucket in self._account(name).buckets:
                if bucket.kind == "tokens" and (exceeded := bucket.take(tokens, self._clock())):
                    return exceeded
            return None

    def leave(self, name: str) -> None:
        """Counts a request out."""
        with self._lock:
            account = self._account(name)
            account.in_flight = max(0, account.in_flight - 1)

    def standings(self, name: str) -> list[Standing]:
        """How the limits stand for ``name``."""
        with self._lock:
            return [bucket.standing() for bucket in self._account(name).buckets]

    def _account(self, name: str) -> _Account:
        account = self._accounts.get(name)
        if account is None:
            account = self._accounts[name] = _Account(self._settings, self._clock())
            if len(self._accounts) > _MOST_ACCOUNTS:
                oldest = next(old for old, other in self._accounts.items() if not other.in_flight or old == name)
                if oldest != name:
                    del self._accounts[oldest]
        return account
