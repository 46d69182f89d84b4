"""What a provider reports of its rate limits with every answer: OpenAI, Groq, Azure and compatible ones, and Anthropic."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone

from llm_sync.models import LimitLeft, RateLimits
from llm_sync.models.attempts import by_lower_name

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
# Names of the headers: what remains, of how many, until when; of requests and of tokens
_OPENAI = [tuple(f"x-ratelimit-{name}-{kind}" for name in ("remaining", "limit", "reset")) for kind in ("requests", "tokens")]
_CEREBRAS = [(), tuple(f"x-ratelimit-{name}-tokens-minute" for name in ("remaining", "limit", "reset"))]
_ANTHROPIC = [
    tuple(f"anthropic-ratelimit-{kind}-{name}" for name in ("remaining", "limit", "reset")) for kind in ("requests", "tokens")
]


def rate_limits(headers: Mapping[str, str]) -> RateLimits | None:
    """What is left of requests and tokens; None where the headers do not tell, or more than half of both is left."""
    headers = by_lower_name(headers)
    get = headers.get
    if get("x-ratelimit-remaining-requests") is not None or get("x-ratelimit-remaining-tokens") is not None:
        names = _OPENAI
    elif get("anthropic-ratelimit-requests-remaining") is not None:
        names = _ANTHROPIC
    elif get("x-ratelimit-remaining-tokens-minute") is not None:
        names = _CEREBRAS
    else:
        return None
    requests, tokens = _left(headers, names[0]), _left(headers, names[1])
    return None if requests is None and tokens is None else RateLimits(requests, tokens)


def _left(headers: Mapping[str, str], names: tuple[str, ...]) -> LimitLeft | None:
    """One limit; None where a header is missing or no number, and where less than half of it is used: there is room enough."""
    if not names:
        return None
    remaining, limit, reset = names
    try:
        left, most = float(headers[remaining]), float(headers[limit])
    except (KeyError, ValueError):
        return None
    if not 0 <= left < most / 2 or most == float("inf"):
        return None
    seconds = _seconds(headers.get(reset, ""))
    return None if seconds is None else LimitLeft(left, most, seconds)


def _seconds(text: str) -> float | None:
    """Seconds until a limit is full again: a number, a duration as Go writes it, or a time."""
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    match = _DURATION.fullmatch(text)
    if match and text:
        hours, minutes, seconds, milliseconds = (float(part or 0) for part in match.groups())
        return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return max(0.0, (moment - datetime.now(timezone.utc)).total_seconds())
    except (ValueError, TypeError):
        return None
