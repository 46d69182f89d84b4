"""Chance that can be repeated: every draw depends on seed, request and attempt, never on when or in which order requests come."""

from __future__ import annotations

import hashlib
import json
import math
import threading
from collections import OrderedDict
from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

_MOST_REQUESTS = 200_000  # of which the attempts are counted; the oldest are forgotten first
_NORMAL = NormalDist()
DISTRIBUTIONS = ("seconds", "uniform", "normal", "exponential", "lognormal")


def fingerprint(dialect: str, model: str, payload: Any) -> bytes:
    """What makes two requests the same request: dialect, model and payload, whatever the order of its keys."""
    try:
        text = json.dumps(payload, sort_keys=True, separators=(",", ":"))
    except RecursionError:  # nested as deep as can be read cannot always be written
        text = "deep"
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{dialect}\0{model}\0{text}".encode("utf-8", "surrogatepass"))
    return digest.digest()


class Attempts:
    """How often each request has come. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards _counts
        self._counts: OrderedDict[bytes, int] = OrderedDict()

    def next(self, request: bytes) -> int:
        """The number of this attempt, from 1."""
        with self._lock:
            count = self._counts.pop(request, 0) + 1
            self._counts[request] = count
            if len(self._counts) > _MOST_REQUESTS:
                self._counts.popitem(last=False)
            return count


class Draws:
    """The draws of one attempt of one request. ``name`` tells draws of different purposes apart."""

    def __init__(self, seed: str, request: bytes, attempt: int) -> None:
        self._request = hashlib.blake2b(request, digest_size=8, key=hashlib.blake2b(seed.encode(), digest_size=32).digest())
        self._attempt = self._request.copy()
        self._attempt.update(b"\0%d" % attempt)

    def of_attempt(self, name: str) -> float:
        """Uniform in (0, 1), drawn anew for every attempt."""
        return _uniform(self._attempt, name)

    def of_request(self, name: str) -> float:
        """Uniform in (0, 1), the same for every attempt of the request."""
        return _uniform(self._request, name)


def _uniform(digest: Any, name: str) -> float:
    digest = digest.copy()
    digest.update(b"\1" + name.encode())
    return (int.from_bytes(digest.digest(), "big") + 0.5) / 2.0**64 or 5e-324


def seconds(spread: Mapping[str, Any], draw: float) -> float:
    """A time by its distribution (docs/testing.md), at the point ``draw`` of (0, 1); never negative, at most ``most``."""
    name = next(name for name in DISTRIBUTIONS if name in spread)
    terms = spread[name]
    value: float
    if name == "seconds":
        value = terms
    elif name == "uniform":
        value = terms[0] + (terms[1] - terms[0]) * draw
    elif name == "normal":
        value = terms["mean"] + terms["deviation"] * _normal(draw)
    elif name == "exponential":
        value = -terms["mean"] * math.log(1.0 - min(draw, 1 - 2.0**-53))
    else:
        value = terms["median"] * math.exp(min(700.0, terms["sigma"] * _normal(draw)))
    return float(min(max(0.0, value), spread.get("most", math.inf)))


def _normal(draw: float) -> float:
    return _NORMAL.inv_cdf(min(draw, 1 - 2.0**-53))
