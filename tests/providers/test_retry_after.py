"""Retry hints in every unit providers use, and in none."""

from __future__ import annotations

import time
from typing import Any

import pytest

from llm_sync.providers.retry_after import duration, retry_hint

NOW = 1_760_000_000.0  # 2025-10-09T08:53:20Z

DURATIONS = [
    ("6ms", 0.006),
    ("0s", 0),
    ("8.64s", 8.64),
    ("17.399999999s", 17.399999999),
    ("6m0s", 360),
    ("2m59.56s", 179.56),
    ("1h2m3s", 3723),
    ("12", 12),
    ("2.801269292831421", 2.801269292831421),
    (" 5 ", 5),
    (5, 5),
    (0.5, 0.5),
    ("0", 0),
    ("9223372036854767616", 9223372036854767616.0),
]


@pytest.mark.parametrize(("text", "seconds"), DURATIONS)
def test_durations(text: Any, seconds: float) -> None:
    """Go durations, seconds as whole numbers and as floats."""
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", " ", "soon", "5 minutes", "s", "1d", "1s2", "-", "0x10", None, True, [], {}, b"5", "1.2.3", 10**400]
)
def test_what_is_no_duration(text: Any) -> None:
    """Anything else is no time, and no error."""
    assert duration(text) is None


HEADERS: list[tuple[dict[str, str], float | None]] = [
    ({}, None),
    ({"retry-after": "20"}, 20),
    ({"retry-after": "0"}, 0),
    ({"retry-after": "1.5"}, 1.5),
    ({"Retry-After": "20"}, 20),
    ({"retry-after": "Thu, 09 Oct 2025 08:54:00 GMT"}, 40),
    ({"retry-after": "Thu, 09 Oct 2025 08:54:00 -0000"}, 40),
    ({"retry-after": "Thu, 09 Oct 2025 10:54:00 +0200"}, 40),
    ({"retry-after": "Thursday, 09-Oct-25 08:54:00 GMT"}, 40),
    ({"retry-after": "Thu, 09 Oct 2025 08:50:00 GMT"}, 0),  # past
    # A provider's clock may be hours off: its date is read against its own Date
    ({"retry-after": "Thu, 09 Oct 2025 14:00:30 GMT", "date": "Thu, 09 Oct 2025 14:00:00 GMT"}, 30),
    ({"retry-after": "Thu, 09 Oct 2025 02:00:30 GMT", "Date": "Thu, 09 Oct 2025 02:00:00 GMT"}, 30),
    ({"retry-after": "Thu, 09 Oct 2025 14:00:00 GMT", "date": "Thu, 09 Oct 2025 14:00:00 GMT"}, 0),
    ({"retry-after": "Thu, 09 Oct 2025 08:54:00 GMT", "date": "today"}, 40),
    ({"retry-after": "20", "date": "Thu, 09 Oct 2025 14:00:00 GMT"}, 20),
    ({"retry-after-ms": "1500"}, 1.5),
    ({"retry-after-ms": "0", "retry-after": "1"}, 1),  # Azure sends both: the longer one is safe
    ({"retry-after-ms": "soon", "retry-after": "2"}, 2),
    ({"x-ratelimit-reset-requests": "6m0s", "x-ratelimit-remaining-requests": "0"}, 360),
    ({"x-ratelimit-reset-requests": "6m0s", "x-ratelimit-remaining-requests": "5"}, None),  # not what is exhausted
    ({"x-ratelimit-reset-tokens": "7", "x-ratelimit-remaining-tokens": "0"}, 7),  # Azure: plain seconds
    ({"x-ratelimit-reset-tokens": "-1", "x-ratelimit-remaining-tokens": "0"}, None),  # Azure: unknown
    ({"x-ratelimit-reset-tokens-minute": "2.801269292831421", "x-ratelimit-remaining-tokens-minute": "0"}, 2.801269292831421),
    ({"x-ratelimit-reset": "1760000030000"}, 30),  # OpenRouter: epoch milliseconds
    ({"x-ratelimit-reset": "1760000030"}, 30),  # epoch seconds
    ({"x-ratelimit-reset": "1759999000000"}, 0),
    ({"x-ratelimit-reset": "2"}, 2),  # Together: seconds
    ({"x-ratelimit-reset": "2", "x-ratelimit-remaining": "3"}, None),
    ({"anthropic-ratelimit-requests-reset": "2025-10-09T08:54:00Z", "anthropic-ratelimit-requests-remaining": "0"}, 40),
    ({"anthropic-ratelimit-requests-reset": "2025-10-09T08:54:00", "anthropic-ratelimit-requests-remaining": "0"}, 40),
    ({"anthropic-ratelimit-requests-reset": "2025-10-09T08:54:00Z", "anthropic-ratelimit-requests-remaining": "9"}, None),
    ({"retry-after": "3", "x-ratelimit-reset-requests": "6m0s", "x-ratelimit-remaining-requests": "0"}, 3),  # dedicated first
    ({"x-ratelimit-remaining-tokens-day": "9223372036854767616", "retry-after": "3"}, 3),
    ({"retry-after": "1760000060"}, 60),  # an epoch, which cannot be meant as seconds
    ({"retry-after": "2025-10-09T08:54:00Z"}, 40),
    ({"ratelimitbysize-reset": "41", "ratelimitbysize-remaining": "0"}, 41),  # Mistral
    ({"ratelimitbysize-reset": "41", "ratelimitbysize-remaining": "20", "ratelimitbysize-query-cost": "300"}, 41),
    ({"ratelimitbysize-reset": "41", "ratelimitbysize-remaining": "900", "ratelimitbysize-query-cost": "300"}, None),
    ({"ratelimitbysize-reset": "soon", "ratelimitbysize-remaining": "many"}, None),
    ({"ratelimit-reset": "12", "ratelimit-remaining": "0"}, 12),
    ({"ratelimit-reset": "12", "ratelimit-remaining": "5"}, None),
]


@pytest.mark.parametrize(("headers", "seconds"), HEADERS)
def test_headers(headers: dict[str, str], seconds: float | None) -> None:
    """Every header form, by an injected clock."""
    found = retry_hint(headers, None, now=NOW)
    assert found == (None if seconds is None else pytest.approx(seconds, abs=1e-3))


def test_dates_without_a_zone_are_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where this machine stands does not matter."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert retry_hint({"retry-after": "Thu, 09 Oct 2025 08:54:00 -0000"}, None, now=NOW) == pytest.approx(40)
    finally:
        monkeypatch.undo()
        time.tzset()


GARBAGE = [
    "nan",
    "NaN",
    "inf",
    "-inf",
    "Infinity",
    "1e999",
    "-1",
    "-5s",
    "",
    " ",
    "soon",
    "\x00",
    "1" * 5000,
    "1s" * 5000,
    "٣",
    "é",
    "Thu, 99 Foo 2025",
    "Thu, 09 Oct 99999999999 08:54:00 GMT",
    "Thu, 09 Oct 2025 08:54:00 +9999999",
    ",",
    "0000",
    "2025-13-45T99:99:99Z",
]


@pytest.mark.parametrize(
    "name",
    ["retry-after", "retry-after-ms", "x-ratelimit-reset", "x-ratelimit-reset-requests", "anthropic-ratelimit-tokens-reset"],
)
def test_garbage(name: str) -> None:
    """Whatever stands in a header, the hint is a finite, non-negative number or None; in no time."""
    for text in GARBAGE:
        headers = {name: text, "x-ratelimit-remaining-requests": "0", "anthropic-ratelimit-tokens-remaining": "0"}
        body = {"error": {"message": text, "details": [{"@type": "google.rpc.RetryInfo", "retryDelay": text}]}}
        started = time.process_time()
        found = retry_hint(headers, body, now=NOW)
        assert time.process_time() - started < 0.5, text
        assert found is None or 0 <= found < float("inf"), text


def test_negative_and_not_a_number_are_no_hint() -> None:
    """They are passed over, not taken for zero."""
    for text in ("nan", "inf", "-1", "-5s"):
        assert retry_hint({"retry-after": text}, None, now=NOW) is None


BODIES: list[tuple[Any, float | None]] = [
    ({"error": {"details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17s"}]}}, 18),  # rounded down
    ({"error": {"details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.4s"}]}}, 35.4),
    ([{"error": {"details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17s"}]}}], 18),
    ({"error": {"details": [{"@type": "type.googleapis.com/google.rpc.Help", "retryDelay": "17s"}]}}, None),
    ({"error": {"availability": {"retry_after": 40}}}, 40),
    ({"error": {"availability": {"retry_after": -4}}}, None),
    ({"error": {"metadata": {"headers": {"X-RateLimit-Reset": "1760000030000", "X-RateLimit-Remaining": "0"}}}}, 30),
    ({"error": {"metadata": {"headers": {"X-RateLimit-Reset": 1760000030000}}}}, 30),
    ({"error": {"message": "Please retry in 17.156209832s."}}, 17.156209832),
    ({"error": {"message": "Rate limit reached. Please try again in 1m26.4s. Visit"}}, 86.4),
    ({"error": {"message": "Please try again in 20ms."}}, 0.02),
    ({"error": {"message": "Please try again later"}}, None),
    ({"error": {"message": "All providers are at capacity. Retry after 40 seconds."}}, 40),
    ({"error": {"message": "Try again in 1.5 minutes"}}, 90),
    ({"error": {"message": "Try again in 5 monthses"}}, None),
    ({"error": {"message": 5, "details": "x", "availability": [], "metadata": {"headers": []}}}, None),
    ({"error": "try again in 5s"}, 5),
    ("try again in 5s", 5),
    ({"detail": "Retry-After: 30"}, 30),
    ({"message": "retry_after=2.5"}, 2.5),
    ({"base_resp": {"status_msg": "rate limit, please wait 3 seconds"}}, 3),
    ({"detail": [{"msg": "try again in 7 s"}]}, 7),
    ({"error": {"message": "Please wait 5631 seconds before retrying."}}, 5631),
    ({"error": {"message": "Your quota will reset after 2h31m12s."}}, 9072),
    ({"error": {"message": "Please retry after 1 hour and 5 minutes"}}, 3900),
    ({"error": {"message": "Rate limited. Wait 45 minutes before trying again"}}, 2700),
    ({"error": {"message": "try again in 2 days"}}, 172800),
    ({"error": {"message": "Please retry after 500 milliseconds."}}, 0.5),
    ({"error": {"message": "请求过于频繁，请在 30 秒后重试"}}, 30),
    ({"error": {"message": "请等待5分钟"}}, 300),
    ({"error": "Model x is currently loading", "estimated_time": 20.0}, 20),
    ({"error": {"type": "usage_limit_reached", "resets_in_seconds": 120}}, 120),
    ({"error": {"resets_at": NOW + 60}}, 60),
    ({"error": {"resets_at": "2025-10-09T08:54:00Z"}}, 40),
    ({"retryAfterMs": 1500}, 1.5),
    ({"error": {"message": "You will regain access on 2025-10-10 at 00:00 UTC."}}, 54400),
    ({"error": {"message": "Usage limit reached. Your limit will reset at 2025-10-09 16:54:00", "code": "1308"}}, 40),
    ({"error": {"message": "您的限额将在 2025-10-09 16:54:00 重置。"}}, 40),
    ({"error": {"message": "The request timed out after 60 seconds"}}, None),
    ({"error": {"message": "It waited 600 seconds for a slot"}}, None),
    ({"error": {"message": "Retry failed after 3 attempts"}}, None),
    ({"error": {"message": "retry after 3 attempts"}}, None),
    ({"error": {"message": "This model was released on 2025-10-10 at 00:00 UTC."}}, None),
    ({"prompt": "please wait 5 seconds"}, None),
    (None, None),
]


@pytest.mark.parametrize(("body", "seconds"), BODIES)
def test_bodies(body: Any, seconds: float | None) -> None:
    """Hints that stand in error bodies."""
    found = retry_hint({}, body, now=NOW)
    assert found == (None if seconds is None else pytest.approx(seconds))


def test_long_texts_take_no_time() -> None:
    """A hostile body costs no more than an honest one."""
    for text in ("try again in " + "1" * 10**6, "try again in " + "1s" * 10**6 + "1", "1" * 10**6):
        body = {"error": {"message": text, "details": [{"@type": "google.rpc.RetryInfo", "retryDelay": text}]}}
        started = time.process_time()
        retry_hint({}, body, now=NOW)
        assert time.process_time() - started < 0.5


@pytest.mark.parametrize(("kind", "status"), [("anthropic", 200), ("openai", 200)])
def test_hints_are_read_on_errors_only(provider: Any, reply: Any, kind: str, status: int) -> None:
    """Some providers send retry-after with every answer."""
    from llm_sync import errors
    from llm_sync.models import ModelRequest

    made = provider(kind, reply({"content": [], "choices": [{"message": {"content": ""}}]}, status, retry_after="9"))
    with pytest.raises(errors.EmptyResponseError) as caught:
        made.generate_response(ModelRequest("x", "m"))
    assert caught.value.retry_after is None
