"""The log of all requests: tests use it to check order, concurrency, billing and streaming attempts."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from llm_sync.simulator.server.log_file import LogFile

_MAX_RECORDS = 100_000
_MAX_BYTES = 256 * 2**20  # total of request bodies
_MAX_MODELS = 1000  # per provider, of which the bill is kept: clients may send any number of names
_PAGE = 1000  # default page size
# The simulator's own prices: billionths of a USD for a token, the same for all models, and the factor of each service tier.
_INPUT_PRICE, _OUTPUT_PRICE = 1_000, 4_000
_TIER_FACTORS = {"batch": 0.5, "flex": 0.5, "priority": 2.0, "2h": 0.7, "8h": 0.6}


@dataclass(frozen=True)
class RequestRecord:
    """One request. ``arrived`` and ``ended`` are seconds on ``time.monotonic``'s clock, ``arrived_at`` is Unix time.

    ``ended``, ``outcome``, ``status``, ``input_tokens`` and ``output_tokens`` are None until the answer is ready to be sent
    (with a slow delivery: until its last bytes are). ``concurrency`` counts the requests in flight when this one arrived,
    itself included; ``provider_concurrency`` those of the same provider. ``key_hash`` is the beginning of the key's SHA-256:
    the key itself is never stored. ``stream`` names the part of the request that asked for a stream.

    ``outcome`` is ok, refused (an invalid request), given (answered by ``on_request``), failed (an internal error) or the name
    of a script's action; ``rules`` are the names of the script's rules that matched. ``status`` is None if no status was sent.
    The tokens are those that are billed; None if nothing is. ``tier`` is the service tier that they are billed at.
    """

    index: int
    arrived: float
    arrived_at: float
    provider: str
    dialect: str
    method: str
    path: str
    model: str
    key_hash: str | None
    concurrency: int
    provider_concurrency: int
    stream: str | None = None
    payload: Any = None
    ended: float | None = None
    outcome: str | None = None
    rules: tuple[str, ...] = ()
    status: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    tier: str = "default"

    @property
    def billed(self) -> bool:
        """Whether the request is billed."""
        return self.input_tokens is not None

    def to_json(self) -> dict[str, Any]:
        """All fields, and ``ended_at`` (Unix time) and ``billed``."""
        ended_at = None if self.ended is None else self.arrived_at + (self.ended - self.arrived)
        return {**vars(self), "ended_at": ended_at, "billed": self.billed}


class RequestLog:
    """Records in order of arrival. Thread-safe.

    Keeps the newest records: at most 100,000, with at most 256 MiB of request bodies. The summary counts all requests.
    """

    def __init__(self) -> None:
        self.file: LogFile | None = None  # every request that has ended is also written here
        self._changed = threading.Condition()  # guards all below
        self._records: dict[int, RequestRecord] = {}
        self._sizes: dict[int, int] = {}
        self._bytes = 0
        self._count = 0
        self._in_flight: Counter[str] = Counter()
        self._providers: set[str] = set()
        self._max_concurrency: Counter[str] = Counter()  # per provider, and "" for all
        self._statuses: dict[str, Counter[int]] = {}
        self._outcomes: dict[str, Counter[str]] = {}
        self._tokens: dict[str, list[int]] = {}  # per provider: input tokens, output tokens, billed requests, cost
        self._bills: dict[str, dict[str, list[int]]] = {}  # the same, by provider and model
        self._streams: Counter[str] = Counter()

    def arrive(self, *, provider: str, size: int, **known: Any) -> RequestRecord:
        """Adds a request and returns its record; ``size`` is the length of its body in bytes."""
        with self._changed:
            self._count += 1
            self._in_flight[""] += 1
            self._in_flight[provider] += 1
            self._providers.add(provider)
            for name in ("", provider):
                self._max_concurrency[name] = max(self._max_concurrency[name], self._in_flight[name])
            record = RequestRecord(
                index=self._count,
                arrived=time.monotonic(),
                arrived_at=time.time(),
                provider=provider,
                concurrency=self._in_flight[""],
                provider_concurrency=self._in_flight[provider],
                **known,
            )
            if record.stream:
                self._streams[provider] += 1
            self._records[record.index] = record
            self._sizes[record.index] = size
            self._bytes += size
            while len(self._records) > _MAX_RECORDS or (self._bytes > _MAX_BYTES and len(self._records) > 1):
                oldest = next(iter(self._records))
                del self._records[oldest]
                self._bytes -= self._sizes.pop(oldest)
            self._changed.notify_all()
            return record

    def end(
        self,
        record: RequestRecord,
        status: int | None,
        tokens: tuple[int, int] | None,
        outcome: str,
        rules: tuple[str, ...] = (),
        tier: str = "default",
    ) -> None:
        """Completes a record. Called before the answer is sent, so that a client that has the answer finds the record complete.

        Raises OSError if the log file cannot be written; the request is counted all the same.
        """
        spent: tuple[int | None, int | None] = tokens or (None, None)
        ended = dataclasses.replace(
            record,
            ended=time.monotonic(),
            status=status,
            outcome=outcome,
            rules=rules,
            input_tokens=spent[0],
            output_tokens=spent[1],
            tier=tier,
        )
        try:
            if self.file is not None:
                self.file.append(ended.to_json())
        finally:
            self._store_ended(ended)

    def _store_ended(self, ended: RequestRecord) -> None:
        provider = ended.provider
        with self._changed:
            self._in_flight[""] -= 1
            self._in_flight[provider] -= 1
            self._statuses.setdefault(provider, Counter())[ended.status or 0] += 1
            self._outcomes.setdefault(provider, Counter())[str(ended.outcome)] += 1
            if ended.input_tokens is not None and ended.output_tokens is not None:
                self._charge(provider, ended.model, (ended.input_tokens, ended.output_tokens), ended.tier)
            if ended.index in self._records:
                self._records[ended.index] = ended
            self._changed.notify_all()

    def bill(self, provider: str, model: str, tokens: tuple[int, int], tier: str) -> None:
        """Bills what is no request of its own: a line of a job, or an answer that was made in the background."""
        with self._changed:
            self._providers.add(provider)
            self._charge(provider, model, tokens, tier)

    def _charge(self, provider: str, model: str, tokens: tuple[int, int], tier: str) -> None:
        of_model = self._bills.setdefault(provider, {})
        if model not in of_model and len(of_model) >= _MAX_MODELS:
            of_model.pop(next(iter(of_model)))
        cost = round((tokens[0] * _INPUT_PRICE + tokens[1] * _OUTPUT_PRICE) * _TIER_FACTORS.get(tier, 1.0))
        for billed in (self._tokens.setdefault(provider, [0] * 4), of_model.setdefault(model, [0] * 4)):
            for index, value in enumerate((*tokens, 1, cost)):
                billed[index] += value

    @property
    def records(self) -> list[RequestRecord]:
        """The stored records, in order of arrival."""
        with self._changed:
            return list(self._records.values())

    @property
    def stream_attempts(self) -> int:
        """How many requests asked for a stream or a deferred job."""
        with self._changed:
            return sum(self._streams.values())

    def wait_for(self, count: int, timeout: float, *, ended: bool = False) -> bool:
        """Waits until ``count`` requests have arrived (or ended); false after ``timeout`` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._count - (self._in_flight[""] if ended else 0) >= count, timeout)

    def summary(self) -> dict[str, Any]:
        """The counts, ready for JSON; the status ``none`` counts requests that got no status."""
        with self._changed:
            providers = {
                provider: {
                    "requests": sum(self._statuses.get(provider, {}).values()),
                    "in_flight": self._in_flight[provider],
                    "statuses": {
                        str(status or "none"): number for status, number in sorted(self._statuses.get(provider, {}).items())
                    },
                    "outcomes": dict(sorted(self._outcomes.get(provider, {}).items())),
                    "max_concurrency": self._max_concurrency[provider],
                    "stream_attempts": self._streams[provider],
                    **_shown_bill(self._tokens.get(provider, [0] * 4)),
                    "models": {model: _shown_bill(billed) for model, billed in sorted(self._bills.get(provider, {}).items())},
                }
                for provider in sorted(self._providers)
            }
            return {
                "requests": self._count,
                "in_flight": self._in_flight[""],
                "max_concurrency": self._max_concurrency[""],
                "stream_attempts": sum(self._streams.values()),
                "providers": providers,
            }

    def page(self, since: int = 0, limit: int = _PAGE) -> tuple[list[RequestRecord], bool]:
        """At most ``limit`` records that arrived after the one with the index ``since``, and whether there are more."""
        with self._changed:
            first = next(iter(self._records), 0)
            newest = self._count
            start = max(since + 1, first)
            page = [self._records[index] for index in range(start, min(newest, start + limit - 1) + 1) if index in self._records]
            return page, bool(page) and page[-1].index < newest


def _shown_bill(billed: list[int]) -> dict[str, float]:
    return {"billed": billed[2], "input_tokens": billed[0], "output_tokens": billed[1], "cost_usd": billed[3] / 10**9}
