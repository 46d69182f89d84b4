"""The one record shape of every machine-readable output: ``generate --json`` and batches."""

from __future__ import annotations

from typing import Any

from llm_sync.errors import LLMConnectorError
from llm_sync.models import ModelResponse
from llm_sync.models.route import Route


def record(
    index: int, route: Route, outcome: ModelResponse | LLMConnectorError, *, request_id: str | int | None = None
) -> dict[str, Any]:
    """One request's outcome, JSON-ready: ``response`` or ``error`` is None. ``billed`` is there for an error that cost
    something. ``route`` is the model that was named, the first one of a route. If it was a route, the record's ``route`` lists
    who was asked.
    """
    answer = outcome if isinstance(outcome, ModelResponse) else None
    billed = billed_answer(outcome)
    response = None if answer is None else answer.to_dict()
    steps = [step.to_dict() for step in outcome.route]
    if response is not None:
        response.pop("route", None)  # it stands beside the answer, as it does beside an error
    return {
        "id": request_id if answer is None else answer.id,
        "index": index,
        "provider": route.provider,
        "model": route.model,
        "response": response,
        "error": error_record(outcome) if isinstance(outcome, LLMConnectorError) else None,
        **({} if billed is None else {"billed": billed}),
        **({"route": steps} if steps else {}),
    }


def failure(error: LLMConnectorError, *, request_id: str | int | None = None) -> dict[str, Any]:
    """The same for what keeps every request from being made: it has no ``index``."""
    return {
        "id": request_id,
        "index": None,
        "provider": error.provider,
        "model": error.model,
        "response": None,
        "error": {**error_record(error), "message": _whole(error)},
    }


def _whole(error: LLMConnectorError) -> str:
    """The message with every problem of a configuration, a line each."""
    return "\n".join([error.message, *(str(problem) for problem in getattr(error, "problems", ()))])


def error_record(error: LLMConnectorError) -> dict[str, Any]:
    """An error, JSON-ready.

    ``attempts``: HTTP exchanges made, None where unknown. ``text``: what the model had written, which was billed; None where
    nothing came.
    """
    names = ("message", "provider", "model", "status", "retryable", "retry_after", "guidance", "attempts")
    return {"type": type(error).__name__, **{name: getattr(error, name) for name in names}, "text": billed_text(error)}


def billed_text(error: LLMConnectorError) -> str | None:
    """The text of the answer that ``error`` stands for, as far as it came; None without any."""
    response = getattr(error, "response", None)
    text = response.text if isinstance(response, ModelResponse) else None
    return text or getattr(error, "partial_text", None)


def billed_answer(outcome: ModelResponse | LLMConnectorError) -> dict[str, Any] | None:
    """The tokens and the cost (USD) of the unusable answer that an error carries, as far as they are known; None where nothing
    is known, and for an answer, which has them itself."""
    response = getattr(outcome, "response", None)
    if isinstance(outcome, ModelResponse) or not isinstance(response, ModelResponse):
        return None
    tokens = {name: getattr(response.usage, name) for name in ("input_tokens", "output_tokens")}
    known = {**tokens, "cost_estimate": response.cost_estimate}
    return known if any(value is not None for value in known.values()) else None
