from __future__ import annotations

import pytest

from llm_sync import events
from llm_sync.cli.console.in_flight import InFlightRequests, ProviderCounts


@pytest.fixture
def clock() -> list[float]:
    """The time, which tests set."""
    return [100.0]


@pytest.fixture
def requests(clock: list[float]) -> InFlightRequests:
    """The fold, on that clock."""
    return InFlightRequests(max_ended=2, clock=lambda: clock[0])


def descriptions(requests: InFlightRequests) -> list[str]:
    """The words for each request."""
    return [requests.describe(request) for request in requests.requests()]


def test_a_request_from_question_to_answer(requests: InFlightRequests, clock: list[float]) -> None:
    """What waits, what runs, how long, and why it is tried again."""
    requests(events.Queued("p", 1, "m", 1, at=90.0))
    assert descriptions(requests) == ["queued, 10 s"]
    requests(events.Started("p", 1, 10.0, at=95.0))
    requests(events.AttemptStarted("p", 1, 1, at=95.0))
    assert descriptions(requests) == ["in flight, 5 s"]
    requests(events.AttemptEnded("p", 1, 1, 3.0, 503, at=98.0))
    requests(events.Retrying("p", 1, 1, "ProviderUnavailableError", "overloaded", at=98.0))
    requests(events.Waiting("p", 1, 4.0, "retry", at=98.0))
    assert descriptions(requests) == ["waiting for 2 s: overloaded"]
    requests(events.AttemptStarted("p", 1, 2, at=99.0))
    assert descriptions(requests) == ["in flight, 5 s (attempt 2)"]
    requests(events.Finished("p", 1, elapsed=105.0, at=200.0))
    assert descriptions(requests) == ["answered after 1 min 45 s"]


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("cool-down", "waiting for 30 s: the provider asked for a pause"),
        ("pace", "waiting for 30 s: requests_per_minute"),
        ("something new", "waiting for 30 s: something new"),
    ],
)
def test_waits_have_reasons(requests: InFlightRequests, reason: str, words: str) -> None:
    """Also those no retry caused, and those this program does not know."""
    requests(events.Queued("p", 1, "m", 1, at=100.0))
    requests(events.Waiting("p", 1, 30.0, reason, at=100.0))
    assert descriptions(requests) == [words]


def test_waiting_for_another_process_has_no_length(requests: InFlightRequests) -> None:
    """Its length is unknown."""
    requests(events.Queued("p", 1, "m", 1, at=100.0))
    requests(events.Waiting("p", 1, 0.0, "slot", at=100.0))
    assert descriptions(requests) == ["waiting: another process is using this provider"]


def test_failures_and_cancellations(requests: InFlightRequests) -> None:
    """The reason without the names that stand beside it; a request that was never sent did not fail."""
    for key in (1, 2):
        requests(events.Queued("p", key, "m", 1, at=99.0))
    requests(events.Finished("p", 1, "RateLimitError", "p/m: slow down", at=100.0))
    requests(events.Finished("p", 2, "cancelled", at=100.0))
    assert descriptions(requests) == ["failed after 0 s: slow down", "cancelled"]
    assert requests.providers() == {"p": ProviderCounts(failed=1, reason="p/m: slow down")}


def test_counts_by_provider(requests: InFlightRequests) -> None:
    """Where each provider's requests are."""
    for key, provider in enumerate(["a", "a", "a", "b"]):
        requests(events.Queued(provider, key, "m", 1))
    requests(events.Started("a", 0))
    requests(events.Retrying("a", 0, 1, "X", "why"))
    requests(events.Started("a", 1))
    requests(events.Finished("a", 1))
    assert requests.providers() == {
        "a": ProviderCounts(queued=1, in_flight=1, answered=1, retries=1, reason="why"),
        "b": ProviderCounts(queued=1),
    }


def test_what_ended_is_forgotten(requests: InFlightRequests) -> None:
    """All but the latest: a batch of any length takes no more memory than its window."""
    for key in range(1000):
        requests(events.Queued("p", key, "m", 1))
        requests(events.Finished("p", key))
    requests(events.Queued("p", 1000, "m", 1))
    assert len(requests.requests()) == 3
    assert requests.providers()["p"] == ProviderCounts(queued=1, answered=1000)


def test_events_of_unknown_requests_change_nothing(requests: InFlightRequests) -> None:
    """A listener that was added late hears of requests it has not seen begin."""
    requests(events.Started("p", 7))
    requests(events.Adjusted("p", 7, text="x"))
    assert descriptions(requests) == []
