from __future__ import annotations

import pytest

from llm_sync import events
from llm_sync.cli.console.in_flight import ProviderCounts, Underway


@pytest.fixture
def clock() -> list[float]:
    """The time, which tests set."""
    return [100.0]


@pytest.fixture
def underway(clock: list[float]) -> Underway:
    """The fold, on that clock."""
    return Underway(kept=2, clock=lambda: clock[0])


def said(underway: Underway) -> list[str]:
    """The words for each request."""
    return [underway.words(request) for request in underway.requests()]


def test_a_request_from_question_to_answer(underway: Underway, clock: list[float]) -> None:
    """What waits, what runs, how long, and why it is tried again."""
    underway(events.Queued("p", 1, "m", 1, at=90.0))
    assert said(underway) == ["queued, 10 s"]
    underway(events.Started("p", 1, 10.0, at=95.0))
    underway(events.AttemptStarted("p", 1, 1, at=95.0))
    assert said(underway) == ["asked, 5 s"]
    underway(events.AttemptEnded("p", 1, 1, 3.0, 503, at=98.0))
    underway(events.Retrying("p", 1, 1, "ProviderUnavailableError", "overloaded", at=98.0))
    underway(events.Waiting("p", 1, 4.0, "retry", at=98.0))
    assert said(underway) == ["waits for 2 s: overloaded"]
    underway(events.AttemptStarted("p", 1, 2, at=99.0))
    assert said(underway) == ["asked, 5 s (attempt 2)"]
    underway(events.Finished("p", 1, elapsed=105.0, at=200.0))
    assert said(underway) == ["answered after 1 min 45 s"]


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("cool-down", "waits for 30 s: the provider asked for a pause"),
        ("pace", "waits for 30 s: requests_per_minute"),
        ("something new", "waits for 30 s: something new"),
    ],
)
def test_waits_have_reasons(underway: Underway, reason: str, words: str) -> None:
    """Also those no retry caused, and those this program does not know."""
    underway(events.Queued("p", 1, "m", 1, at=100.0))
    underway(events.Waiting("p", 1, 30.0, reason, at=100.0))
    assert said(underway) == [words]


def test_waiting_for_another_process_has_no_length(underway: Underway) -> None:
    """Nobody knows how long it takes."""
    underway(events.Queued("p", 1, "m", 1, at=100.0))
    underway(events.Waiting("p", 1, 0.0, "slot", at=100.0))
    assert said(underway) == ["waits: another process asks this provider"]


def test_failures_and_cancellations(underway: Underway) -> None:
    """The reason without the names that stand beside it; a request that was never sent did not fail."""
    for key in (1, 2):
        underway(events.Queued("p", key, "m", 1, at=99.0))
    underway(events.Finished("p", 1, "RateLimitError", "p/m: slow down", at=100.0))
    underway(events.Finished("p", 2, "cancelled", at=100.0))
    assert said(underway) == ["failed after 0 s: slow down", "cancelled"]
    assert underway.providers() == {"p": ProviderCounts(failed=1, reason="p/m: slow down")}


def test_counts_by_provider(underway: Underway) -> None:
    """Where each provider's requests are."""
    for key, provider in enumerate(["a", "a", "a", "b"]):
        underway(events.Queued(provider, key, "m", 1))
    underway(events.Started("a", 0))
    underway(events.Retrying("a", 0, 1, "X", "why"))
    underway(events.Started("a", 1))
    underway(events.Finished("a", 1))
    assert underway.providers() == {
        "a": ProviderCounts(queued=1, in_flight=1, answered=1, retries=1, reason="why"),
        "b": ProviderCounts(queued=1),
    }


def test_what_ended_is_forgotten(underway: Underway) -> None:
    """All but the latest: a batch of any length takes no more memory than its window."""
    for key in range(1000):
        underway(events.Queued("p", key, "m", 1))
        underway(events.Finished("p", key))
    underway(events.Queued("p", 1000, "m", 1))
    assert len(underway.requests()) == 3
    assert underway.providers()["p"] == ProviderCounts(queued=1, answered=1000)


def test_events_of_unknown_requests_change_nothing(underway: Underway) -> None:
    """A listener that was added late hears of requests it has not seen begin."""
    underway(events.Started("p", 7))
    underway(events.Adjusted("p", 7, text="x"))
    assert said(underway) == []
