"""The seconds after which a provider asks to try again.

The units differ by provider and even by header (durations, seconds, milliseconds, dates, epochs); the forms are those
providers were recorded to send. Read on error replies only: some providers send ``retry-after`` with every answer.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_TRY_AGAIN = re.compile(
    r"(?:try again|retry) (?:in|after) (?:((?:\d+(?:\.\d+)?(?:ms|h|m|s))+)(?![\w.]*\d)|(\d+(?:\.\d+)?) (second|minute)s?\b)",
    re.IGNORECASE,
)
_RESET = re.compile(r"^(?:x|anthropic)-ratelimit-(?:reset-(?P<after>[\w-]+)|(?P<before>[\w-]+)-reset)$")
_RETRY_INFO = "google.rpc.RetryInfo"
_MAX_TIME = 80  # characters of a time: recognizing one takes quadratic time
_MAX_MESSAGE = 2000  # characters of a message that are looked through


def retry_hint(headers: Mapping[str, str], body: Any, *, now: float | None = None) -> float | None:
    """The provider's hint in seconds, or None; never negative, never NaN or infinite.

    The longest of what the dedicated headers say, else what the body says, else when an exhausted limit resets, else the
    wait named in the message. ``now`` is the wall clock (``time.time()``).
    """
    now = time.time() if now is None else now
    lowered = {key.lower(): value for key, value in headers.items()}
    for source in (_direct(lowered, now), _in_body(body, now), _exhausted(lowered, now), _in_message(body)):
        hints = [seconds for seconds in source if seconds is not None and math.isfinite(seconds)]
        if hints:
            return max(0.0, *hints)
    return None


def duration(text: Any) -> float | None:
    """Seconds of ``"17s"``, ``"2m59.56s"``, ``"6ms"``, ``"12.5"`` or a number; None for anything else."""
    if isinstance(text, bool) or not isinstance(text, (str, int, float)):
        return None
    if isinstance(text, str):
        text = text[:_MAX_TIME].strip()
        pieces = _DURATION.findall(text)
        if pieces and "".join(number + unit for number, unit in pieces) == text:
            return sum(float(number) * _UNIT[unit] for number, unit in pieces)
    try:
        return float(text)
    except (ValueError, OverflowError):
        return None


def _direct(headers: Mapping[str, str], now: float) -> Iterator[float | None]:
    milliseconds = duration(headers.get("retry-after-ms"))
    if milliseconds is not None:
        yield _not_negative(milliseconds / 1000)
    after = headers.get("retry-after")
    if after is not None:
        at = _instant(after, now)
        yield _until(after, _date_of(headers) or now) if at is None and duration(after) is None else at


def _in_body(body: Any, now: float) -> Iterator[float | None]:
    for error in _errors(body):
        details = error.get("details")
        for detail in details if isinstance(details, list) else ():
            if isinstance(detail, dict) and str(detail.get("@type", "")).endswith(_RETRY_INFO):
                seconds = duration(detail.get("retryDelay"))
                if seconds is not None:
                    yield seconds + 1  # Google rounds it down: "17s" stands beside "retry in 17.156209832s"
        availability = error.get("availability")
        if isinstance(availability, dict):
            yield _not_negative(duration(availability.get("retry_after")))
        metadata = error.get("metadata")
        inner = metadata.get("headers") if isinstance(metadata, dict) else None
        if isinstance(inner, dict):
            yield from _exhausted({str(key).lower(): str(value) for key, value in inner.items()}, now)


def _exhausted(headers: Mapping[str, str], now: float) -> Iterator[float | None]:
    for limit in ("x-ratelimit", "ratelimit"):
        if f"{limit}-reset" in headers and headers.get(f"{limit}-remaining", "0") == "0":
            yield _instant(headers[f"{limit}-reset"], now)
    if "ratelimitbysize-reset" in headers:  # Mistral's budget of tokens: a request may cost more than what is left
        left, cost = (duration(headers.get(f"ratelimitbysize-{name}", "0")) for name in ("remaining", "query-cost"))
        if not left or left < (cost or 0):
            yield _instant(headers["ratelimitbysize-reset"], now)
    for name, value in headers.items():
        match = _RESET.match(name)
        if match is None:
            continue
        limit = match["after"] or match["before"]
        remaining = headers.get(f"x-ratelimit-remaining-{limit}", headers.get(f"anthropic-ratelimit-{limit}-remaining"))
        if remaining == "0":
            yield _instant(value, now)


def _in_message(body: Any) -> Iterator[float | None]:
    for error in _errors(body):
        message = error.get("message")
        match = _TRY_AGAIN.search(message[:_MAX_MESSAGE]) if isinstance(message, str) else None
        if match:
            yield duration(match[1] or match[2] + match[3][0].lower())


def _instant(text: str, now: float) -> float | None:
    """A reset header: a duration, seconds, an epoch in seconds or milliseconds (distinguished by size), or RFC 3339."""
    seconds = duration(text)
    if seconds is None:
        try:
            at = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
        except ValueError:
            return None
        return max(0.0, at.replace(tzinfo=at.tzinfo or timezone.utc).timestamp() - now)
    if seconds > 1e11:
        seconds /= 1000
    if seconds > 1e9:
        seconds = max(0.0, seconds - now)
    return _not_negative(seconds)


def _until(text: str, now: float) -> float | None:
    """The seconds from ``now`` to an HTTP date."""
    at = _timestamp(text)
    return None if at is None else max(0.0, at - now)


def _date_of(headers: Mapping[str, str]) -> float | None:
    """When the reply was sent, by the provider's clock, which set its Retry-After date and may be hours off."""
    return _timestamp(headers["date"]) if "date" in headers else None


def _timestamp(text: str) -> float | None:
    """The seconds since the epoch of an HTTP date, in any of its forms."""
    try:
        at = parsedate_to_datetime(text[:_MAX_TIME])
        return at.replace(tzinfo=at.tzinfo or timezone.utc).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _not_negative(seconds: float | None) -> float | None:
    return seconds if seconds is not None and seconds >= 0 else None


def _errors(body: Any) -> Iterator[dict[str, Any]]:
    for item in body if isinstance(body, list) else (body,):
        error = item.get("error") if isinstance(item, dict) else None
        if isinstance(error, dict):
            yield error
