"""The retry policy: which failures are retried, when, and when to give up."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from llm_sync.attempts.spending_hook import Reservation, SpendingHook, reserved, settled
from llm_sync.errors import (
    ClientClosedError,
    LLMConnectorError,
    ProviderConnectionError,
    ProviderUnavailableError,
    RateLimitError,
    RequestTimeoutError,
)
from llm_sync.events import Event, Listener, Retrying, Waiting
from llm_sync.runtime import clock, pauses
from llm_sync.runtime.import_lock import import_lock
from llm_sync.runtime.steps import Blocking, Pause, Steps

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from llm_sync.attempts.rate_gate import Gate, Turn
    from llm_sync.models import AttemptOptions, PreparedRequest
    from llm_sync.runtime.cancellation import CallControl

T = TypeVar("T")
Attempt = Callable[[int, float], Steps[T]]
"""``attempt(number, timeout)``: makes one attempt, within ``timeout`` seconds, in steps."""

JITTER = 0.1  # fraction added at random to a Retry-After, so that waiting workers do not all retry at the same instant
MAX_RETRY_AFTER_S = 7 * 86400.0  # larger ones are ignored: limits are for at most a day, an epoch read as seconds is far more


class RetryHandler:
    """Runs the attempts of one provider's requests. Keeps no state between calls; any thread may call it."""

    def __init__(
        self,
        gate: Gate,
        *,
        provider: str,
        emit: Listener | None = None,
        clock: Callable[[], float] = clock.now,
        random: Callable[[], float] = random.random,
        spending: SpendingHook | None = None,
    ) -> None:
        self.gate = gate
        self.spending = spending
        self.provider = provider
        self.emit = emit
        self.clock = clock
        self.random = random

    def steps(
        self, attempt: Attempt[T], options: AttemptOptions, control: CallControl, request: PreparedRequest | None = None
    ) -> Steps[T]:
        """Make attempts until one succeeds, its error is final, or retries or deadline are used up.

        For attempts of ``request`` what they may cost is reserved, where money is limited.
        Only an LLMConnectorError with ``retryable`` True is retried. The last error is raised with ``attempts`` set, a
        RequestTimeoutError also with ``elapsed`` of every attempt. A request stopped while it waits raises ClientClosedError
        with its last error as the cause. Other exceptions pass through unchanged (a StopIteration, as out of any generator, as
        the cause of a RuntimeError).
        """
        attempts, traffic = _Attempts(self, options, control, request), self.gate.traffic
        if request is not None and (traffic.pace is not None or traffic.auto is not None):
            attempt, attempts.tokens = traffic.watched(attempt, request)
        return attempts.run(attempt)


class _Attempts:
    """The attempts of one request: how many, how long, with which error, and why there is no further one."""

    tokens = 0.0  # about how many each is going to use, where they are limited
    made = 0
    elapsed: tuple[float, ...] = ()  # seconds, one for each failed attempt
    failure: LLMConnectorError | None = None  # the error of the last attempt
    advice = ""  # why a retryable failure is final
    began: float | None = None  # when the attempt under way began, monotonic
    reservation: Reservation | None = None  # of what it may cost
    retries: RetryCallState | None = None  # after the first failure

    def __init__(
        self, policy: RetryHandler, options: AttemptOptions, control: CallControl, request: PreparedRequest | None
    ) -> None:
        self.policy = policy
        self.request = None if policy.spending is None else request  # whose attempts cost money that is limited
        self.options = options
        self.control = control
        self.ends_at = control.ends_at  # monotonic; from the first attempt on, the deadline if that is earlier
        # monotonic; pauses of the process up to here are added to ends_at
        self.pauses_counted_to = 0.0 if control.ends_at is None else policy.clock()

    def run(self, attempt: Attempt[T]) -> Steps[T]:
        """Pass the gate, make one attempt, note its error, and so on until one succeeds or an error is final."""
        try:
            while True:
                is_usual = self.ends_at is None and self.request is None
                turn = (self.policy.gate.admit_at_once(self.control) if is_usual else None) or (yield from self._wait_for_turn())
                try:
                    timeout = self._begin(turn.in_time)
                    if self.reservation is not None:
                        return (yield from settled(attempt, self.reservation, self.made, timeout))
                    return (yield from attempt(self.made, timeout))
                except LLMConnectorError as error:
                    self._note_failure(error)
                    if not self.may_retry(error):
                        raise
                finally:
                    if (unused := self._end(turn)) is not None:  # stopped, or too late, before it was sent
                        yield Blocking(unused.release)
                yield from self._wait_to_retry()
        except LLMConnectorError as error:
            self.annotate(error)
            raise
        finally:
            self.failure = self.retries = None  # its traceback refers to frames that refer to it

    def _wait_for_turn(self) -> Steps[Turn]:
        """Wait for the gate and, where money is limited, for what the attempt may cost."""
        while True:
            if self.ends_at is not None:
                self._add_pauses()
            turn = yield from self.policy.gate.admit(
                self.control, max_retry_after=self.options.max_retry_after, until=self.ends_at, tokens=self.tokens
            )
            seconds: float | None = None
            try:
                if self.ends_at is not None and self._add_pauses() and not turn.in_time:
                    seconds = 0.0  # the process was stopped meanwhile: the gate had an old deadline
                elif self.request is not None and turn.in_time:
                    reservation = yield from reserved(self.policy.spending, self.request)  # type: ignore[arg-type]
                    seconds, self.reservation = (reservation, None) if isinstance(reservation, float) else (None, reservation)
            except BaseException:
                turn.leave()
                raise
            if seconds is None:
                return turn
            turn.leave()
            if seconds:
                yield from self._wait_for_money(seconds)

    def _wait_for_money(self, seconds: float) -> Steps[None]:
        """Wait for what others have reserved: most attempts cost less than they could."""
        if self.ends_at is not None and self.policy.clock() + seconds >= self.ends_at:
            raise self._deadline_error()
        self.control.waiting_for = "budget"
        self._notify(Waiting(self.policy.provider, self.control.key, seconds=seconds, reason="budget"))
        yield Pause(seconds, self.control)

    def _begin(self, in_time: bool) -> float:
        """Begin an attempt; the seconds that it may take. Raises what the request ends with if it may not begin."""
        now = self.policy.clock()
        timeout = min(self.options.timeout, self._time_left(now, in_time))
        if not self.control.start_attempt():
            raise ClientClosedError("the request was stopped before it was sent", provider=self.policy.provider, attempts=0)
        self.made += 1
        self.began = now
        return timeout

    def _end(self, turn: Turn) -> Reservation | None:
        """The attempt has ended, or did not begin: give back what it had. Return what was reserved if it did not begin."""
        unused, self.reservation = self.reservation if self.began is None else None, None
        if self.began is not None:
            self.began = None
            self.control.end_attempt()
        turn.leave()
        return unused

    def _time_left(self, now: float, open_in_time: bool) -> float:
        """Seconds until the deadline, which the first attempt starts. Raises what the request ends with if there are none."""
        if self.ends_at is None or not self.made:
            deadline = now + self.options.deadline
            self.ends_at, self.pauses_counted_to = min(deadline, self.ends_at or deadline), now
        left = self.ends_at - now
        if not open_in_time or not left > 0:
            raise self._deadline_error()
        return left

    def _note_failure(self, error: LLMConnectorError) -> None:
        if self.began is None:  # raised before the attempt, not by it
            return
        self.failure = error
        self.control.possibly_billed += error.possibly_billed
        self.elapsed += getattr(error, "elapsed", ()) or (self.policy.clock() - self.began,)
        wait = _retry_after(error)
        if wait and isinstance(error, (RateLimitError, ProviderUnavailableError)):
            self.policy.gate.cool_down(wait, error)

    def _wait_to_retry(self) -> Steps[None]:
        """Ask tenacity whether and when another attempt follows the failed one, and wait; raise the failure if none does."""
        if self.retries is None:
            with import_lock:
                from tenacity import RetryCallState, retry_if_exception  # slow to import, so imported on the first failure
                from tenacity import Retrying as Tenacity

            policy = Tenacity(retry=retry_if_exception(self.may_retry), wait=self._wait, stop=self._stop, reraise=True)
            self.retries = RetryCallState(policy, None, (), {})
        retries, failure = self.retries, self.failure
        try:
            retries.set_exception((type(failure), failure, None))  # type: ignore[arg-type]
            retries.retry_object.begin()  # its statistics belong to a thread, and another one may have begun this request
            pause: Any = retries.retry_object.iter(retries)  # raises the failure if it is final
        finally:
            failure = None  # its traceback refers to this frame
        retries.prepare_for_next_attempt()
        yield from self._sleep(float(pause))

    def may_retry(self, error: BaseException) -> bool:
        """Whether ``error`` came from an attempt (not from the gate) and another attempt may succeed."""
        if error is not self.failure or self.failure.retryable is not True:
            return False
        # Our own timeout, after bytes were sent. A gateway's (408, 504, 524) is different: it says that no answer was delivered.
        timed_out = isinstance(error, RequestTimeoutError) and error.phase != "connect" and error.status is None
        if timed_out and not self.options.retry_timeouts:
            self.advice = (
                "It is not retried because retry_timeouts is off: the provider may bill an answer that it did not deliver."
            )
            return False
        wait, limit = _retry_after(self.failure), self.options.max_retry_after
        if wait > limit:
            self.advice = f"The provider asks to wait {wait:g} s, longer than max_retry_after ({limit:g} s): try again then."
            return False
        return True

    def annotate(self, error: LLMConnectorError) -> None:
        """Add the number and durations of all attempts, and the advice, to the error that ends the request."""
        error.attempts = self.made
        error.possibly_billed = self.control.possibly_billed
        if self.elapsed and isinstance(error, RequestTimeoutError):
            error.elapsed = self.elapsed
        if self.advice:
            error.guidance = f"{error.guidance} {self.advice}" if error.guidance else self.advice
        if self.failure is not None and error is not self.failure and error.__cause__ is None:
            error.__cause__ = self.failure

    def _wait(self, state: RetryCallState) -> float:
        """Exponential back-off with full jitter, but at least what the provider asks for; none for a stale connection."""
        if isinstance(self.failure, ProviderConnectionError) and self.failure.stale_connection:
            return 0.0
        options, random = self.options, self.policy.random
        ceiling = min(options.retry_cap, options.retry_base * 2.0 ** min(state.attempt_number - 1, 64))
        wait = _retry_after(self.failure)
        return max(ceiling * random(), wait + wait * JITTER * random())

    def _stop(self, state: RetryCallState) -> bool:
        if state.attempt_number > self.options.max_retries:
            return True
        self._add_pauses()
        if self.ends_at is not None and self.policy.clock() + state.upcoming_sleep >= self.ends_at:
            self.advice = self._deadline_advice()
            return True
        return False

    def _sleep(self, seconds: float) -> Steps[None]:
        failure, key = self.failure, self.control.key
        if failure is not None and not self.control.stopped:
            provider = self.policy.provider
            max_attempts = self.options.max_retries + 1
            message = failure.message.strip().partition("\n")[0].rstrip()  # some servers put their traces into it
            self._notify(Retrying(provider, key, self.made, type(failure).__name__, message, max_attempts, seconds))
            self._notify(Waiting(provider, key, seconds=seconds, reason="retry"))
        self.control.waiting_for = "retry"
        yield Pause(seconds, self.control)  # if stopped, this ends at once and the gate raises

    def _add_pauses(self) -> bool:
        """Add the time in which the process was stopped to the deadline; True if there was such time."""
        if self.ends_at is None:
            return False
        now = self.policy.clock()
        paused = pauses.seconds_between(self.pauses_counted_to, now)
        self.ends_at += paused
        self.pauses_counted_to = now
        return paused > 0

    def _deadline_error(self) -> LLMConnectorError:
        self.advice = self._deadline_advice()
        if self.failure is None:
            return RequestTimeoutError("the deadline passed before the first attempt", provider=self.policy.provider)
        failure, self.failure = self.failure, None  # not raised by an attempt this time, so not retried
        return failure

    def _deadline_advice(self) -> str:
        if self.control.ends_at is not None:
            return "There is no further attempt within wait_timeout."
        return f"There is no further attempt within the deadline of {self.options.deadline:g} s: raise it, or lower timeout."

    def _notify(self, event: Event) -> None:
        if self.policy.emit is not None:
            self.policy.emit(event)


def _retry_after(error: LLMConnectorError | None) -> float:
    """Seconds the provider asks to wait; 0 if it does not, or if the value is implausible (NaN fails both comparisons)."""
    wait = error.retry_after if error is not None else None
    return float(wait) if isinstance(wait, (int, float)) and 0 <= wait <= MAX_RETRY_AFTER_S else 0.0
