"""``concurrency: auto`` finds a limit it is not told, holds it, and takes no failure for load that is none."""

from __future__ import annotations

import heapq
import random
from typing import Any

import pytest

from llm_sync.attempts.auto_concurrency import AutoConcurrency
from llm_sync.attempts.traffic import Traffic
from llm_sync.errors import ProviderConnectionError, ProviderUnavailableError, RateLimitError


class Clock:
    """Time that a test lets pass."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The clock."""
    return Clock()


def rounds(auto: AutoConcurrency, clock: Clock, count: int, outcome: Any = "answer") -> None:
    """So many rounds in which all that may be in flight ends."""
    for _ in range(count):
        started, entered = clock.now, 0
        while auto.enter() is None:
            entered += 1
        clock.now += 1
        for _ in range(entered):
            auto.learn(outcome, started)
            auto.leave()


def test_it_grows_by_one_in_each_round(clock: Clock) -> None:
    """From the lowest to the highest number."""
    auto = AutoConcurrency(2, 6, clock=clock)
    limits = []
    for _ in range(6):
        limits.append(auto.limit)
        rounds(auto, clock, 1)
    assert limits == [2, 3, 4, 5, 6, 6]


def test_a_burst_of_refusals_cuts_once(clock: Clock) -> None:
    """Below the number that was refused."""
    auto = AutoConcurrency(1, 64, clock=clock)
    rounds(auto, clock, 20)
    assert auto.limit == 21
    rounds(auto, clock, 1, RateLimitError("slow", status=429))
    assert auto.limit == 18


@pytest.mark.parametrize(
    "failure",
    [
        ProviderUnavailableError("down", status=500),
        ProviderUnavailableError("down", status=502),
        ProviderConnectionError("broken"),
        ValueError("a bug"),
    ],
)
def test_a_failure_that_is_no_load_changes_nothing(clock: Clock, failure: Exception) -> None:
    """Neither up nor down."""
    auto = AutoConcurrency(1, 64, clock=clock)
    rounds(auto, clock, 9)
    before = auto.limit
    rounds(auto, clock, 3, failure)
    assert auto.limit == before


@pytest.mark.parametrize("status", [503, 529])
def test_an_overload_is_load(clock: Clock, status: int) -> None:
    """As a rate limit is."""
    auto = AutoConcurrency(1, 64, clock=clock)
    rounds(auto, clock, 9)
    rounds(auto, clock, 1, ProviderUnavailableError("overloaded", status=status))
    assert auto.limit < 10


def test_a_number_that_is_not_used_does_not_grow(clock: Clock) -> None:
    """One request at a time proves nothing about ten."""
    auto = AutoConcurrency(4, 64, clock=clock)
    for _ in range(100):
        assert auto.enter() is None
        auto.learn("answer", clock.now)
        auto.leave()
    assert auto.limit == 4


def test_a_late_refusal_cuts_the_number_that_was_refused(clock: Clock) -> None:
    """Not the few that are still in flight when it comes."""
    auto = AutoConcurrency(1, 64, clock=clock)
    rounds(auto, clock, 20)
    started = clock.now
    for _ in range(21):
        assert auto.enter() is None
    clock.now += 1
    for _ in range(18):
        auto.leave()
    auto.learn(RateLimitError("slow", status=429), started)
    assert auto.limit == 18


def test_a_refusal_below_the_limit_cuts_what_was_in_flight(clock: Clock) -> None:
    """Somebody else uses the same key: the number found before tells nothing."""
    auto = AutoConcurrency(1, 64, clock=clock)
    rounds(auto, clock, 20)
    clock.now += 1
    auto.learn(RateLimitError("slow", status=429), clock.now, lambda: 6)
    assert auto.limit == int(0.9 * 5)


def test_where_others_count_the_number_grows_only_if_they_say_that_it_is_used(clock: Clock) -> None:
    """As the machine-wide slots do."""
    auto = AutoConcurrency(2, 64, clock=clock)
    for _ in range(50):
        started, clock.now = clock.now, clock.now + 1
        auto.learn("answer", started, lambda: 1)
    assert auto.limit == 2
    for _ in range(2):
        started, clock.now = clock.now, clock.now + 1
        auto.note_full()
        auto.learn("answer", started, lambda: 2)
    assert auto.limit == 3


def test_numbers_of_another_boot_stop_neither_growth_nor_cuts(clock: Clock) -> None:
    """The clock began anew, the file stayed."""
    auto = AutoConcurrency(1, 64, clock=clock)
    rounds(auto, clock, 20)
    rounds(auto, clock, 1, RateLimitError("slow", status=429))
    clock.now = 5.0
    rounds(auto, clock, 5)
    assert auto.limit > 20
    rounds(auto, clock, 1, RateLimitError("slow", status=429))
    assert auto.limit <= 20


def test_a_forked_child_has_nothing_in_flight(clock: Clock) -> None:
    """Its parent gives the places back that the parent's requests have; here nobody would."""
    traffic = Traffic(auto=AutoConcurrency(1, 8, clock=clock))
    assert traffic.place is not None
    assert traffic.place.enter() is None
    assert traffic.place.enter() is not None
    traffic.reset_after_fork()
    assert traffic.place.enter() is None


def run_against(
    clock: Clock, auto: AutoConcurrency, limit: int, seconds: float, seed: int
) -> tuple[list[tuple[float, int]], int, int]:
    """Load without real time against a provider of so many at once: ((time, limit found) …, answered, refused)."""
    chance = random.Random(seed)  # noqa: S311  (no secret)
    began, in_flight, answered, refused = clock.now, 0, 0, 0
    events: list[tuple[float, int, str, Any]] = [(clock.now, number, "ask", None) for number in range(64)]
    heapq.heapify(events)
    number, found = 64, []
    while events[0][0] < began + seconds:
        clock.now, _, what, about = heapq.heappop(events)
        number += 1
        if what == "ask":
            wait = auto.enter()
            if wait is not None:
                heapq.heappush(events, (clock.now + wait, number, "ask", None))
            elif in_flight >= limit:
                heapq.heappush(events, (clock.now + 0.02, number, "refused", clock.now))
            else:
                in_flight += 1
                heapq.heappush(events, (clock.now + chance.uniform(0.5, 1.5), number, "answered", clock.now))
            continue
        if what == "answered":
            in_flight -= 1
            answered += 1
            auto.learn("answer", about)
        else:
            refused += 1
            auto.learn(RateLimitError("slow", status=429), about)
        auto.leave()
        found.append((clock.now - began, auto.limit))
        heapq.heappush(events, (clock.now, number, "ask", None))
    return found, answered, refused


@pytest.mark.parametrize("limit", [5, 20, 40])
def test_it_finds_a_limit_within_a_minute_and_does_not_hold_over_it(clock: Clock, limit: int) -> None:
    """At least 80 % of it; over ten minutes hardly a request is refused."""
    found, answered, refused = run_against(clock, AutoConcurrency(1, 64, clock=clock), limit, 600.0, seed=limit)
    after = [most for at, most in found if at >= 60]
    assert min(after) >= int(0.8 * limit)
    over = [at for at, most in found if most > limit]
    assert all(any(0 < later - at < 5 for later, most in found if most <= limit) for at in over)
    assert refused <= 0.01 * answered
