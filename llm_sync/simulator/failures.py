"""Errors by the names of llm-sync's classes: what of a dialect's makes a client raise this one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llm_sync.simulator.given import Failure, Given

if TYPE_CHECKING:
    from llm_sync.simulator.dialect import Dialect, Response

# the word of behaviour/refusals.py for each class that an error on the wire can mean
_WORDS = {
    "AuthenticationError": "auth",
    "PermissionDeniedError": "permission",
    "QuotaExceededError": "quota",
    "RateLimitError": "rate_limit",
    "ModelNotFoundError": "not_found",
    "InvalidRequestError": "bad_request",
    "ContextLengthExceededError": "context",
    "ProviderUnavailableError": "overloaded",
    "RequestTimeoutError": "timeout",
    "ContentBlockedError": "content_policy",
    "StreamingNotSupportedError": "stream_only",
    "ProviderError": "server",
}
_MALFORMED = ("ResponseValidationError", "UnusableAnswerError")
_NO_CONNECTION = "ProviderConnectionError"
# what a replayed run or an answers file may name
KINDS = (*_WORDS, _NO_CONNECTION, "EmptyResponseError", "TruncatedResponseError", *_MALFORMED)

# Kinds that a dialect tells by its message alone, and the phrase that tells.
_PHRASES = {
    ("stream_only", None): re.compile("only supports? stream", re.IGNORECASE),
    ("context", "anthropic"): re.compile(r"prompt is too long: \d+ tokens", re.IGNORECASE),
    ("context", "gemini"): re.compile(r"input token count \(?\d+\)? exceeds", re.IGNORECASE),
    ("quota", "anthropic"): re.compile("credit balance is too low|reached your specified .*usage limits", re.IGNORECASE),
}
# What Anthropic tells a spent quota by under other statuses than its usual one.
_SPENT: Mapping[int | None, Mapping[str, Any]] = {
    402: {"type": "billing_error"},
    429: {"type": "rate_limit_error", "details": {"error_code": "enforced_spend_limit_reached"}},
}


def as_answer(failure: Failure, dialect: str) -> Given | None:
    """The answer that fails: what is billed and answered with 200, and of no use. None: it is no answer.

    Content is blocked by an error where the status says so and the dialect has one for it, else by a refusal.
    """
    if failure.kind == "ContentBlockedError" and (dialect in ("anthropic", "gemini") or (failure.status or 200) < 300):
        return Given(refusal=failure.message or "I cannot help with that.", whole=True)
    if failure.kind == "EmptyResponseError":
        return Given(finish="stop", whole=True)
    if failure.kind == "TruncatedResponseError":
        return Given(finish="length", whole=True)
    return None


def response_to(failure: Failure, dialect: Dialect, name: str, model: str) -> Response:
    """What goes back for a failure that is no answer, from the dialect called ``name``."""
    # behaviour imports the dialects, which import this
    from llm_sync.simulator.behaviour.deliveries import Reset
    from llm_sync.simulator.behaviour.refusals import refusal, said, with_members
    from llm_sync.simulator.dialect import Response

    if failure.kind == _NO_CONNECTION:
        return Response(502, b"", delivery=Reset("before_status"))
    if failure.kind in _MALFORMED:
        return Response(200, {})
    word, status = _WORDS.get(failure.kind, "server"), failure.status
    if status is not None and not 400 <= status <= 599:
        status = None
    if word == "overloaded" and status in (500, 502, 504, 520, 521, 522, 523):
        word = "server"
    usual = said(word, name).message.format(model=model or "the model")
    message = failure.message or usual
    told = _SPENT.get(status) if (word, name) == ("quota", "anthropic") else None
    phrase = _PHRASES.get((word, name), _PHRASES.get((word, None)))
    if phrase and told is None and not phrase.search(message):
        message = f"{usual} ({message})"
    response = refusal(word, dialect, name, model, message=message, status=status)
    return response if told is None else with_members(response, told, {})
