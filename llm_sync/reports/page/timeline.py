"""When each provider was at work, from the times of the answers: requests in flight, retries, pauses."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from llm_sync.reports.rows import RecordRow

_MAX_BINS = 2_000
_FIRST_WIDTH = 0.05
_MIN_PAUSE, _MIN_PAUSE_SHARE = 1.0, 0.03
MAX_PAUSES = 20


@dataclass
class _Bin:
    starts: int = 0
    ends: int = 0
    start_seconds: float = 0.0  # sums of the times themselves
    end_seconds: float = 0.0
    retried: int = 0

    def add(self, other: _Bin) -> None:
        self.starts += other.starts
        self.ends += other.ends
        self.start_seconds += other.start_seconds
        self.end_seconds += other.end_seconds
        self.retried += other.retried


@dataclass
class Stretch:
    """A piece of a provider's time, in seconds since the run's first start. ``in_flight``: requests, on average."""

    start: float
    end: float
    in_flight: float
    retried: int


@dataclass
class Pause:
    """A time without a request of a provider in flight; ``everyone``: none of any other provider either. Seconds."""

    provider: str
    start: float
    end: float
    everyone: bool


class Timeline:
    """Adds up the answers' times in bins, which become wider as the run becomes longer, so memory is bounded. For one thread."""

    def __init__(self) -> None:
        self._width = _FIRST_WIDTH
        self._bins: dict[str, dict[int, _Bin]] = defaultdict(dict)
        self._first: float | None = None
        self._last = 0.0
        self.timed = self.untimed = 0

    def add(self, row: RecordRow) -> None:
        """Add a record; one without times, or from the cache, is only counted."""
        if row.started is None or row.finished is None or row.cached:
            self.untimed += 1
            return
        self.timed += 1
        start, end = row.started.timestamp(), row.finished.timestamp()
        self._first = start if self._first is None else min(self._first, start)
        self._last = max(self._last, end)
        bins = self._bins[row.provider or "?"]
        self._bin(bins, start).add(_Bin(starts=1, start_seconds=start, retried=int((row.attempts or 1) > 1)))
        self._bin(bins, end).add(_Bin(ends=1, end_seconds=end))
        if len(bins) > _MAX_BINS:
            self._widen()

    def _bin(self, bins: dict[int, _Bin], time: float) -> _Bin:
        return bins.setdefault(int(time // self._width), _Bin())

    def _widen(self) -> None:
        self._width *= 2
        for provider, bins in self._bins.items():
            wider: dict[int, _Bin] = {}
            for place, content in bins.items():
                wider.setdefault(place // 2, _Bin()).add(content)
            self._bins[provider] = wider

    @property
    def seconds(self) -> float:
        """From the first start to the last end."""
        return 0.0 if self._first is None else self._last - self._first

    def providers(self) -> list[str]:
        """Those with a time, in the order in which they came."""
        return list(self._bins)

    def stretches(self, provider: str) -> Iterator[Stretch]:
        """A provider's time without gaps, from its first start to its last end. Each is a bin, or the time between two."""
        origin, width, level, before = self._first or 0.0, self._width, 0, None
        for place, content in sorted(self._bins[provider].items()):
            start, end = place * width, (place + 1) * width
            if before is not None and before < place:
                yield Stretch(before * width - origin, start - origin, float(level), 0)
            area = level * width
            area += content.starts * end - content.start_seconds - (content.ends * end - content.end_seconds)
            yield Stretch(max(0.0, start - origin), end - origin, max(0.0, area / width), content.retried)
            level += content.starts - content.ends
            before = place + 1

    def pauses(self) -> list[Pause]:
        """The longest times without a request in flight, by provider and in order."""
        idle = {provider: list(self._idle(provider)) for provider in self._bins}
        shortest = max(_MIN_PAUSE, 2 * self._width, _MIN_PAUSE_SHARE * self.seconds)
        pauses = [
            Pause(provider, start, end, all(self._is_idle(other, start, end, idle) for other in idle if other != provider))
            for provider, times in idle.items()
            for start, end in times
            if end - start >= shortest
        ]
        longest = sorted(pauses, key=lambda pause: pause.start - pause.end)[:MAX_PAUSES]
        return sorted(longest, key=lambda pause: (pause.start, pause.provider))

    def _idle(self, provider: str) -> Iterator[tuple[float, float]]:
        for is_idle, pieces in itertools.groupby(self.stretches(provider), lambda piece: piece.in_flight < 1e-9):
            together = list(pieces)
            if is_idle:
                yield together[0].start, together[-1].end

    def _is_idle(self, provider: str, start: float, end: float, idle: dict[str, list[tuple[float, float]]]) -> bool:
        """Whether a provider had nothing in flight in a time, but for a bin at each end."""
        pieces = list(self.stretches(provider))
        outside = end <= pieces[0].start or start >= pieces[-1].end
        slack = self._width
        return outside or any(first <= start + slack and last >= end - slack for first, last in idle[provider])
