"""``concurrency: auto``: how many requests a provider takes at once is found out.

The limit grows by one for each round of answers (additive increase). The first of a burst of refusals, a 429 or an overload, cuts
it below the number in flight that was refused; no other one of the burst does. That number is remembered, and tried again after a
while only. A failure that is no sign of load changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llm_sync.attempts.shared_numbers import LocalStore, Numbers, Store
from llm_sync.errors import ProviderUnavailableError, RateLimitError
from llm_sync.runtime import clock

CUT = 0.9  # of the largest number that was not refused
_OVERLOADED = (429, 503, 529)
_FIRST_PROBE_S, _MAX_PROBE_S = 30.0, 600.0  # how long the remembered number is not exceeded; doubles with each refusal there


class AutoConcurrency:
    """Between ``low`` and ``high`` requests in flight, over all processes that share the ``store``. Any thread may call it."""

    def __init__(
        self, low: int, high: int, store: Store | None = None, clock: Callable[[], float] = clock.now, latency: float = 0.05
    ) -> None:
        self.low, self.high = low, high
        self.store: Any = store or LocalStore()
        self._clock = clock
        self._latency = latency  # seconds of an attempt, on average

    @property
    def limit(self) -> int:
        """How many may be in flight now."""
        return self.store.change(self._limit)  # type: ignore[no-any-return]

    def enter(self) -> float | None:
        """Take a place, or say after how many seconds to ask again. None: taken."""

        def step(numbers: Numbers) -> float | None:
            limit, in_flight = self._limit(numbers), numbers.get("in_flight", 0)
            if in_flight + 1 >= limit:
                numbers["full_at"] = self._clock()
            if in_flight < limit:
                numbers["in_flight"] = in_flight + 1
                return None
            return min(max(self._latency / limit, 0.005), 0.25)

        return self.store.change(step)  # type: ignore[no-any-return]

    def leave(self) -> None:
        """Give the place back."""

        def step(numbers: Numbers) -> None:
            numbers["in_flight"] = max(0, numbers.get("in_flight", 0) - 1)

        self.store.change(step)

    def forget_in_flight(self) -> None:
        """In a forked child: the requests in flight are its parent's, which gives their places back."""

        def step(numbers: Numbers) -> None:
            numbers.pop("in_flight", None)

        self.store.change(step)

    def note_full(self) -> None:
        """As many are in flight as may be, or all but one: said by whoever counts them, where no places are taken here."""

        def step(numbers: Numbers) -> None:
            numbers["full_at"] = self._clock()

        self.store.change(step)

    def learn(self, outcome: object, started: float, count_in_flight: Callable[[], int] | None = None) -> None:
        """An attempt that began at ``started`` has ended with a response or an exception.

        ``count_in_flight``: counts the requests in flight, this one included, where no places are taken here.
        """
        self._latency += 0.2 * (self._clock() - started - self._latency)
        if is_overload(outcome):
            self.store.change(lambda numbers: self._cut(numbers, started, count_in_flight))
        elif not isinstance(outcome, BaseException):
            self.store.change(lambda numbers: self._grow(numbers, started))

    def _limit(self, numbers: Numbers) -> int:
        return max(self.low, min(self.high, int(numbers.get("limit", self.low) + 1e-6)))

    def _grow(self, numbers: Numbers, started: float) -> None:
        now, limit = self._clock(), max(float(self.low), numbers.get("limit", float(self.low)))
        _drop_times_of_another_boot(numbers, now)
        if numbers.get("full_at", float("-inf")) < started:
            return  # the limit was not used: nothing is learnt about more
        most = float(self.high)
        if now < numbers.get("probe_at", 0.0):
            most = min(most, numbers.get("ceiling", most))
        numbers["limit"] = max(limit, min(most, limit + 1.0 / max(1, int(limit + 1e-6))))

    def _cut(self, numbers: Numbers, started: float, count_in_flight: Callable[[], int] | None) -> None:
        now = self._clock()
        _drop_times_of_another_boot(numbers, now)
        if started < numbers.get("cut_at", float("-inf")):  # of the same burst
            return
        limit = self._limit(numbers)
        if numbers.get("full_at", float("-inf")) >= started:  # a refusal may come late, when many others have been answered
            refused = limit
        else:
            refused = max(1, int(numbers.get("in_flight", 1)) if count_in_flight is None else count_in_flight())
        ceiling = max(self.low, min(refused, limit + 1) - 1)
        former = numbers.get("ceiling")
        pause = numbers.get("pause", _FIRST_PROBE_S)
        numbers["pause"] = min(2 * pause, _MAX_PROBE_S) if former is not None and ceiling >= former else _FIRST_PROBE_S
        numbers.update(ceiling=ceiling, cut_at=now, probe_at=now + numbers["pause"], limit=max(self.low, CUT * ceiling))


def _drop_times_of_another_boot(numbers: Numbers, now: float) -> None:
    """Forget when things happened if that is in the future: the file is older than the boot, with which the clock began anew."""
    if max(numbers.get("cut_at", now), numbers.get("full_at", now), numbers.get("probe_at", now) - _MAX_PROBE_S) > now:
        for name in ("cut_at", "full_at", "probe_at"):
            numbers.pop(name, None)


def is_overload(outcome: object) -> bool:
    """Whether an attempt was refused for load: a rate limit, or an overload that the status tells."""
    if isinstance(outcome, RateLimitError):
        return True
    return isinstance(outcome, ProviderUnavailableError) and outcome.status in _OVERLOADED
