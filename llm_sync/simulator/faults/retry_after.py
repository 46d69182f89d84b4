"""The forms in which providers say when to retry (headers or body, in various units), and the state of a rate limit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from email.utils import formatdate
from typing import Any, NamedTuple

Headers = dict[str, str]


class LimitState(NamedTuple):
    """The state of a limit. ``kind``: requests or tokens; ``seconds_until_full``: seconds until all of it is available."""

    kind: str
    limit: int
    remaining: int
    seconds_until_full: float


class RetryAfterForm(NamedTuple):
    """One form: functions from the seconds to wait and the limit to headers and to members of the error object, and a text."""

    headers: Callable[[float, LimitState], Headers] = lambda _wait, _standing: {}
    members: Callable[[float, LimitState], dict[str, Any]] = lambda _wait, _standing: {}
    message: str = ""


def go_duration(seconds: float) -> str:
    """A duration as Go writes it, rounded up to milliseconds: ``6ms``, ``8.64s``, ``2m59.56s``, ``1h0m0s``."""
    ms = math.ceil(round(seconds * 1000, 6))
    if ms < 1000:
        return f"{ms}ms" if ms else "0s"
    hours, rest = divmod(ms, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    rest_text = f"{decimal(rest / 1000)}s"
    return f"{hours}h{minutes}m{rest_text}" if hours else f"{minutes}m{rest_text}" if minutes else rest_text


def decimal(seconds: float) -> str:
    """Seconds, rounded up to milliseconds, without trailing zeros."""
    return f"{math.ceil(round(seconds * 1000, 6)) / 1000:.3f}".rstrip("0").rstrip(".")


def timestamp(wait: float) -> str:
    """The time ``wait`` seconds from now (RFC 3339), rounded up to seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(math.ceil(time.time() + wait)))


def _epoch_ms(wait: float) -> str:
    return str(math.ceil((time.time() + wait) * 1000))


def _limit_headers(prefix: str, reset: str, state: LimitState) -> Headers:
    return {
        f"{prefix}-limit-{state.kind}": str(state.limit),
        f"{prefix}-remaining-{state.kind}": str(state.remaining),
        f"{prefix}-reset-{state.kind}": reset,
    }


def _cerebras(wait: float, state: LimitState) -> Headers:
    name = "requests-day" if state.kind == "requests" else "tokens-minute"
    return _limit_headers("x-ratelimit", repr(float(wait)), state._replace(kind=name))


def _anthropic(wait: float, state: LimitState) -> Headers:
    prefix = f"anthropic-ratelimit-{state.kind}"
    return {
        f"{prefix}-limit": str(state.limit),
        f"{prefix}-remaining": str(state.remaining),
        f"{prefix}-reset": timestamp(wait),
    }


def _openrouter(wait: float, state: LimitState) -> Headers:
    return {
        "X-RateLimit-Limit": str(state.limit),
        "X-RateLimit-Remaining": str(state.remaining),
        "X-RateLimit-Reset": _epoch_ms(wait),
    }


def _retry_info(wait: float, _standing: LimitState) -> dict[str, Any]:
    # rounded down, as Google does; its message has nine decimals
    return {"details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{math.floor(wait)}s"}]}


RETRY_AFTER_FORMS: Mapping[str, RetryAfterForm] = {
    "seconds": RetryAfterForm(lambda wait, _: {"retry-after": decimal(wait)}),
    "date": RetryAfterForm(lambda wait, _: {"retry-after": formatdate(math.ceil(time.time() + wait), usegmt=True)}),
    "milliseconds": RetryAfterForm(lambda wait, _: {"retry-after-ms": str(math.ceil(wait * 1000))}),
    "durations": RetryAfterForm(lambda wait, state: _limit_headers("x-ratelimit", go_duration(wait), state)),  # OpenAI, Groq
    "reset_seconds": RetryAfterForm(lambda wait, state: _limit_headers("x-ratelimit", str(math.ceil(wait)), state)),  # Azure
    "reset_floats": RetryAfterForm(_cerebras),
    "reset": RetryAfterForm(
        lambda wait, _: {"x-ratelimit-reset": str(math.ceil(wait)), "x-ratelimit-remaining": "0"}
    ),  # Together
    "by_size": RetryAfterForm(  # Mistral
        lambda wait, state: {
            "ratelimitbysize-limit": str(state.limit),
            "ratelimitbysize-remaining": "0",
            "ratelimitbysize-reset": str(math.ceil(wait)),
        }
    ),
    "timestamps": RetryAfterForm(_anthropic),
    "epoch_milliseconds": RetryAfterForm(  # OpenRouter
        _openrouter, lambda wait, state: {"metadata": {"headers": _openrouter(wait, state)}}
    ),
    "retry_info": RetryAfterForm(members=_retry_info),  # Google
    "availability": RetryAfterForm(  # OpenRouter
        members=lambda wait, _: {
            "availability": {"code": "capacity_exhausted", "retryable": True, "retry_after": float(decimal(wait))}
        }
    ),
    "message": RetryAfterForm(message=" Please try again in {wait}."),
    "none": RetryAfterForm(),
}

# What each dialect sends with a 429 unless a script says otherwise.
DEFAULT_FORMS: Mapping[str, tuple[str, ...]] = {
    "openai": ("durations", "message"),
    "openai-responses": ("durations", "message"),
    "anthropic": ("seconds", "timestamps"),
    "gemini": ("retry_info", "message"),
    "openrouter": ("epoch_milliseconds",),
    "gemini-interactions": ("message",),
    "bedrock": (),  # it says nothing
}
_LIMIT_FORMS: Mapping[str, str] = {"openai": "durations", "openai-responses": "durations", "anthropic": "timestamps"}


def limit_headers(dialect: str, states: Iterable[LimitState]) -> Headers:
    """The rate limit headers of a successful answer, in the dialect's own form."""
    headers: Headers = {}
    for state in states:
        if dialect == "openrouter" and state.kind == "requests":
            headers |= {name.lower(): value for name, value in _openrouter(state.seconds_until_full, state).items()}
        elif dialect in _LIMIT_FORMS:
            headers |= RETRY_AFTER_FORMS[_LIMIT_FORMS[dialect]].headers(state.seconds_until_full, state)
    return headers
