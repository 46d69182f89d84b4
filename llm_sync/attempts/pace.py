"""The pace of one provider: when the next attempt may be sent, by requests and by tokens per minute.

Each attempt takes its turn when it asks, and waits until then: turns are in the order of asking, over all processes that share
the numbers. Tokens are estimated before an attempt and corrected after it. What a provider reports of its limits delays turns.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from llm_sync.attempts.shared_numbers import LocalStore, Numbers, Store
from llm_sync.models import LimitLeft, PreparedRequest, RateLimits
from llm_sync.runtime import clock

MAX_REPORTED_WAIT_S = 60.0  # the longest that remaining limits delay a turn: a minute's limit is full again then
_FIRST_RATIO, _FIRST_OUTPUT = 0.3, 500.0  # tokens per byte, and tokens of an answer, before the first answer
_WEIGHT = 0.1  # of the latest answer in the averages


class Pace:
    """``concurrency``: the most requests in flight. Any thread may call its methods; times are seconds of ``clock``."""

    def __init__(
        self,
        *,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        concurrency: int = 1,
        store: Store | None = None,
        clock: Callable[[], float] = clock.now,
    ) -> None:
        self._request_s = 0.0 if requests_per_minute is None else 60.0 / requests_per_minute
        self._token_s = 0.0 if tokens_per_minute is None else 60.0 / tokens_per_minute
        self._concurrency = concurrency
        self.store: Any = store or LocalStore()
        self._clock = clock
        self.estimate = TokenEstimate()

    @property
    def counts_tokens(self) -> bool:
        """Whether tokens are limited."""
        return self._token_s > 0

    def take(self, tokens: float = 0.0, within: float | None = None) -> float | None:
        """Take the next turn, for about so many tokens: the seconds until it. None, and none taken, if it is not ``within`` so
        many seconds."""

        def step(numbers: Numbers) -> float | None:
            now = self._now(numbers)
            starts = max(now, *(numbers.get(name, now) for name in ("requests", "tokens")))
            if within is not None and starts - now >= within:
                return None
            if self._request_s:
                numbers["requests"] = starts + self._request_s
            if self._token_s:
                numbers["tokens"] = starts + tokens * self._token_s
            return starts - now

        return self.store.change(step)  # type: ignore[no-any-return]

    def correct(self, tokens: float) -> None:
        """An attempt used so many tokens more, or fewer, than were taken for it."""

        def step(numbers: Numbers) -> None:
            now = self._now(numbers)
            numbers["tokens"] = max(now, numbers.get("tokens", now)) + tokens * self._token_s

        if self._token_s and tokens:
            self.store.change(step)

    def adapt(self, limits: RateLimits, typical_tokens: float) -> None:
        """Move the next turn by what the provider reports: before nothing is left, not after it has refused a request."""
        waits = {
            "requests": _wait(limits.requests, 1.0, self._concurrency - 1),
            "tokens": _wait(limits.tokens, typical_tokens, self._concurrency - 1),
        }
        if not any(waits.values()):
            return

        def step(numbers: Numbers) -> None:
            now = self._now(numbers)
            for name, wait in waits.items():
                if wait:
                    numbers[name] = max(numbers.get(name, now), now + wait)

        self.store.change(step)

    def _now(self, numbers: Numbers) -> float:
        """The time, which is noted. Turns that were noted later than now are forgotten: the clock began anew with a boot."""
        now = self._clock()
        if numbers.get("noted", math.inf) > now:
            numbers.clear()
        numbers["noted"] = now
        return now


def _wait(left: LimitLeft | None, needed: float, others: int) -> float:
    """Seconds until a limit has enough for one more request, when as many ``others`` are under way and not counted yet."""
    if left is None:
        return 0.0
    lacking = needed * (others + 1) - left.remaining
    gone = left.limit - left.remaining
    if lacking <= 0 or gone <= 0 or left.reset <= 0:
        return 0.0
    return min(lacking * left.reset / gone, left.reset, MAX_REPORTED_WAIT_S)


class TokenEstimate:
    """How many tokens a request is about to use, learnt from those that were answered. Any thread may call it: an estimate may
    be a little old."""

    def __init__(self) -> None:
        self._ratio = _FIRST_RATIO
        self._output: float | None = None
        self.typical = 0.0  # tokens of a whole request

    def of(self, request: PreparedRequest) -> float:
        """Tokens in and out."""
        limit = getattr(request.request, "max_tokens", None)
        output = self._output if self._output is not None else float(limit or _FIRST_OUTPUT)
        return len(request.body) * self._ratio + min(output, limit or output)

    def learn(self, request: PreparedRequest, input_tokens: int, output_tokens: int) -> None:
        """A request was answered."""
        if request.body:
            self._ratio += _WEIGHT * (input_tokens / len(request.body) - self._ratio)
        former = self._output if self._output is not None else float(output_tokens)
        self._output = former + _WEIGHT * (output_tokens - former)
        self.typical += _WEIGHT * (input_tokens + output_tokens - self.typical) if self.typical else input_tokens + output_tokens
