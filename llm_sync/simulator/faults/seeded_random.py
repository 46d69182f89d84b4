"""Seeded random numbers: they depend on seed, request and attempt, never on time or on the order of requests."""

from __future__ import annotations

import hashlib
import json
import math
import threading
from collections import OrderedDict
from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

_MAX_REQUESTS = 200_000  # whose attempts are counted; the oldest are dropped first
_NORMAL = NormalDist()
DISTRIBUTIONS = ("seconds", "uniform", "normal", "exponential", "lognormal")


def fingerprint(dialect: str, model: str, payload: Any) -> bytes:
    """A digest of dialect, model and payload, whatever the order of keys: it is equal for attempts of one request."""
    try:
        text = json.dumps(payload, sort_keys=True, separators=(",", ":"))
    except RecursionError:  # a payload can be parsed at a depth at which it cannot be serialised
        text = "deep"
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{dialect}\0{model}\0{text}".encode("utf-8", "surrogatepass"))
    return digest.digest()


class AttemptCounter:
    """Counts how often each request has come. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards _counts
        self._counts: OrderedDict[bytes, int] = OrderedDict()

    def next(self, request: bytes) -> int:
        """The number of this attempt, from 1."""
        with self._lock:
            count = self._counts.pop(request, 0) + 1
            self._counts[request] = count
            if len(self._counts) > _MAX_REQUESTS:
                self._counts.popitem(last=False)
            return count


class SeededRandom:
    """The random numbers of one attempt of one request. ``name`` distinguishes their purposes."""

    def __init__(self, seed: str, request: bytes, attempt: int) -> None:
        self._request = hashlib.blake2b(request, digest_size=8, key=hashlib.blake2b(seed.encode(), digest_size=32).digest())
        self._attempt = self._request.copy()
        self._attempt.update(b"\0%d" % attempt)

    def for_attempt(self, name: str) -> float:
        """Uniform in (0, 1), different for every attempt."""
        return _uniform(self._attempt, name)

    def for_request(self, name: str) -> float:
        """Uniform in (0, 1), the same for every attempt of the request."""
        return _uniform(self._request, name)


def _uniform(digest: Any, name: str) -> float:
    digest = digest.copy()
    digest.update(b"\1" + name.encode())
    return (int.from_bytes(digest.digest(), "big") + 0.5) / 2.0**64 or 5e-324


def delay_seconds(distribution: Mapping[str, Any], point: float) -> float:
    """The quantile ``point`` in (0, 1) of a distribution of delays (docs/testing.md); never negative, at most ``most``."""
    name = next(name for name in DISTRIBUTIONS if name in distribution)
    parameters = distribution[name]
    value: float
    if name == "seconds":
        value = parameters
    elif name == "uniform":
        value = parameters[0] + (parameters[1] - parameters[0]) * point
    elif name == "normal":
        value = parameters["mean"] + parameters["deviation"] * _normal_quantile(point)
    elif name == "exponential":
        value = -parameters["mean"] * math.log(1.0 - min(point, 1 - 2.0**-53))
    else:
        value = parameters["median"] * math.exp(min(700.0, parameters["sigma"] * _normal_quantile(point)))
    return float(min(max(0.0, value), distribution.get("most", math.inf)))


def _normal_quantile(point: float) -> float:
    return _NORMAL.inv_cdf(min(point, 1 - 2.0**-53))
