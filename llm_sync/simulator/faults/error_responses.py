"""Error responses made from the error table, by kind of error or by llm-sync's error class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from llm_sync.simulator.answers.canned_answer import CannedAnswer, CannedError
from llm_sync.simulator.faults.error_table import KIND_BY_CLASS, spelling_of
from llm_sync.simulator.faults.retry_after import RETRY_AFTER_FORMS, LimitState, go_duration
from llm_sync.simulator.server.delivery import Reset
from llm_sync.simulator.server.response import Response, merge_members, with_members

_MALFORMED_ANSWERS = ("ResponseValidationError", "UnusableAnswerError")
_CONNECTION_ERROR = "ProviderConnectionError"
# the error classes that a replayed batch or an answers file may name
ERROR_CLASSES = (
    *KIND_BY_CLASS,
    "ProviderError",
    _CONNECTION_ERROR,
    "EmptyResponseError",
    "TruncatedResponseError",
    *_MALFORMED_ANSWERS,
)
_DEFAULT_LIMIT = LimitState("requests", 500, 0, 0.0)


class ErrorEnvelope(Protocol):
    """The part of a dialect that writes an error."""

    def error(self, status: int, message: str) -> Response:
        """An error in this dialect's form."""


def error_response(
    kind: str,
    dialect: ErrorEnvelope,
    type_name: str,
    *,
    message: str | None = None,
    wait: float | None = None,
    forms: Iterable[str] = (),
    limit: LimitState = _DEFAULT_LIMIT,
    status: int | None = None,
    details: Mapping[str, object] = {},
) -> Response:
    """An error of this kind for a provider type. ``wait`` (seconds), unless None, is added in all of ``forms``.

    ``status`` and ``message`` replace the default ones; ``details`` are the values in the default message (the model).
    """
    spelling = spelling_of(kind, type_name)
    text = spelling.render(**details) if message is None else message
    headers: dict[str, str] = (
        dict(spelling.headers)
        if spelling.should_retry is None
        else {"x-should-retry": "true" if spelling.should_retry else "false"}
    )
    members = dict(spelling.members)
    if kind == "rate_limit" and type_name.startswith("openai"):
        members["type"] = limit.kind
    for form in forms if wait is not None else ():
        hint = RETRY_AFTER_FORMS[form]
        headers |= hint.headers(wait or 0.0, limit)
        members = merge_members(members, hint.members(wait or 0.0, limit))
        text += hint.message.format(wait=go_duration(wait or 0.0))
    return with_members(dialect.error(spelling.status if status is None else status, text), members, headers)


def answer_for_error(failure: CannedError, dialect: str) -> CannedAnswer | None:
    """The answer for an error that is sent as an answer with status 200 (blocked, empty, truncated); None for other errors.

    Blocked content is an error response if the status says so and the dialect has such an error; else it is a refusal.
    """
    if failure.error_class == "ContentBlockedError" and (
        dialect in ("anthropic", "gemini", "gemini-interactions", "bedrock") or (failure.status or 200) < 300
    ):
        return CannedAnswer(refusal=failure.message or "I cannot help with that.", ignores_limits=True)
    if failure.error_class == "EmptyResponseError":
        return CannedAnswer(finish_reason="stop", ignores_limits=True)
    if failure.error_class == "TruncatedResponseError":
        return CannedAnswer(finish_reason="length", ignores_limits=True)
    return None


def response_for_error(failure: CannedError, dialect: ErrorEnvelope, type_name: str, model: str) -> Response:
    """The response for an error that is not sent as an answer."""
    if failure.error_class == _CONNECTION_ERROR:
        return Response(502, b"", delivery=Reset("before_status"))
    if failure.error_class in _MALFORMED_ANSWERS:
        return Response(200, {})
    kind, status = KIND_BY_CLASS.get(failure.error_class, "server"), failure.status
    if status is not None and not 400 <= status <= 599:
        status = None
    if kind == "overloaded" and status in (500, 502, 504, 520, 521, 522, 523):
        kind = "server"
    spelling = spelling_of(kind, type_name)
    default_message = spelling.render(model=model)
    message = failure.message or default_message
    members = spelling.members_by_status.get(status) if status is not None else None
    if spelling.phrase and members is None and not spelling.phrase.search(message):
        message = f"{default_message} ({message})"
    response = error_response(kind, dialect, type_name, message=message, status=status)
    return response if members is None else with_members(response, members, {})
