"""The one retry policy: which failures are tried again, when, and when to give up."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from llm_sync.errors import (
    LLMConnectorError,
    ProviderUnavailableError,
    RateLimitError,
    RequestTimeoutError,
)
from llm_sync.events import Event, Listener, Retrying, Waiting
from llm_sync.runtime.import_lock import forks_wait

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from llm_sync.models import AttemptOptions
    from llm_sync.runtime.cancellation import CallControl

T = TypeVar("T")

SPREAD = 0.1  # of a hint: workers that were told the same one come back spread over this much more, not in one instant
LONGEST_HINT = 7 * 86400.0  # seconds; windows that waiting cures are a day at most, an epoch taken for seconds is far more


class AttemptGate(Protocol):
    """What every attempt passes through, whoever makes it."""

    def enter(self, control: CallControl, *, max_retry_after: float, until: float | None = None) -> AbstractContextManager[bool]:
        """Wait for a turn and hold it in the ``with`` block; False when it would come at or after monotonic ``until``.

        Raises ClientClosedError when told to stop, another LLMConnectorError when nothing may be sent for too long.
        """

    def cool_down(self, seconds: float, cause: LLMConnectorError) -> None:
        """Hold back every request of this provider for ``seconds``."""


class RetryHandler:
    """Runs the attempts of one provider's requests. Holds no state between calls; any thread may call it."""

    def __init__(
        self,
        gate: AttemptGate,
        *,
        provider: str,
        emit: Listener | None = None,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random.random,
    ) -> None:
        self.gate = gate
        self.provider = provider
        self.emit = emit
        self.clock = clock
        self.random = random

    def call(self, attempt: Callable[[int, float], T], options: AttemptOptions, control: CallControl) -> T:
        """Run ``attempt(number, timeout_seconds)`` until it returns, its error is final, or retries or deadline are spent.

        Only an LLMConnectorError with ``retryable`` True is tried again; it is raised in the end with ``attempts`` set,
        and RequestTimeoutError with ``elapsed`` of every attempt. Told to stop, a waiting request raises
        ClientClosedError with its last error as the cause. Every other exception passes untouched.
        """
        attempts = _Attempts(self, attempt, options, control)
        try:
            try:
                return attempts.make_one()
            except LLMConnectorError as error:
                if not attempts.worth_another(error):
                    raise
            return attempts.make_more()
        except LLMConnectorError as error:
            attempts.sum_up(error)
            raise
        finally:
            attempts.failure = None  # it holds, through its traceback, the frames that hold it


class _Attempts(Generic[T]):
    """The attempts of one request: what was tried, what came of it, and why it ends."""

    def __init__(
        self, policy: RetryHandler, attempt: Callable[[int, float], T], options: AttemptOptions, control: CallControl
    ) -> None:
        self.policy = policy
        self.attempt = attempt
        self.options = options
        self.control = control
        self.made = 0
        self.elapsed: tuple[float, ...] = ()  # seconds, one for each failed attempt
        self.failure: LLMConnectorError | None = None  # what the last attempt ended with
        self.advice = ""  # why a retryable failure is final
        self.ends_at: float | None = None  # monotonic; known once the first attempt goes

    def make_one(self) -> T:
        """Pass the gate and make one attempt."""
        policy, options = self.policy, self.options
        with policy.gate.enter(self.control, max_retry_after=options.max_retry_after, until=self.ends_at) as open_in_time:
            started = policy.clock()
            if self.ends_at is None:
                self.ends_at = started + options.deadline
            left = self.ends_at - started
            if not open_in_time or not left > 0:
                raise self._deadline_spent()
            self.made += 1
            try:
                return self.attempt(self.made, min(options.timeout, left))
            except LLMConnectorError as error:
                self.failure = error
                self.elapsed += getattr(error, "elapsed", ()) or (policy.clock() - started,)
                hint = _hint(error)
                if hint and isinstance(error, (RateLimitError, ProviderUnavailableError)):
                    policy.gate.cool_down(hint, error)
                raise

    def make_more(self) -> T:
        """Hand the first failure to tenacity, which waits, makes further attempts, and raises the last failure."""
        with forks_wait:
            from tenacity import Retrying as Tenacity  # as costly as three starts of Python: who never fails never pays
            from tenacity import retry_if_exception

        first = [self.failure]

        def replay_then_attempt() -> T:
            if first and (failure := first.pop()) is not None:
                raise failure
            return self.make_one()

        retrying = Tenacity(
            retry=retry_if_exception(self.worth_another), wait=self._wait, stop=self._stop, sleep=self._sleep, reraise=True
        )
        return retrying(replay_then_attempt)

    def worth_another(self, error: BaseException) -> bool:
        """Whether ``error`` came from an attempt (not from the gate) and another attempt may do better."""
        if error is not self.failure or self.failure.retryable is not True:
            return False
        # Ours, after bytes were sent: a gateway's own time-out (408, 504, 524) says that no answer was delivered.
        timed_out = isinstance(error, RequestTimeoutError) and error.phase != "connect" and error.status is None
        if timed_out and not self.options.retry_timeouts:
            self.advice = "It is not retried, as retry_timeouts is off: the provider may bill what it did not deliver."
            return False
        hint, limit = _hint(self.failure), self.options.max_retry_after
        if hint > limit:
            self.advice = f"The provider asks to wait {hint:g} s, longer than max_retry_after ({limit:g} s): try again then."
            return False
        return True

    def sum_up(self, error: LLMConnectorError) -> None:
        """Write onto the error that ends the request what all its attempts came to."""
        error.attempts = self.made
        if self.elapsed and isinstance(error, RequestTimeoutError):
            error.elapsed = self.elapsed
        if self.advice:
            error.guidance = f"{error.guidance} {self.advice}" if error.guidance else self.advice
        if self.failure is not None and error is not self.failure and error.__cause__ is None:
            error.__cause__ = self.failure

    def _wait(self, state: RetryCallState) -> float:
        """Full jitter: anything up to the doubled base, but no less than the provider asks for."""
        options, random = self.options, self.policy.random
        ceiling = min(options.retry_cap, options.retry_base * 2.0 ** min(state.attempt_number - 1, 64))
        hint = _hint(self.failure)
        return max(ceiling * random(), hint + hint * SPREAD * random())

    def _stop(self, state: RetryCallState) -> bool:
        if state.attempt_number > self.options.max_retries:
            return True
        if self.ends_at is not None and self.policy.clock() + state.upcoming_sleep >= self.ends_at:
            self.advice = self._deadline_advice()
            return True
        return False

    def _sleep(self, seconds: float) -> None:
        failure, key = self.failure, self.control.key
        if failure is not None and not self.control.stopped:
            provider = self.policy.provider
            most = self.options.max_retries + 1
            self._tell(Retrying(provider, key, self.made, type(failure).__name__, failure.message, most, seconds))
            self._tell(Waiting(provider, key, seconds=seconds, reason="retry"))
        self.control.wait(seconds)  # told to stop, it returns at once, and the gate raises

    def _deadline_spent(self) -> LLMConnectorError:
        self.advice = self._deadline_advice()
        if self.failure is None:
            return RequestTimeoutError("the deadline is spent before the first attempt", provider=self.policy.provider)
        failure, self.failure = self.failure, None  # raised by no attempt this time, so worth no other
        return failure

    def _deadline_advice(self) -> str:
        return f"There is no further attempt within the deadline of {self.options.deadline:g} s: raise it, or lower timeout."

    def _tell(self, event: Event) -> None:
        if self.policy.emit is not None:
            self.policy.emit(event)


def _hint(error: LLMConnectorError | None) -> float:
    """The seconds the provider asks to wait; 0 where it does not, or asks for what cannot be meant (NaN fails each test)."""
    hint = error.retry_after if error is not None else None
    return float(hint) if isinstance(hint, (int, float)) and 0 <= hint <= LONGEST_HINT else 0.0
