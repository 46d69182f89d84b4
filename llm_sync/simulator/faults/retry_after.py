"""Every form in which a provider says when to come back (header or body, and the unit), and the standing of a limit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from email.utils import formatdate
from typing import Any, NamedTuple

Headers = dict[str, str]


class Standing(NamedTuple):
    """How one limit stands: ``kind`` is requests or tokens, ``full`` the seconds until all of it is there again."""

    kind: str
    limit: int
    remaining: int
    full: float


class Hint(NamedTuple):
    """One form: headers and the members of the error object that it sets, from the seconds to wait and the limit's standing."""

    headers: Callable[[float, Standing], Headers] = lambda _wait, _standing: {}
    members: Callable[[float, Standing], dict[str, Any]] = lambda _wait, _standing: {}
    message: str = ""


def go_duration(seconds: float) -> str:
    """``6ms``, ``8.64s``, ``2m59.56s``, ``1h0m0s``: as Go writes durations, to the millisecond, rounded up."""
    ms = math.ceil(round(seconds * 1000, 6))
    if ms < 1000:
        return f"{ms}ms" if ms else "0s"
    hours, rest = divmod(ms, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    told = f"{decimal(rest / 1000)}s"
    return f"{hours}h{minutes}m{told}" if hours else f"{minutes}m{told}" if minutes else told


def decimal(seconds: float) -> str:
    """Seconds to the millisecond, rounded up, without zeros at the end."""
    return f"{math.ceil(round(seconds * 1000, 6)) / 1000:.3f}".rstrip("0").rstrip(".")


def timestamp(wait: float) -> str:
    """RFC 3339, in whole seconds, rounded up."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(math.ceil(time.time() + wait)))


def _epoch_ms(wait: float) -> str:
    return str(math.ceil((time.time() + wait) * 1000))


def _limit(prefix: str, reset: str, standing: Standing) -> Headers:
    return {
        f"{prefix}-limit-{standing.kind}": str(standing.limit),
        f"{prefix}-remaining-{standing.kind}": str(standing.remaining),
        f"{prefix}-reset-{standing.kind}": reset,
    }


def _cerebras(wait: float, standing: Standing) -> Headers:
    name = "requests-day" if standing.kind == "requests" else "tokens-minute"
    return _limit("x-ratelimit", repr(float(wait)), standing._replace(kind=name))


def _anthropic(wait: float, standing: Standing) -> Headers:
    prefix = f"anthropic-ratelimit-{standing.kind}"
    return {
        f"{prefix}-limit": str(standing.limit),
        f"{prefix}-remaining": str(standing.remaining),
        f"{prefix}-reset": timestamp(wait),
    }


def _platform(wait: float, standing: Standing) -> Headers:
    return {
        "X-RateLimit-Limit": str(standing.limit),
        "X-RateLimit-Remaining": str(standing.remaining),
        "X-RateLimit-Reset": _epoch_ms(wait),
    }


def _retry_info(wait: float, _standing: Standing) -> dict[str, Any]:
    # rounded down, as Google does beside a message with nine decimals
    return {"details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{math.floor(wait)}s"}]}


HINTS: Mapping[str, Hint] = {
    "seconds": Hint(lambda wait, _: {"retry-after": decimal(wait)}),
    "date": Hint(lambda wait, _: {"retry-after": formatdate(math.ceil(time.time() + wait), usegmt=True)}),
    "milliseconds": Hint(lambda wait, _: {"retry-after-ms": str(math.ceil(wait * 1000))}),
    "durations": Hint(lambda wait, standing: _limit("x-ratelimit", go_duration(wait), standing)),  # OpenAI, Groq
    "reset_seconds": Hint(lambda wait, standing: _limit("x-ratelimit", str(math.ceil(wait)), standing)),  # Azure
    "reset_floats": Hint(_cerebras),
    "reset": Hint(lambda wait, _: {"x-ratelimit-reset": str(math.ceil(wait)), "x-ratelimit-remaining": "0"}),  # Together
    "by_size": Hint(  # Mistral
        lambda wait, standing: {
            "ratelimitbysize-limit": str(standing.limit),
            "ratelimitbysize-remaining": "0",
            "ratelimitbysize-reset": str(math.ceil(wait)),
        }
    ),
    "timestamps": Hint(_anthropic),
    "epoch_milliseconds": Hint(  # OpenRouter
        _platform, lambda wait, standing: {"metadata": {"headers": _platform(wait, standing)}}
    ),
    "retry_info": Hint(members=_retry_info),  # Google
    "availability": Hint(  # OpenRouter
        members=lambda wait, _: {
            "availability": {"code": "capacity_exhausted", "retryable": True, "retry_after": float(decimal(wait))}
        }
    ),
    "message": Hint(message=" Please try again in {wait}."),
    "none": Hint(),
}

# What each dialect sends with a 429 when a script says nothing else.
USUAL: Mapping[str, tuple[str, ...]] = {
    "openai": ("durations", "message"),
    "openai-responses": ("durations", "message"),
    "anthropic": ("seconds", "timestamps"),
    "gemini": ("retry_info", "message"),
    "openrouter": ("epoch_milliseconds",),
}
_STANDING: Mapping[str, str] = {"openai": "durations", "openai-responses": "durations", "anthropic": "timestamps"}


def standing_headers(dialect: str, standings: Iterable[Standing]) -> Headers:
    """What a good answer says of the limits it was counted against, in the dialect's own headers."""
    headers: Headers = {}
    for standing in standings:
        if dialect == "openrouter" and standing.kind == "requests":
            headers |= {name.lower(): value for name, value in _platform(standing.full, standing).items()}
        elif dialect in _STANDING:
            headers |= HINTS[_STANDING[dialect]].headers(standing.full, standing)
    return headers
