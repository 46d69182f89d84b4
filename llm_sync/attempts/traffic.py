"""How much goes to one provider: its pace, the number in flight that is being found, and what answers tell of both."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from llm_sync.errors import LLMConnectorError
from llm_sync.models import ModelResponse, PreparedRequest, RateLimits
from llm_sync.runtime import clock
from llm_sync.runtime.import_lock import import_lock
from llm_sync.runtime.steps import Steps

if TYPE_CHECKING:
    from llm_sync.attempts.auto_concurrency import AutoConcurrency
    from llm_sync.attempts.pace import Pace

T = TypeVar("T")
_TYPICAL_TOKENS = 1000.0  # of a request, until answers tell


class Traffic:
    """``pace``: None until there is one to keep. ``auto``: None for a fixed number of requests in flight. ``count_in_flight``:
    counts those in flight where the machine-wide slots keep to ``auto``, so that no place has to be taken; else None.
    ``concurrency``: the most in flight.

    Any thread may use it.
    """

    def __init__(
        self,
        *,
        pace: Pace | None = None,
        auto: AutoConcurrency | None = None,
        count_in_flight: Callable[[], int] | None = None,
        concurrency: int = 1,
        clock: Callable[[], float] = clock.now,
    ) -> None:
        self.pace = pace
        self.auto = auto
        self.place = auto if count_in_flight is None else None
        self._count_in_flight = count_in_flight
        self._concurrency = concurrency
        self._clock = clock
        self._making = threading.Lock()  # guards the making of a pace

    def watched(
        self, attempt: Callable[[int, float], Steps[T]], request: PreparedRequest
    ) -> tuple[Callable[[int, float], Steps[T]], float]:
        """The attempt, watched for what is to be learnt from it; about how many tokens it uses, 0.0 where nobody limits them."""
        pace = self.pace
        tokens = pace.estimate.of(request) if pace is not None and pace.counts_tokens else 0.0
        return partial(self._watch, attempt, request, tokens), tokens

    def adapt(self, limits: RateLimits) -> None:
        """Move the pace by what the provider reports. Without a pace to keep, one begins when little is left."""
        if self.pace is None:
            with import_lock:  # most programs never come near a limit
                from llm_sync.attempts.pace import Pace

            with self._making:
                made: Pace | None = self.pace  # another thread may have been faster
                self.pace = Pace(concurrency=self._concurrency, clock=self._clock) if made is None else made
        self.pace.adapt(limits, self.pace.estimate.typical or _TYPICAL_TOKENS)

    def reset_after_fork(self) -> None:
        """In a forked child: locks of its own, and nothing in flight."""
        self._making = threading.Lock()
        for part in (self.pace, self.auto):
            if part is not None:
                part.store.reset_after_fork()
        if self.place is not None:
            self.place.forget_in_flight()

    def _watch(
        self, attempt: Callable[[int, float], Steps[T]], request: PreparedRequest, tokens: float, number: int, timeout: float
    ) -> Steps[T]:
        started = self._clock()
        try:
            outcome = yield from attempt(number, timeout)
        except GeneratorExit:  # a forked child: its parent goes on
            raise
        except BaseException as error:
            self._learn(request, tokens, error, started)
            raise
        self._learn(request, tokens, outcome, started)
        return outcome

    def _learn(self, request: PreparedRequest, tokens: float, outcome: Any, started: float) -> None:
        if self.auto is not None:
            self.auto.learn(outcome, started, self._count_in_flight)
        if self.pace is None:
            return
        response = outcome if isinstance(outcome, ModelResponse) else getattr(outcome, "response", None)
        usage = response.usage if isinstance(response, ModelResponse) else None
        if usage is not None and usage.input_tokens is not None and usage.output_tokens is not None:
            self.pace.estimate.learn(request, usage.input_tokens, usage.output_tokens)
            self.pace.correct(usage.input_tokens + usage.output_tokens - tokens)
        elif isinstance(outcome, LLMConnectorError) and (outcome.status or 0) >= 300:  # refused: nothing was used
            self.pace.correct(-tokens)
