"""The breaker: after repeated failures of a provider as a whole it is asked once per growing interval."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm_sync.attempts.breaker import FAILED_ATTEMPTS, FIRST_INTERVAL_S, MAX_INTERVAL_S, SYNC_S, Breaker
from llm_sync.errors import (
    InvalidRequestError,
    LLMConnectorError,
    ProviderConnectionError,
    ProviderUnavailableError,
    RateLimitError,
    RequestTimeoutError,
)
from llm_sync.machine.breakers import SharedBreaker
from llm_sync.machine.folder import SharedDirectory


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    """The time of a test."""
    return Clock()


def down(attempts: int = 1) -> LLMConnectorError:
    """The error of a provider that is down."""
    return ProviderUnavailableError("down", attempts=attempts)


def opened(clock: Clock) -> Breaker:
    """A breaker that is open."""
    breaker = Breaker("openai", now=clock)
    breaker.failed(down(FAILED_ATTEMPTS))
    return breaker


@pytest.mark.parametrize("kind", [ProviderUnavailableError, ProviderConnectionError, RequestTimeoutError])
def test_it_opens_after_failures_in_a_row(clock: Clock, kind: type[LLMConnectorError]) -> None:
    """Attempts count, not requests; the refusal names the provider, the error, and how long."""
    breaker = Breaker("openai", now=clock)
    breaker.failed(kind("no", attempts=FAILED_ATTEMPTS - 1))
    assert breaker.ask() == (None, False)
    breaker.failed(kind("no", attempts=1))
    refusal, probe = breaker.ask()
    assert refusal is not None
    assert not probe
    assert (refusal.provider, refusal.attempts, refusal.retry_after) == ("openai", 0, FIRST_INTERVAL_S)
    assert kind.__name__ in refusal.message
    assert breaker.open_until is not None


def test_a_success_in_between_starts_the_count_again(clock: Clock) -> None:
    """So does any answer of the provider's own, be it an error about the request; a refusal at the gate counts for nothing."""
    breaker = Breaker("openai", now=clock)
    for answered in (None, InvalidRequestError("no", status=400, attempts=1), RateLimitError("slow", status=429, attempts=1)):
        breaker.failed(down(FAILED_ATTEMPTS - 1))
        if answered is None:
            breaker.succeeded()
        else:
            breaker.failed(answered)
        breaker.failed(down(0))
        assert breaker.ask() == (None, False)


def test_one_probe_for_each_interval(clock: Clock) -> None:
    """When the interval is over, one request is let through, and the others wait for the next interval."""
    breaker = opened(clock)
    clock.time += FIRST_INTERVAL_S
    assert breaker.ask() == (None, True)
    refusal, probe = breaker.ask()
    assert refusal is not None
    assert not probe


def test_the_interval_grows_with_failed_probes(clock: Clock) -> None:
    """Each failed probe doubles it, up to a limit; failures of requests that were under way do not."""
    breaker = opened(clock)
    breaker.failed(down(4))
    intervals = []
    for _ in range(9):
        refusal, _ = breaker.ask()
        assert refusal is not None
        assert refusal.retry_after is not None
        intervals.append(refusal.retry_after)
        clock.time += refusal.retry_after
        assert breaker.ask() == (None, True)
        breaker.failed(down(), probe=True)
    assert intervals[:4] == [FIRST_INTERVAL_S, FIRST_INTERVAL_S * 2, FIRST_INTERVAL_S * 4, FIRST_INTERVAL_S * 8]
    assert intervals[-1] == MAX_INTERVAL_S


def test_a_probe_that_never_ends_does_not_block_the_next(clock: Clock) -> None:
    """A cancelled probe tells nothing: the next one follows after the same interval."""
    breaker = opened(clock)
    for _ in range(20):
        clock.time += FIRST_INTERVAL_S
        assert breaker.ask() == (None, True)


def test_a_successful_probe_closes_it(clock: Clock) -> None:
    """From then on the provider is asked as usual, and the count begins anew."""
    breaker = opened(clock)
    clock.time += FIRST_INTERVAL_S
    assert breaker.ask() == (None, True)
    breaker.succeeded()
    assert breaker.ask() == (None, False)
    assert breaker.open_until is None
    breaker.failed(down(FAILED_ATTEMPTS - 1))
    assert breaker.ask() == (None, False)


def test_processes_share_it(clock: Clock, tmp_path: Path) -> None:
    """What one process finds out, the others know soon: that a provider fails, and that it answers again."""
    directory = SharedDirectory(lambda: "0123456789abcdef")
    wall = Clock()
    first, second = (Breaker("openai", shared=SharedBreaker(directory, wall), now=clock) for _ in range(2))
    first.failed(down(FAILED_ATTEMPTS))
    refusal, _ = second.ask()
    assert refusal is not None
    assert refusal.retry_after == pytest.approx(FIRST_INTERVAL_S, abs=0.01)
    wall.time += FIRST_INTERVAL_S
    clock.time += FIRST_INTERVAL_S
    assert second.ask() == (None, True)
    assert first.ask()[0] is not None
    second.succeeded()
    clock.time += SYNC_S
    assert first.ask() == (None, False)


@pytest.mark.parametrize("name", ["breaker.1.2.3", "breaker.99999999999999.5000", "breaker.1000000.999999999", "breaker.x.1"])
def test_implausible_files_are_ignored(name: str) -> None:
    """A file from the future, or with an interval of days, opens nothing."""
    directory = SharedDirectory(lambda: "fedcba9876543210")
    path = Path(directory.create()) / name
    path.touch()
    try:
        assert SharedBreaker(directory, lambda: 1000.0).opened() is None
    finally:
        path.unlink()
