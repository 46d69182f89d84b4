"""Errors of the table as responses: by a word of a script, by what a dialect finds wrong, by a class of llm-sync's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from llm_sync.simulator.answers.given import Failure, Given
from llm_sync.simulator.faults.error_table import RAISED, said
from llm_sync.simulator.faults.retry_after import HINTS, Standing, go_duration
from llm_sync.simulator.server.delivery import Reset
from llm_sync.simulator.server.response import Response, merged, with_members

_MALFORMED = ("ResponseValidationError", "UnusableAnswerError")
_NO_CONNECTION = "ProviderConnectionError"
# what a replayed run or an answers file may name
KINDS = (*RAISED, "ProviderError", _NO_CONNECTION, "EmptyResponseError", "TruncatedResponseError", *_MALFORMED)
_NO_LIMIT = Standing("requests", 500, 0, 0.0)


class Door(Protocol):
    """What of a dialect is needed for an error of its."""

    def error(self, status: int, message: str) -> Response:
        """An error in this dialect's envelope."""


def refusal(
    word: str,
    dialect: Door,
    name: str,
    *,
    message: str | None = None,
    wait: float | None = None,
    forms: Iterable[str] = (),
    standing: Standing = _NO_LIMIT,
    status: int | None = None,
    names: Mapping[str, object] = {},
) -> Response:
    """The error ``word`` from the dialect called ``name``; ``wait`` (seconds) is told in ``forms``, unless it is None.

    ``status`` and ``message`` replace the usual ones; ``names`` is what the usual message names (the model).
    """
    found = said(word, name)
    text = found.text(**names) if message is None else message
    headers: dict[str, str] = {} if found.retry is None else {"x-should-retry": "true" if found.retry else "false"}
    members = dict(found.members)
    if word == "rate_limit" and name.startswith("openai"):
        members["type"] = standing.kind
    for form in forms if wait is not None else ():
        hint = HINTS[form]
        headers |= hint.headers(wait or 0.0, standing)
        members = merged(members, hint.members(wait or 0.0, standing))
        text += hint.message.format(wait=go_duration(wait or 0.0))
    return with_members(dialect.error(found.status if status is None else status, text), members, headers)


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


def response_to(failure: Failure, dialect: Door, name: str, model: str) -> Response:
    """What goes back for a failure that is no answer, from the dialect called ``name``."""
    if failure.kind == _NO_CONNECTION:
        return Response(502, b"", delivery=Reset("before_status"))
    if failure.kind in _MALFORMED:
        return Response(200, {})
    word, status = RAISED.get(failure.kind, "server"), failure.status
    if status is not None and not 400 <= status <= 599:
        status = None
    if word == "overloaded" and status in (500, 502, 504, 520, 521, 522, 523):
        word = "server"
    found = said(word, name)
    usual = found.text(model=model)
    message = failure.message or usual
    told = found.under.get(status) if status is not None else None
    if found.phrase and told is None and not found.phrase.search(message):
        message = f"{usual} ({message})"
    response = refusal(word, dialect, name, message=message, status=status)
    return response if told is None else with_members(response, told, {})
