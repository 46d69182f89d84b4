"""The retry policy, over the real gate, with a clock and a random source the test turns; one case waits for real."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_sync.attempts.rate_gate import TOO_LATE, Gate
from llm_sync.attempts.retry import JITTER, MAX_RETRY_AFTER_S, RetryHandler
from llm_sync.errors import (
    AuthenticationError,
    ClientClosedError,
    LLMConnectorError,
    ProviderConnectionError,
    ProviderError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitError,
    RequestTimeoutError,
)
from llm_sync.events import Event, Retrying, Waiting
from llm_sync.models import AttemptOptions
from llm_sync.runtime.cancellation import CallControl
from llm_sync.runtime.steps import run


def call(handler: RetryHandler, attempt: Callable[[int, float], Any], options: AttemptOptions, control: CallControl) -> Any:
    """Run one request whose attempts are a plain function, and wait in this thread for what its steps need."""

    def steps(number: int, timeout: float) -> Any:
        return attempt(number, timeout)
        yield  # makes it a generator

    return run(handler.steps(steps, options, control))


class Clock:
    """Monotonic seconds that pass only when the test advances them."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


class Control(CallControl):
    """A control whose waits turn the clock; ``during`` runs in the middle of every wait."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(key=7)
        self.clock = clock
        self.waits: list[float] = []
        self.during: Callable[[], None] = lambda: None

    def wait(self, seconds: float) -> bool:
        """Advance the clock, unless stopped."""
        self.waits.append(seconds)
        self.during()
        if not self.stopped:
            self.clock.now += seconds
        return self.stopped


class Bench:
    """A handler with everything around it; ``script`` is what the attempts do: errors to raise, or values to return."""

    def __init__(self, *script: Any, random: float = 0.0, lasting: float = 0.0, **gate: Any) -> None:
        self.clock = Clock()
        self.control = Control(self.clock)
        self.events: list[Event] = []
        self.gate = Gate("acme", clock=self.clock, random=lambda: 0.0, **gate)
        self.handler = RetryHandler(self.gate, provider="acme", emit=self.events.append, clock=self.clock, random=lambda: random)
        self.script = list(script)
        self.lasting = lasting
        self.attempts: list[tuple[int, float, float]] = []  # number, timeout, when

    def attempt(self, number: int, timeout: float) -> Any:
        """Run the next step of the script."""
        self.attempts.append((number, timeout, self.clock.now))
        self.clock.now += min(self.lasting, timeout)
        outcome = self.script.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def call(self, **options: Any) -> Any:
        """Run one request."""
        return call(self.handler, self.attempt, AttemptOptions(**options), self.control)

    def fail(self, **options: Any) -> LLMConnectorError:
        """Run one request that has to fail; what it raised."""
        with pytest.raises(LLMConnectorError) as caught:
            self.call(**options)
        return caught.value


def limited(retry_after: Any = None, **attributes: Any) -> RateLimitError:
    """A 429."""
    return RateLimitError("slow down", provider="acme", retry_after=retry_after, **attributes)


def down(retry_after: Any = None) -> ProviderUnavailableError:
    """A 503."""
    return ProviderUnavailableError("overloaded", retry_after=retry_after)


def timed_out(phase: str | None, seconds: float = 2.0) -> RequestTimeoutError:
    """An attempt cut off after some seconds."""
    return RequestTimeoutError("too slow", phase=phase, elapsed=(seconds,))


# --- what is tried again ---


def test_a_success_is_returned_at_once() -> None:
    """The first attempt gets number 1 and the whole timeout, and nothing waits."""
    bench = Bench("answer")
    assert bench.call(timeout=30) == "answer"
    assert bench.attempts == [(1, 30, 1000.0)]
    assert bench.control.waits == []
    assert bench.events == []


def test_retryable_errors_are_tried_again() -> None:
    """Attempts are numbered on until one succeeds."""
    bench = Bench(limited(), down(), ProviderConnectionError("broke"), "answer")
    assert bench.call(max_retries=3) == "answer"
    assert [number for number, _, _ in bench.attempts] == [1, 2, 3, 4]


@pytest.mark.parametrize("max_retries", [0, 1, 3])
def test_retries_are_bounded(max_retries: int) -> None:
    """After the first attempt come max_retries more, then the last error itself, with the number of attempts."""
    errors = [down() for _ in range(10)]
    bench = Bench(*errors)
    error = bench.fail(max_retries=max_retries)
    assert error is errors[max_retries]
    assert error.attempts == max_retries + 1 == len(bench.attempts)
    assert error.__cause__ is None


@pytest.mark.parametrize(
    "error",
    [AuthenticationError("no"), QuotaExceededError("spent", retry_after=1.0), limited(retryable=False), ProviderError("?")],
)
def test_final_errors_are_not_tried_again(error: LLMConnectorError) -> None:
    """Only ``retryable`` True is retried, whatever the class; the first failure may be the last."""
    bench = Bench(error, "never")
    assert bench.fail() is error
    assert error.attempts == 1


def test_an_unknown_retryability_is_final() -> None:
    """None is not True."""
    error = LLMConnectorError("unknown")
    assert Bench(error, "never").fail() is error


def test_a_final_error_after_a_retry_ends_the_request() -> None:
    """The retry loop stops at the first error that is final, and counts what came before."""
    bench = Bench(down(), AuthenticationError("no"), "never")
    error = bench.fail()
    assert isinstance(error, AuthenticationError)
    assert error.attempts == 2


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, MemoryError, ValueError, TimeoutError])
@pytest.mark.parametrize("before", [0, 1])
def test_foreign_exceptions_pass_untouched(kind: type[BaseException], before: int) -> None:
    """Ctrl-C, exit and programming errors are never retried nor wrapped, on the first attempt or a later one."""
    error = kind("mine")
    bench = Bench(*[down() for _ in range(before)], error, "never")
    with pytest.raises(kind) as caught:
        bench.call()
    assert caught.value is error
    assert not hasattr(error, "attempts")
    assert len(bench.attempts) == before + 1


def test_a_stop_iteration_is_never_taken_for_the_end() -> None:
    """Attempts are steps of a generator, out of which Python lets a StopIteration come as a RuntimeError only."""
    error = StopIteration("mine")
    with pytest.raises(RuntimeError) as caught:
        Bench(down(), error, "never").call()
    assert caught.value.__cause__ is not None


def test_a_foreign_exception_that_claims_to_be_retryable_is_not() -> None:
    """The attribute counts on this library's errors alone."""

    class Foreign(Exception):
        retryable = True

    bench = Bench(down(), Foreign(), "never")
    with pytest.raises(Foreign):
        bench.call()


@pytest.mark.parametrize(("phase", "again"), [("connect", True), ("headers", False), ("body", False), (None, False)])
def test_timeouts_that_may_be_billed_are_retried_only_if_wanted(phase: str | None, again: bool) -> None:
    """With retry_timeouts off only a connect timeout is retried, and the error says why."""
    assert Bench(timed_out(phase), "answer").call() == "answer"
    bench = Bench(timed_out(phase), "answer")
    if again:
        assert bench.call(retry_timeouts=False) == "answer"
    else:
        error = bench.fail(retry_timeouts=False)
        assert error.retryable is True
        assert "retry_timeouts" in str(error.guidance)


def test_a_gateways_own_timeout_is_retried_whatever_retry_timeouts_says() -> None:
    """A 504 says that no answer was delivered, so trying again bills nothing twice."""
    gateway = timed_out(None)
    gateway.status = 504
    assert Bench(gateway, "answer").call(retry_timeouts=False) == "answer"


def test_elapsed_has_one_entry_for_every_attempt() -> None:
    """A timeout that ends the request lists how long each attempt took, including those that failed otherwise."""
    bench = Bench(timed_out("body", 2.5), down(), timed_out("connect", 0.5), lasting=3)
    error = bench.fail(max_retries=2)
    assert isinstance(error, RequestTimeoutError)
    assert error.elapsed == (2.5, 3.0, 0.5)


# --- waits ---


def test_back_off_doubles_up_to_its_cap() -> None:
    """With the random source at its top the waits are the ceilings of full jitter."""
    bench = Bench(*[down() for _ in range(6)], "answer", random=1.0)
    bench.call(max_retries=6, retry_base=1, retry_cap=10)
    assert bench.control.waits == [1, 2, 4, 8, 10, 10]


def test_back_off_is_fully_jittered() -> None:
    """A wait is anything from nothing to its ceiling."""
    for random in (0.0, 0.25):
        bench = Bench(down(), down(), "answer", random=random)
        bench.call(retry_base=8, retry_cap=60)
        assert bench.control.waits == [8 * random, 16 * random]


def test_ten_thousand_retries_overflow_nothing() -> None:
    """The exponent stays within a float."""
    bench = Bench(*[down() for _ in range(2000)], "answer")
    assert bench.call(max_retries=10_000) == "answer"


@pytest.mark.parametrize("error", [limited, down, lambda hint: ProviderConnectionError("broke", retry_after=hint)])
def test_a_hint_is_the_least_wait(error: Callable[[float], LLMConnectorError]) -> None:
    """The server's hint counts where it is longer than the back-off."""
    bench = Bench(error(7.0), "answer")
    bench.call(retry_base=1)
    assert bench.control.waits == [7.0]


def test_a_hint_never_shortens_the_back_off() -> None:
    """A hint shorter than the back-off changes nothing."""
    bench = Bench(limited(0.5), "answer", random=1.0)
    bench.call(retry_base=20)
    assert bench.control.waits == [20]


def test_requests_with_the_same_retry_after_are_spread() -> None:
    """Jitter is added to the hint, never taken from it."""
    bench = Bench(limited(10.0), "answer", random=0.5)
    bench.call(retry_base=1)
    assert bench.control.waits == [10 + 10 * JITTER * 0.5]


@pytest.mark.parametrize(
    "hint",
    [
        float("nan"),
        -3.0,
        float("inf"),
        -float("inf"),
        1.76e9,
        1.7e12,
        10**400,
        MAX_RETRY_AFTER_S + 1,
        "30",
        "soon",
        [5],
        object(),
    ],
)
def test_impossible_hints_are_ignored(hint: Any) -> None:
    """NaN, negative, infinite, an epoch, text: the back-off decides, and the provider is not cooled down."""
    bench = Bench(limited(hint), "answer", random=1.0)
    cooled: list[float] = []
    bench.gate.cool_down = lambda seconds, cause: cooled.append(seconds)  # type: ignore[method-assign]
    assert bench.call(retry_base=3) == "answer"
    assert bench.control.waits == [3]
    assert cooled == []


def test_an_hour_ends_the_request_on_its_error() -> None:
    """A Retry-After over max_retry_after: no wait, the error stays retryable and says how long the provider asks for."""
    cause = limited(3600.0, guidance="Lower the rate.")
    bench = Bench(cause, "never")
    error = bench.fail(max_retry_after=60)
    assert error is cause
    assert (error.retryable, error.retry_after, error.attempts) == (True, 3600.0, 1)
    assert str(error.guidance).startswith("Lower the rate. ")
    assert "3600 s" in str(error.guidance)
    assert bench.control.waits == []


def test_a_hint_of_exactly_max_retry_after_is_waited_out() -> None:
    """The limit itself is allowed."""
    bench = Bench(limited(60.0), "answer")
    assert bench.call(max_retry_after=60) == "answer"
    assert bench.control.waits == [60]


@pytest.mark.parametrize(
    ("error", "cooled"),
    [
        (limited(50.0), True),
        (down(50.0), True),
        (limited(50.0, retryable=False), True),
        (limited(), False),
        (ProviderConnectionError("broke", retry_after=50.0), False),
        (QuotaExceededError("spent", retry_after=50.0), False),
        (timed_out("body"), False),
    ],
)
def test_a_hint_holds_back_the_whole_provider(error: LLMConnectorError, cooled: bool) -> None:
    """A rate limit's or an overload's hint cools the gate down for everyone, even if this request is not retried."""
    bench = Bench(error)
    bench.fail(max_retries=0)
    assert (bench.gate.cooling_down_until is not None) == cooled
    other = Control(bench.clock)
    bench.script = ["answer"]
    assert call(bench.handler, bench.attempt, AttemptOptions(), other) == "answer"
    assert other.waits == ([50.0] if cooled else [])


def test_after_an_hour_s_hint_later_requests_fail_unsent() -> None:
    """The next request of the provider ends at once with an error of the same class and no attempt made."""
    bench = Bench(limited(3600.0), "never")
    bench.fail()
    error = bench.fail()
    assert isinstance(error, RateLimitError)
    assert (error.attempts, error.retryable, error.retry_after) == (0, True, 3600.0)
    assert len(bench.attempts) == 1


def test_a_cool_down_that_begins_during_back_off_ends_the_request() -> None:
    """The gate's refusal is final, counts the attempts made, and has the request's own last error as its cause."""
    own = down()
    bench = Bench(own, "never", random=1.0)
    bench.control.during = lambda: bench.gate.cool_down(3600, limited())
    error = bench.fail()
    assert isinstance(error, RateLimitError)
    assert error.attempts == 1
    assert error.__cause__ is own
    assert bench.control.waits == [1.0]


def test_every_attempt_enters_the_gate_and_leaves_it_before_waiting() -> None:
    """A slot is held for attempts, not for back-offs."""
    log: list[str] = []

    @contextmanager
    def slot(control: Any, until: float | None) -> Iterator[bool]:
        log.append("in")
        try:
            yield True
        finally:
            log.append("out")

    bench = Bench(down(), down(), "answer", slot=slot)
    bench.control.during = lambda: log.append("wait")
    bench.call()
    assert log == ["in", "out", "wait", "in", "out", "wait", "in", "out"]


def test_the_pace_counts_retries() -> None:
    """With six a minute no two attempts start within ten seconds."""
    bench = Bench(down(), down(), "answer", requests_per_minute=6)
    bench.call()
    assert [when for _, _, when in bench.attempts] == [1000, 1010, 1020]


# --- the deadline ---


def test_the_deadline_bounds_each_attempt() -> None:
    """An attempt is given its timeout, or what is left of the deadline where that is less."""
    bench = Bench(timed_out("body"), timed_out("body"), "answer", lasting=40)
    bench.call(timeout=60, deadline=100)
    assert [timeout for _, timeout, _ in bench.attempts] == [60, 60, 20]
    assert Bench("answer").call(timeout=60, deadline=10) == "answer"


def test_the_first_attempt_is_bounded_by_the_deadline_too() -> None:
    """A deadline shorter than the timeout counts from the first attempt."""
    bench = Bench("answer")
    bench.call(timeout=60, deadline=10)
    assert bench.attempts[0][1] == 10


def test_no_wait_reaches_the_deadline() -> None:
    """A wait that would end at or after the deadline is not begun: the last error comes at once, naming the deadline."""
    cause = limited(30.0, guidance="Lower the rate.")
    bench = Bench(cause, "never")
    error = bench.fail(deadline=30)
    assert error is cause
    assert bench.control.waits == []
    assert "Lower the rate. " in str(error.guidance)
    assert "deadline of 30 s" in str(error.guidance)
    assert Bench(limited(30.0), "answer").call(deadline=30.5) == "answer"


def test_a_deadline_spent_by_an_attempt_ends_the_request() -> None:
    """When the attempt itself used the time up, no other follows even without any wait."""
    bench = Bench(timed_out("body", 10.0), "never", lasting=60)
    error = bench.fail(timeout=60, deadline=10)
    assert isinstance(error, RequestTimeoutError)
    assert "deadline of 10 s" in str(error.guidance)
    assert error.elapsed == (10.0,)


def test_a_turn_after_the_deadline_is_not_waited_for() -> None:
    """The gate's waits count too: a pace that gives a turn too late ends the request on its last error."""
    cause = down()
    bench = Bench(cause, "never", requests_per_minute=1)
    error = bench.fail(deadline=50)
    assert error is cause
    assert error.attempts == 1
    assert "deadline of 50 s" in str(error.guidance)
    assert bench.clock.now < 1050
    assert [type(event) for event in bench.events] == [Retrying, Waiting]


def test_a_slot_that_comes_after_the_deadline_is_not_used() -> None:
    """Time the gate took is looked at again before the attempt."""

    @contextmanager
    def slow(control: Any, until: float | None) -> Iterator[bool]:
        bench.clock.now += 20
        yield True

    cause = down()
    bench = Bench(cause, "never", slot=slow)
    assert bench.fail(deadline=15) is cause
    assert len(bench.attempts) == 1


def test_queueing_at_the_gate_does_not_count() -> None:
    """The deadline begins with the first attempt, not while a cool-down holds it back."""
    bench = Bench("answer")
    bench.gate.cool_down(50, limited())
    assert bench.call(deadline=10, timeout=60) == "answer"
    assert bench.attempts == [(1, 10, 1050.0)]


@pytest.mark.parametrize("deadline", [0.0, -1.0, float("nan")])
def test_a_deadline_spent_before_anything_is_a_timeout(deadline: float) -> None:
    """Without any error to raise it is a RequestTimeoutError naming the deadline, and nothing is sent."""
    bench = Bench("never")
    error = bench.fail(deadline=deadline)
    assert isinstance(error, RequestTimeoutError)
    assert (error.provider, error.attempts, bench.attempts) == ("acme", 0, [])
    assert "deadline" in str(error)


# --- being stopped ---


def test_stopped_before_the_first_attempt() -> None:
    """Nothing is sent."""
    bench = Bench("never")
    bench.control.stop_retrying()
    error = bench.fail()
    assert isinstance(error, ClientClosedError)
    assert (error.attempts, bench.attempts) == (0, [])


def test_stopped_during_a_wait() -> None:
    """ClientClosedError comes at once, with the attempts made and the last error as its cause."""
    cause = down()
    bench = Bench(cause, "never", random=1.0)
    bench.control.during = bench.control.stop_retrying
    error = bench.fail()
    assert isinstance(error, ClientClosedError)
    assert error.attempts == 1
    assert error.__cause__ is cause
    assert bench.clock.now == 1000
    assert len(bench.attempts) == 1


def test_stopped_during_an_attempt_that_fails() -> None:
    """No retry is announced or made."""
    bench = Bench()
    cause = down()

    def attempt(number: int, timeout: float) -> str:
        bench.control.stop_retrying()
        raise cause

    with pytest.raises(ClientClosedError) as caught:
        call(bench.handler, attempt, AttemptOptions(), bench.control)
    assert caught.value.__cause__ is cause
    assert bench.events == []


def test_stopped_while_a_retry_waits_at_the_gate() -> None:
    """The gate's ClientClosedError counts the attempts made and has the last error as its cause."""
    cause = down()
    bench = Bench(cause, "never", requests_per_minute=6)
    bench.control.during = lambda: bench.control.stop_retrying() if len(bench.control.waits) == 2 else None
    error = bench.fail()
    assert isinstance(error, ClientClosedError)
    assert (error.attempts, error.__cause__) == (1, cause)


def test_stopped_during_an_attempt_that_succeeds() -> None:
    """A paid answer is not thrown away."""
    bench = Bench()

    def attempt(number: int, timeout: float) -> str:
        bench.control.stop_retrying()
        return "answer"

    assert call(bench.handler, attempt, AttemptOptions(), bench.control) == "answer"


# --- events, imports, memory ---


def test_each_retry_emits_events() -> None:
    """A Retrying event names the failed attempt and its error, a Waiting event follows with the seconds, before the wait."""
    bench = Bench(limited(4.0), timed_out("body"), "answer")
    calls: list[int] = []
    bench.control.during = lambda: calls.append(len(bench.events))
    bench.call()
    assert [(type(event), event.provider, event.key) for event in bench.events] == [
        (Retrying, "acme", 7),
        (Waiting, "acme", 7),
    ] * 2
    first, second, third, _ = bench.events
    assert isinstance(first, Retrying)
    assert (first.number, first.error, first.message) == (1, "RateLimitError", "slow down")
    assert isinstance(second, Waiting)
    assert (second.seconds, second.reason) == (4.0, "retry")
    assert isinstance(third, Retrying)
    assert (third.number, third.error) == (2, "RequestTimeoutError")
    assert calls == [2, 4]


def test_a_retry_shows_the_first_line_of_a_trace() -> None:
    """Some servers put a whole trace into the message; the error keeps it."""
    bench = Bench(ProviderUnavailableError("\nInternal error\n  File x.py, line 1\n", retryable=True), "answer")
    bench.call()
    retrying = bench.events[0]
    assert isinstance(retrying, Retrying)
    assert retrying.message == "Internal error"


def test_tenacity_is_loaded_by_the_first_retry_only() -> None:
    """Neither a success nor a final error pays for the import."""
    script = """
import sys
from llm_sync.attempts.rate_gate import Gate
from llm_sync.errors import AuthenticationError, ProviderUnavailableError
from llm_sync.models import AttemptOptions
from llm_sync.runtime.cancellation import CallControl
from llm_sync.attempts.retry import RetryHandler
from llm_sync.runtime.steps import run

handler, control = RetryHandler(Gate("acme"), provider="acme"), CallControl()
def call(outcome):
    def attempt(number, timeout):
        if outcome:
            raise outcome("failed")
        yield from ()
    try:
        run(handler.steps(attempt, AttemptOptions(max_retries=0), control))
    except outcome or ():
        pass
    return "tenacity" in sys.modules
print(call(None), call(AuthenticationError), call(ProviderUnavailableError))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["False", "False", "True"]


def test_transport_imports_no_dispatch() -> None:
    """The gate comes in as an object."""
    script = "import sys, llm_sync.attempts.retry; print(any(name.startswith('llm_sync.dispatch') for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False"


def test_a_final_failure_keeps_nothing_alive() -> None:
    """Once the error is dropped the attempt, and the prompt with it, is freed without the cycle collector."""

    class Prompt:
        pass

    def fail() -> weakref.ref[Prompt]:
        prompt = Prompt()

        def attempt(number: int, timeout: float) -> None:
            raise AuthenticationError(f"no to {prompt is None}")

        with pytest.raises(AuthenticationError) as caught:
            call(RetryHandler(Gate("acme"), provider="acme"), attempt, AttemptOptions(), CallControl())
        del caught
        return weakref.ref(prompt)

    gc.collect()
    gc.disable()
    try:
        assert fail()() is None
    finally:
        gc.enable()


def test_one_wait_for_real() -> None:
    """With the real clock, control and gate a hint of 0.2 s is waited out, and not much more."""
    handler = RetryHandler(Gate("acme"), provider="acme")
    outcomes = [limited(0.2), None]
    started = time.monotonic()

    def attempt(number: int, timeout: float) -> float:
        outcome = outcomes.pop(0)
        if outcome:
            raise outcome
        return time.monotonic() - started

    assert 0.2 <= call(handler, attempt, AttemptOptions(retry_base=0.01), CallControl()) < 2


# --- the promises, whatever happens ---

hints = st.one_of(st.none(), st.floats(0, 200), st.sampled_from([float("nan"), float("inf"), -1.0, 1.76e9]))
failures = st.tuples(
    st.sampled_from(["limited", "down", "broke", "connect", "body"]), hints, st.floats(0, 150, allow_subnormal=False)
)


@settings(max_examples=300, deadline=None)
@given(
    script=st.lists(failures, max_size=8),
    randoms=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=5),
    timeout=st.floats(0.5, 130),
    deadline=st.floats(0.5, 700),
    max_retries=st.integers(0, 6),
    retry_base=st.floats(0, 30),
    max_retry_after=st.floats(0, 120),
    pace=st.one_of(st.none(), st.floats(0.5, 600)),
)
def test_no_wait_is_too_short_or_too_long(
    script: list[tuple[str, float | None, float]],
    randoms: list[float],
    pace: float | None,
    **options: Any,
) -> None:
    """Never sooner than the hint, never past the deadline, never more than max_retries + 1 attempts, never off the pace."""
    clock = Clock()
    control = Control(clock)
    draws = iter(randoms * 100)
    gate = Gate("acme", requests_per_minute=pace, clock=clock, random=lambda: next(draws))
    handler = RetryHandler(gate, provider="acme", clock=clock, random=lambda: next(draws))
    started: list[float] = []
    not_before = 0.0  # infinite after a hint over max_retry_after: then no attempt may follow at all

    def attempt(number: int, timeout: float) -> str:
        nonlocal not_before
        started.append(clock.now)
        assert number == len(started) <= options["max_retries"] + 1
        assert clock.now >= not_before
        assert 0 < timeout <= options["timeout"]
        assert clock.now + timeout <= started[0] + options["deadline"] + 1e-6
        if not script:
            return "answer"
        kind, hint, lasting = script.pop(0)
        clock.now += min(lasting, timeout)
        if hint is not None and 0 <= hint <= MAX_RETRY_AFTER_S:
            not_before = clock.now + hint if hint <= options["max_retry_after"] else float("inf")
        raise {
            "limited": limited(hint),
            "down": down(hint),
            "broke": ProviderConnectionError("broke", retry_after=hint),
            "connect": RequestTimeoutError("slow", phase="connect", retry_after=hint),
            "body": RequestTimeoutError("slow", phase="body", retry_after=hint),
        }[kind]

    failure: LLMConnectorError | None = None
    try:
        call(handler, attempt, AttemptOptions(**options), control)
    except LLMConnectorError as error:
        failure = error
    if failure is not None:
        assert failure.attempts == len(started)
    if isinstance(failure, RequestTimeoutError):
        assert len(failure.elapsed) == len(started)
    assert clock.now <= started[0] + options["deadline"] + 1e-6
    if pace is not None:
        assert all(later - earlier >= 60 / pace - 1e-6 for earlier, later in pairwise(started))


# --- connections that the provider had closed ---


def stale() -> ProviderConnectionError:
    """The provider had closed the idle connection before the request reached it."""
    return ProviderConnectionError("closed", stale_connection=True, possibly_billed=1)


def test_a_stale_connection_is_retried_at_once() -> None:
    """No back-off: the provider is up; the retry is counted and announced like any other."""
    bench = Bench(stale(), "answer", random=1.0)
    assert bench.call(retry_base=30) == "answer"
    assert bench.control.waits == [0]
    assert [event.number for event in bench.events if isinstance(event, Retrying)] == [1]


def test_a_stale_connection_takes_a_retry() -> None:
    """Without retries it is final; with one, what follows is."""
    assert Bench(stale(), "never").fail(max_retries=0).attempts == 1
    bench = Bench(stale(), down(), "never", random=1.0)
    assert isinstance(bench.fail(max_retries=1), ProviderUnavailableError)
    assert len(bench.attempts) == 2


def test_possibly_billed_attempts_are_summed_up() -> None:
    """On the error that ends the request, and on the control for a request that is answered in the end."""
    broken = ProviderConnectionError("broken", possibly_billed=1)
    assert Bench(stale(), down(), broken, "never").fail(max_retries=2).possibly_billed == 2
    bench = Bench(stale(), down(), "answer")
    bench.call()
    assert bench.control.possibly_billed == 1


# --- a process that was stopped ---


@pytest.fixture
def paused(monkeypatch: pytest.MonkeyPatch) -> Callable[[float, float], None]:
    """``paused(start, end)``: the process was stopped between these times of the test's clock."""
    recorded: list[tuple[float, float]] = []
    monkeypatch.setattr("llm_sync.runtime.pauses._pauses", recorded)
    return lambda start, end: recorded.append((start, end))


def test_a_pause_during_the_wait_does_not_use_up_the_deadline(paused: Callable[[float, float], None]) -> None:
    """Stopped for an hour between two attempts: the second still goes, with the time that was left."""
    bench = Bench(down(), "answer", random=1.0)

    def stop() -> None:
        paused(bench.clock.now, bench.clock.now + 3600)
        bench.clock.now += 3600

    bench.control.during = stop
    assert bench.call(timeout=60, deadline=20, retry_base=5) == "answer"
    assert bench.attempts[1] == (2, 15, 1000 + 3605)


def test_a_pause_during_an_attempt_does_not_use_up_the_deadline(paused: Callable[[float, float], None]) -> None:
    """The connection broke while the process was stopped: the retry has the rest of the deadline."""
    bench = Bench()

    def stopped(number: int, timeout: float) -> str:
        if number == 2:
            return f"{timeout:g} s left"
        paused(bench.clock.now, bench.clock.now + 3600)
        bench.clock.now += 3600 + 4
        raise ProviderConnectionError("broken")

    options = AttemptOptions(timeout=60, deadline=20)
    assert call(bench.handler, stopped, options, bench.control) == "16 s left"


def test_a_pause_while_the_gate_holds_a_retry_back_does_not_end_it(paused: Callable[[float, float], None]) -> None:
    """The gate judged by the deadline of before: it is asked again."""
    bench = Bench(down(), "answer")
    admit = bench.gate.admit
    asked: list[float | None] = []

    def late(control: Any, *, max_retry_after: float, until: float | None = None, tokens: float = 0.0) -> Iterator[Any]:
        asked.append(until)
        if len(asked) == 1:
            paused(bench.clock.now, bench.clock.now + 3600)
            bench.clock.now += 3600
            return TOO_LATE
        return (yield from admit(control, max_retry_after=max_retry_after, until=until))

    bench.gate.admit = late  # type: ignore[method-assign]
    assert bench.call(deadline=20) == "answer"
    assert asked == [1020, 1020 + 3600]  # the first attempt has nothing to wait for


def test_a_pause_before_the_first_attempt_is_not_added(paused: Callable[[float, float], None]) -> None:
    """The deadline begins with the first attempt."""
    paused(0, 999)
    bench = Bench(down(), "never", lasting=20)
    assert "deadline of 20 s" in str(bench.fail(timeout=60, deadline=20).guidance)


def test_the_slot_is_left_before_money_is_given_back() -> None:
    """Of an attempt that was stopped before it was sent: whatever becomes of giving the money back, the slot is free."""
    log: list[str] = []

    @contextmanager
    def slot(control: Any, until: float | None) -> Iterator[bool]:
        yield True
        log.append("slot left")

    class Budget:
        def reserve(self, request: object) -> Budget:
            bench.control.stopped = True
            return self

        def release(self) -> None:
            log.append("money given back")
            raise KeyboardInterrupt

    bench = Bench("never", slot=slot)
    bench.handler.spending = Budget()  # type: ignore[assignment]
    steps = bench.handler.steps(bench.attempt, AttemptOptions(), bench.control, object())  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        run(steps)
    assert log == ["slot left", "money given back"]
    assert bench.attempts == []
