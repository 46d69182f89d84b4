"""The seconds after which a provider asks to try again.

The units differ by provider and even by header (durations, seconds, milliseconds, dates, epochs); the forms are those
providers were recorded to send. Read on error replies only: some providers send ``retry-after`` with every answer.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Any

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_UNITS = {
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "毫": 0.001,
    "秒": 1.0,
    "分": 60.0,
    "小": 3600.0,
    "天": 86400.0,
}
_SPAN = re.compile(
    r"(?<![\d.])(\d{1,9}(?:\.\d{1,20})?) ?(?:(ms|milli)(?:seconds?)?|(s|m|h|d)(?:ecs?|econds?|ins?|inutes?|rs?|ours?|ays?)?|"
    r"(毫|秒|分|小|天)[秒钟时]?)(?![A-Za-z])",
    re.IGNORECASE,
)
_SPANS = rf"((?:{_SPAN.pattern}(?: ?(?:,|and) ?| )?){{1,5}})"
_TRY_AGAIN = re.compile(
    r"(?:try(?:ing)? again|retry(?:ing)?|available(?: again)?|resets?|wait)(?: (?:in|after|for))?(?: (?:about|at least))? "
    rf"{_SPANS}|{_SPANS}(?:之|以)?后|等待 ?{_SPANS}",
    re.IGNORECASE,
)
_BARE_SECONDS = re.compile(r"retry[-_ ]after['\"]?[:=] ?(\d+(?:\.\d+)?)(?![\w.])", re.IGNORECASE)
_DATE = r"(\d{4}-\d\d-\d\d)(?: at |[T ])(\d\d:\d\d(?::\d\d)?)(?:\.\d+)? ?(Z|UTC|GMT|[+-]\d\d:\d\d)?"
_COMES_BACK = re.compile(
    rf"(?:resets?|regain access|try again|available)\b[^\d\n]{{0,24}}{_DATE}|{_DATE}[^\d\n]{{0,4}}重置", re.IGNORECASE
)
_BEIJING = timezone(timedelta(hours=8))  # z.ai names no zone
# Fields of bodies that name a wait, and the seconds of their unit; and those that name an instant.
_WAIT_FIELDS = {
    "retry_after": 1.0,
    "retryafter": 1.0,
    "retry_after_seconds": 1.0,
    "retryafterseconds": 1.0,
    "retry_after_ms": 0.001,
    "retryafterms": 0.001,
    "resets_in_seconds": 1.0,
    "reset_after": 1.0,
    "estimated_time": 1.0,  # Hugging Face, of a model that is being loaded
}
_RESET_FIELDS = ("resets_at", "reset_at", "resetsat", "resetat", "reset_time")
_TEXT_FIELDS = frozenset(
    {"message", "msg", "detail", "details", "error", "errors", "error_msg", "error_message", "errormessage", "error_description",
     "status_msg", "description", "title", "raw", "faultstring", "fault", "base_resp", "metadata", "response"}
)  # fmt: skip
_RESET = re.compile(r"^(?:x|anthropic)-ratelimit-(?:reset-(?P<after>[\w-]+)|(?P<before>[\w-]+)-reset)$")
_RETRY_INFO = "google.rpc.RetryInfo"
_MAX_TIME = 80  # characters of a time: recognizing one takes quadratic time
_MAX_MESSAGE = 2000  # characters of a message that are looked through


def retry_hint(headers: Mapping[str, str], body: Any, *, now: float | None = None) -> float | None:
    """The provider's hint in seconds, or None; never negative, never NaN or infinite.

    The longest of what the dedicated headers say, else what fields of the body say, else when an exhausted limit resets, else
    the wait or the date that its text names. ``now`` is the wall clock (``time.time()``).
    """
    now = time.time() if now is None else now
    lowered = {key.lower(): value for key, value in headers.items()}
    for source in (_direct(lowered, now), _in_body(body, now), _exhausted(lowered, now), _in_text(body), _named_date(body, now)):
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
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        milliseconds = duration(headers.get(name))
        if milliseconds is not None:
            yield _not_negative(milliseconds / 1000)
    after = headers.get("retry-after")
    if after is not None:
        at = _instant(after, now)
        yield _until(after, _date_of(headers) or now) if at is None and duration(after) is None else at


def _in_body(body: Any, now: float) -> Iterator[float | None]:
    for item in _objects(body):
        for name, value in item.items():
            field = name.lower() if isinstance(name, str) else ""
            if field in _WAIT_FIELDS:
                seconds = duration(value)
                yield None if seconds is None else _not_negative(seconds * _WAIT_FIELDS[field])
            elif field in _RESET_FIELDS and isinstance(value, (str, int, float)):
                yield _instant(str(value)[:_MAX_TIME], now)
        if str(item.get("@type", "")).endswith(_RETRY_INFO):
            seconds = duration(item.get("retryDelay"))
            if seconds is not None:
                yield seconds + 1  # Google rounds it down: "17s" stands beside "retry in 17.156209832s"
        metadata = item.get("metadata")
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


def _in_text(body: Any) -> Iterator[float | None]:
    for text in _texts(body):
        match = _TRY_AGAIN.search(text)
        if match:
            yield sum(_seconds(span) for span in _SPAN.finditer(match[0]))
        bare = _BARE_SECONDS.search(text)
        if bare:
            yield float(bare[1])


def _seconds(span: re.Match[str]) -> float:
    unit = (span[2] or span[3] or span[4]).lower()
    return float(span[1]) * _UNITS["ms" if unit == "milli" else unit]


def _named_date(body: Any, now: float) -> Iterator[float | None]:
    for text in _texts(body):
        match = _COMES_BACK.search(text)
        if match:
            day, clock, zone = (match[place] or match[place + 3] for place in (1, 2, 3))
            try:
                at = datetime.fromisoformat(f"{day}T{clock}{'' if zone in (None, 'Z', 'UTC', 'GMT') else zone}")
            except ValueError:
                continue
            at = at.replace(tzinfo=at.tzinfo or (timezone.utc if zone else _BEIJING))
            yield max(0.0, at.timestamp() - now)


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


def _objects(value: Any, depth: int = 5) -> Iterator[dict[Any, Any]]:
    """The objects of a body, from the outside in."""
    if isinstance(value, dict):
        yield value
    items = islice(value.values() if isinstance(value, dict) else value if isinstance(value, list) else (), 50)
    for item in items if depth else ():
        yield from _objects(item, depth - 1)


def _texts(value: Any, depth: int = 5) -> Iterator[str]:
    """What a body says in words, cut; other fields may repeat the prompt."""
    if isinstance(value, str):
        yield value[:_MAX_MESSAGE]
    items = value[:20] if isinstance(value, list) else ()
    if isinstance(value, dict):
        items = [item for name, item in value.items() if isinstance(name, str) and name.lower() in _TEXT_FIELDS]
    for item in items if depth else ():
        yield from _texts(item, depth - 1)
