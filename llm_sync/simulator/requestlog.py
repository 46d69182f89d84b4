"""The simulator's account of all it saw: the witness for order, concurrency, billing and streaming."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

_MOST_RECORDS = 100_000
_MOST_BYTES = 256 * 2**20  # of request bodies held in records


@dataclass(frozen=True)
class RequestRecord:
    """One request. ``arrived`` and ``ended`` are seconds on ``time.monotonic``'s clock, ``arrived_at`` is Unix time.

    ``ended``, ``status``, ``input_tokens`` and ``output_tokens`` (tokens) are None until the answer is ready to be sent.
    ``concurrency`` counts the requests being answered when this one arrived, itself included; ``provider_concurrency`` those
    of the same provider. ``key_hash`` is the beginning of the key's SHA-256: the key itself is never kept. ``stream`` names
    what asked for a stream.
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
    status: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None


class RequestLog:
    """Records in order of arrival. Any thread may use it.

    The newest are kept: at most 100,000, with at most 256 MiB of bodies; the summary counts all.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()  # guards all below
        self._records: dict[int, RequestRecord] = {}
        self._sizes: dict[int, int] = {}
        self._bytes = 0
        self._count = 0
        self._open: Counter[str] = Counter()
        self._most: Counter[str] = Counter()  # the highest concurrency seen, per provider and "" for all
        self._statuses: dict[str, Counter[int]] = {}
        self._tokens: dict[str, list[int]] = {}
        self._streams: Counter[str] = Counter()

    def arrive(self, *, provider: str, size: int, **known: Any) -> RequestRecord:
        """Counts a request in and returns its record; ``size`` is its body's in bytes."""
        with self._changed:
            self._count += 1
            self._open[""] += 1
            self._open[provider] += 1
            for name in ("", provider):
                self._most[name] = max(self._most[name], self._open[name])
            record = RequestRecord(
                index=self._count,
                arrived=time.monotonic(),
                arrived_at=time.time(),
                provider=provider,
                concurrency=self._open[""],
                provider_concurrency=self._open[provider],
                **known,
            )
            if record.stream:
                self._streams[provider] += 1
            self._records[record.index] = record
            self._sizes[record.index] = size
            self._bytes += size
            while len(self._records) > _MOST_RECORDS or (self._bytes > _MOST_BYTES and len(self._records) > 1):
                oldest = next(iter(self._records))
                del self._records[oldest]
                self._bytes -= self._sizes.pop(oldest)
            self._changed.notify_all()
            return record

    def end(self, record: RequestRecord, status: int, tokens: tuple[int, int] | None) -> None:
        """Counts a request out; called before its answer is sent, so that whoever has the answer finds the record complete."""
        spent: tuple[int | None, int | None] = tokens or (None, None)
        ended = dataclasses.replace(record, ended=time.monotonic(), status=status, input_tokens=spent[0], output_tokens=spent[1])
        with self._changed:
            self._open[""] -= 1
            self._open[record.provider] -= 1
            self._statuses.setdefault(record.provider, Counter())[status] += 1
            if tokens:
                billed = self._tokens.setdefault(record.provider, [0, 0])
                billed[0] += tokens[0]
                billed[1] += tokens[1]
            if record.index in self._records:
                self._records[record.index] = ended
            self._changed.notify_all()

    @property
    def records(self) -> list[RequestRecord]:
        """What is kept, in order of arrival."""
        with self._changed:
            return list(self._records.values())

    @property
    def stream_attempts(self) -> int:
        """How many requests asked for a stream or a deferred job."""
        with self._changed:
            return sum(self._streams.values())

    def wait_for(self, count: int, timeout: float, *, ended: bool = False) -> bool:
        """Whether ``count`` requests have arrived (or ended) within ``timeout`` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._count - (self._open[""] if ended else 0) >= count, timeout)

    def summary(self) -> dict[str, Any]:
        """The counts, JSON-ready."""
        with self._changed:
            providers = {
                provider: {
                    "requests": sum(statuses.values()),
                    "in_flight": self._open[provider],
                    "statuses": {str(status): number for status, number in sorted(statuses.items())},
                    "max_concurrency": self._most[provider],
                    "stream_attempts": self._streams[provider],
                    "input_tokens": self._tokens.get(provider, [0, 0])[0],
                    "output_tokens": self._tokens.get(provider, [0, 0])[1],
                }
                for provider, statuses in sorted(self._statuses.items())
            }
            return {
                "requests": self._count,
                "in_flight": self._open[""],
                "max_concurrency": self._most[""],
                "stream_attempts": sum(self._streams.values()),
                "providers": providers,
            }

    def to_json(self) -> list[dict[str, Any]]:
        """The records as dictionaries."""
        return [dict(vars(record)) for record in self.records]
