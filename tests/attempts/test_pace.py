"""The pace by requests and tokens: over several processes, against a provider that enforces it, and moved by what it reports."""

from __future__ import annotations

import heapq
import random
from pathlib import Path
from typing import Any

import pytest

from llm_sync.attempts.pace import Pace, TokenEstimate
from llm_sync.machine.folder import SharedDirectory
from llm_sync.machine.shared_numbers import FileStore
from llm_sync.models import LimitLeft, ModelRequest, PreparedRequest, RateLimits
from llm_sync.simulator.faults.rate_limits import RateLimiter


class Clock:
    """Time that a test lets pass."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The clock."""
    return Clock()


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SharedDirectory:
    """A folder that processes share."""
    (tmp_path / "run").mkdir(mode=0o700)
    monkeypatch.setenv("LLM_SYNC_RUNTIME_DIR", str(tmp_path / "run"))
    return SharedDirectory(lambda: "0123456789abcdef" * 4)


def prepared(size: int, max_tokens: int | None = None) -> PreparedRequest:
    """A request with a body of so many bytes."""
    request = ModelRequest("x", "m", max_tokens=max_tokens)
    return PreparedRequest("p", "openai", "m", "POST", "u", b"x" * size, {}, None, request)  # type: ignore[arg-type]


def test_turns_are_in_the_order_of_asking(clock: Clock) -> None:
    """Each takes its own, whoever asks."""
    pace = Pace(requests_per_minute=60, clock=clock)
    assert [pace.take() for _ in range(3)] == [0, 1, 2]
    clock.now += 1.5
    assert pace.take() == 1.5


def test_the_slower_of_both_paces_counts(clock: Clock) -> None:
    """A long request holds the next ones back by its tokens."""
    pace = Pace(requests_per_minute=60, tokens_per_minute=6000, clock=clock)
    assert [pace.take(tokens) for tokens in (500, 50, 50, 50)] == [0, 5, 6, 7]


def test_a_turn_that_would_come_too_late_is_not_taken(clock: Clock) -> None:
    """Others get it."""
    pace = Pace(requests_per_minute=6, clock=clock)
    assert [pace.take(), pace.take(within=5), pace.take(within=11)] == [0, None, 10]


@pytest.mark.parametrize("pace", [{"requests_per_minute": 0.01}, {"tokens_per_minute": 1000}])
def test_a_turn_may_be_hours_ahead(clock: Clock, pace: dict[str, float]) -> None:
    """A slow pace is kept all the same."""
    slow = Pace(**pace, clock=clock)
    assert [slow.take(100_000), slow.take(100_000), slow.take(100_000)] == [0, 6000, 12_000]


def test_any_number_of_requests_may_wait_for_their_turns(clock: Clock) -> None:
    """Each comes after the one before, also where the last one waits for more than an hour."""
    pace = Pace(requests_per_minute=1, clock=clock)
    assert [pace.take() for _ in range(100)] == [60 * number for number in range(100)]


def test_what_was_estimated_is_corrected(clock: Clock) -> None:
    """By what was used; a pace that was idle saves nothing up."""
    pace = Pace(tokens_per_minute=6000, clock=clock)
    pace.take(1000)
    pace.correct(-500)
    assert pace.take(100) == 5
    pace.correct(200)
    clock.now += 60
    assert [pace.take(100), pace.take(100)] == [0, 1]


def test_processes_share_their_turns(clock: Clock, directory: SharedDirectory) -> None:
    """Through a file."""
    first, second = (Pace(requests_per_minute=60, store=FileStore(directory, "pace"), clock=clock) for _ in range(2))
    assert [first.take(), second.take(), first.take()] == [0, 1, 2]


def test_numbers_of_before_a_boot_or_of_another_program_are_none(clock: Clock, directory: SharedDirectory) -> None:
    """A clock that begins anew would wait for days."""
    pace = Pace(requests_per_minute=60, store=FileStore(directory, "pace"), clock=clock)
    clock.now = 1e6
    pace.take()
    clock.now = 10.0
    assert pace.take() == 0
    Path(directory.create(), "pace").write_text('["what"]')
    assert pace.take() == 0


def test_a_folder_that_cannot_be_used_leaves_the_pace_to_the_process(clock: Clock, tmp_path: Path, directory: Any) -> None:
    """With a warning, and without an error."""
    pace = Pace(requests_per_minute=60, store=FileStore(directory, "no/such/folder"), clock=clock)
    assert [pace.take(), pace.take()] == [0, 1]


def simulate_load(clock: Clock, paces: list[Pace], limiter: RateLimiter, seconds: float, *, seed: int) -> tuple[int, int]:
    """Events of processes with four requests each under way, without real time: (tokens answered, requests refused)."""
    chance = random.Random(seed)  # noqa: S311  (no secret)
    estimates = [TokenEstimate() for _ in paces]
    began, answered, refused = clock.now, 0, 0
    events: list[tuple[float, int, int, str, Any]] = []
    number = 0

    def plan(at: float, process: int, what: str, about: Any) -> None:
        nonlocal number
        number += 1
        heapq.heappush(events, (at, number, process, what, about))

    for process in range(len(paces)):
        for _ in range(4):
            plan(clock.now, process, "ask", None)
    while events and events[0][0] < began + seconds:
        clock.now, _, process, what, about = heapq.heappop(events)
        if what == "ask":
            body = prepared(chance.randint(400, 8000), 600)
            tokens = estimates[process].of(body)
            plan(clock.now + (paces[process].take(tokens) or 0.0), process, "send", (body, tokens))
        elif what == "send":
            body, tokens = about
            used = (len(body.body) // 4, chance.randint(20, 600))
            if limiter.spend("key", sum(used)) is not None:
                refused += 1
                used = (0, 0)
            plan(clock.now + chance.uniform(0.2, 6.0), process, "answer", (body, tokens, used))
        else:
            body, tokens, used = about
            answered += sum(used)
            if any(used):
                estimates[process].learn(body, *used)
            paces[process].correct(sum(used) - tokens)
            plan(clock.now, process, "ask", None)
    return answered, refused


@pytest.mark.parametrize("minutes", [10])
def test_eight_processes_meet_no_refusal_and_use_what_there_is(clock: Clock, directory: SharedDirectory, minutes: int) -> None:
    """Ten minutes of load against a provider that enforces the tokens: at least 95 % of them are used."""
    limit = 60_000
    for seed in range(3):
        clock.now += 10_000.0
        paces = [Pace(tokens_per_minute=limit, store=FileStore(directory, f"pace{seed}"), clock=clock) for _ in range(8)]
        limiter = RateLimiter({"tokens_per_minute": limit}, clock=clock)
        answered, refused = simulate_load(clock, paces, limiter, minutes * 60.0, seed=seed)
        assert refused == 0
        assert answered >= 0.95 * limit * minutes


# What a provider reports


@pytest.mark.parametrize(
    ("left", "wait"),
    [
        (LimitLeft(30, 100, 42.0), 0),  # room for those under way and one more
        (LimitLeft(0, 100, 60.0), 2.4),  # four, at 0.6 s each
        (LimitLeft(2, 100, 58.8), 1.2),
        (LimitLeft(0, 2, 10.0), 10.0),  # all of it is not enough for all: at most until it is full
        (LimitLeft(0, 100_000, 86_400.0), 3.456),
        (LimitLeft(0, 1, 3600.0), 60.0),  # a minute at most
        (LimitLeft(0, 100, 0.0), 0),  # it is full at once
    ],
)
def test_the_next_turn_waits_until_there_is_room(clock: Clock, left: LimitLeft, wait: float) -> None:
    """For one more request, while three others are under way that the provider has not counted yet."""
    pace = Pace(concurrency=4, clock=clock)
    pace.adapt(RateLimits(left, None), 100)
    assert pace.take() == pytest.approx(wait)


def test_tokens_that_are_left_count_as_well(clock: Clock) -> None:
    """By what a request usually takes."""
    pace = Pace(clock=clock)
    pace.adapt(RateLimits(None, LimitLeft(400, 6000, 56.0)), 1000)
    assert pace.take() == pytest.approx(6.0)


def test_an_estimate_learns_from_answers() -> None:
    """It begins with a guess, and never expects more than the limit of the answer."""
    estimate = TokenEstimate()
    assert estimate.of(prepared(1000, 50)) == pytest.approx(350)
    for _ in range(100):
        estimate.learn(prepared(1000), 250, 80)
    assert estimate.of(prepared(2000)) == pytest.approx(580, rel=0.01)
    assert estimate.of(prepared(2000, 10)) == pytest.approx(510, rel=0.01)
    assert estimate.typical == pytest.approx(330, rel=0.01)
