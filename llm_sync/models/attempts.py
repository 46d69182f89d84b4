"""The options of an attempt, and the HTTP reply that it returns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from llm_sync.models.frozen import Frozen, dataclass


@dataclass(frozen=True, repr=False, eq=False)
class Reply(Frozen):
    """One HTTP answer: ``headers`` are looked up in any case, ``content`` is decoded bytes, ``elapsed`` seconds."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    elapsed: float = 0.0


def by_lower_name(headers: Mapping[str, str]) -> Mapping[str, str]:
    """The same headers by names in lower case, for code that looks up many: a plain dict is fastest."""
    known: Mapping[str, str] | None = getattr(headers, "by_lower_name", None)
    return {name.lower(): value for name, value in headers.items()} if known is None else known


@dataclass(frozen=True, repr=False, eq=False)
class AttemptOptions(Frozen):
    """How long and how often to try; every time is in seconds (see docs/configuration.md for each)."""

    timeout: float = 120.0
    deadline: float = 600.0
    max_retries: int = 3
    retry_base: float = 1.0
    retry_cap: float = 60.0
    max_retry_after: float = 60.0
    retry_timeouts: bool = True


class LimitLeft(NamedTuple):
    """What is left of a rate limit: ``remaining`` of ``limit``, all of it again in ``reset`` seconds."""

    remaining: float
    limit: float
    reset: float


class RateLimits(NamedTuple):
    """What a provider reports with an answer; None where it does not."""

    requests: LimitLeft | None
    tokens: LimitLeft | None
