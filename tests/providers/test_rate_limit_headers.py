"""What headers tell of rate limits, in the forms of the providers; hostile ones tell nothing."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from llm_sync.models import LimitLeft, RateLimits
from llm_sync.providers.rate_limit_headers import rate_limits


def openai(remaining: str, limit: str, reset: str) -> dict[str, str]:
    """The headers of a limit of requests."""
    return {
        "x-ratelimit-remaining-requests": remaining,
        "x-ratelimit-limit-requests": limit,
        "x-ratelimit-reset-requests": reset,
    }


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        ("6ms", 0.006),
        ("0s", 0),
        ("8.64s", 8.64),
        ("17.399999999s", 17.399999999),
        ("6m0s", 360),
        ("2m59.56s", 179.56),
        ("1h0m3s", 3603),
        ("7", 7),
        ("2.801269292831421", 2.801269292831421),
        ("-1", 0),
    ],
)
def test_durations_of_openai_groq_azure_and_cerebras(reset: str, seconds: float) -> None:
    """As they were recorded."""
    assert rate_limits(openai("3", "100", reset)) == RateLimits(LimitLeft(3, 100, pytest.approx(seconds)), None)


def test_tokens_are_told_beside_requests() -> None:
    """Each by itself."""
    headers = {name.replace("requests", "tokens"): value for name, value in openai("1000", "9000", "53s").items()}
    assert rate_limits({**openai("4000", "5000", "12ms"), **headers}) == RateLimits(None, LimitLeft(1000, 9000, 53))


def test_anthropic_tells_a_time() -> None:
    """In RFC 3339."""
    reset = (datetime.now(timezone.utc) + timedelta(seconds=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    kinds = ("remaining", "2"), ("limit", "50"), ("reset", reset)
    limits = rate_limits({f"anthropic-ratelimit-requests-{name}": value for name, value in kinds})
    assert limits is not None
    assert limits.requests is not None
    assert limits.requests[:2] == (2, 50)
    assert 25 < limits.requests.reset <= 30


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-ratelimit-remaining-requests": "5"},
        openai("nan", "100", "1s"),
        openai("5", "inf", "1s"),
        openai("-5", "100", "1s"),
        openai("5", "x", "1s"),
        openai("5", "100", "soon"),
        openai("5", "100", ""),
        openai("9223372036854767616", "100", "1s"),
        openai("60", "100", "24s"),
    ],
)
def test_anything_else_tells_nothing(headers: dict[str, str]) -> None:
    """Nor does a limit of which more than half is left."""
    assert rate_limits(headers) is None
