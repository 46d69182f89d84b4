"""What replies about background answers say: whether to look again, and when; and the error of an answer that is lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_sync import errors
from llm_sync.errors import LLMConnectorError
from llm_sync.models import PreparedRequest, Reply
from llm_sync.providers.json_body import parse_body

PASSING = frozenset({408, 409, 425, 429, 498, 499})
"""Statuses below 500 after which another look may succeed."""
_MAYBE_MADE = frozenset({408, 499, 502, 504, 520, 524})  # a gateway's word: the provider behind it may have taken the request
_HINTS = (("openai-poll-after-ms", 1000.0), ("retry-after-ms", 1000.0), ("retry-after", 1.0))
_MAX_HINT_S = 300.0


def lost(prepared: PreparedRequest, what: str, cause: LLMConnectorError | None) -> errors.ProviderError:
    """The error of an answer that may have been made and billed, but cannot be fetched."""
    reason = f": {cause.message}" if cause is not None else ""
    return errors.ProviderError(
        f"{what}{reason}",
        provider=prepared.provider,
        model=prepared.model or None,
        status=cause.status if cause is not None else None,
        retryable=False,
        possibly_billed=1,
        guidance="It is not asked again by itself, as it may be billed. If you want that: --rebuy (rebuy=True) in a batch.",
    )


def may_be_made(error: LLMConnectorError) -> bool:
    """Whether a create that ended so may have been taken."""
    return not isinstance(error, errors.ClientClosedError) and (bool(error.possibly_billed) or error.status in _MAYBE_MADE)


def body_of(reply: Reply) -> Any:
    """The body of a reply, parsed; None if it is no JSON."""
    try:
        return parse_body(reply.content)
    except (ValueError, RecursionError):
        return None


def status_of(reply: Reply) -> Any:
    """The word for how far the answer is; None without any."""
    body = body_of(reply)
    return body.get("status") if isinstance(body, Mapping) else None


def asked_pause(reply: Reply) -> float | None:
    """The seconds that a reply asks to wait; None without a number."""
    for name, unit in _HINTS:
        value = reply.headers.get(name)
        try:
            seconds = float(value or "nan") / unit
        except ValueError:
            continue
        if 0 < seconds <= _MAX_HINT_S:
            return seconds
    return None
