"""Writes chat-completion and error bodies from our responses and errors."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from llm_sync import errors
from llm_sync.errors import LLMConnectorError, UnusableAnswerError
from llm_sync.models import ModelResponse, ToolCall, Usage
from llm_sync.openai_shape.turn_state import write_state

_FINISH = {"stop": "stop", "length": "length", "tool_calls": "tool_calls"}
# (our class, HTTP status if the error has none, OpenAI's type, OpenAI's code); the first match counts.
_ERRORS: tuple[tuple[type[LLMConnectorError], int | None, str, str | None], ...] = (
    (errors.AuthenticationError, 401, "invalid_request_error", "invalid_api_key"),
    (errors.PermissionDeniedError, 403, "permission_error", "permission_denied"),
    (errors.QuotaExceededError, 429, "insufficient_quota", "insufficient_quota"),
    (errors.RateLimitError, 429, "requests", "rate_limit_exceeded"),
    (errors.ModelNotFoundError, 404, "invalid_request_error", "model_not_found"),
    (errors.ContextLengthExceededError, 400, "invalid_request_error", "context_length_exceeded"),
    (errors.InvalidRequestError, 400, "invalid_request_error", None),
    (errors.StreamingNotSupportedError, 400, "invalid_request_error", "unsupported_value"),
    (errors.ProviderUnavailableError, 503, "server_error", "server_error"),
    (errors.RequestTimeoutError, None, "timeout", "request_timeout"),
    (errors.ProviderConnectionError, None, "connection_error", "connection_error"),
    (errors.ContentBlockedError, None, "content_filter", "content_filter"),
    (errors.TruncatedResponseError, None, "unusable_answer", "answer_truncated"),
    (errors.EmptyResponseError, None, "unusable_answer", "answer_empty"),
    (errors.UnusableAnswerError, None, "unusable_answer", "answer_invalid"),
    (LLMConnectorError, None, "api_error", None),
)


def completion(*outcomes: ModelResponse | UnusableAnswerError, legacy: bool = False) -> dict[str, Any]:
    """A chat-completion body with one choice for each outcome: a response, or an unusable answer that was billed.

    A single response whose ``metadata["raw"]`` is such a body is returned as the provider wrote it. ``legacy``: a tool call
    goes to ``function_call``. Raises ValueError if there is no outcome, or if an error has no response.
    """
    answers = [outcome if isinstance(outcome, ModelResponse) else outcome.response for outcome in outcomes]
    first = answers[0] if answers else None
    if first is None or None in answers:
        raise ValueError("a completion needs at least one outcome, and each must have a response")
    raw = first.metadata.get("raw")
    if len(answers) == 1 and not legacy and _is_completion(raw):
        return json.loads(json.dumps(raw))  # type: ignore[no-any-return]  # a copy: the caller may change it
    raw_id = raw.get("id") if isinstance(raw, Mapping) else None
    return {
        "id": raw_id if isinstance(raw_id, str) else f"chatcmpl-{first.request_id or int(first.timestamp.timestamp() * 1e6)}",
        "object": "chat.completion",
        "created": int(first.timestamp.timestamp()),
        "model": first.model,
        "choices": [
            {"index": index, "message": message, "logprobs": None, "finish_reason": finish}
            for index, (message, finish) in enumerate(_choice(outcome, legacy) for outcome in outcomes)
        ],
        "usage": _usage([answer.usage for answer in answers if answer is not None]),
    }


def error_body(error: LLMConnectorError) -> dict[str, Any]:
    """The error in OpenAI's shape: ``{"error": {"message", "type", "param", "code"}}``."""
    _, _, kind, code = _row(error)
    return {"error": {"message": str(error), "type": kind, "param": None, "code": code}}


def error_status(error: LLMConnectorError) -> int | None:
    """The HTTP status that OpenAI's API has for an error: its own, or that of its class; None without a response and for an
    unusable one."""
    own = error.status
    return own if own is not None and own >= 400 else _row(error)[1]


def _row(error: LLMConnectorError) -> tuple[type[LLMConnectorError], int | None, str, str | None]:
    return next(row for row in _ERRORS if isinstance(error, row[0]))


def _choice(outcome: ModelResponse | UnusableAnswerError, legacy: bool) -> tuple[dict[str, Any], str]:
    """A choice's message and finish reason."""
    blocked = isinstance(outcome, errors.ContentBlockedError)
    answer = outcome.response if isinstance(outcome, UnusableAnswerError) else outcome
    assert answer is not None  # noqa: S101  (``completion`` has checked)
    reason = str(getattr(outcome, "reason", None) or "the answer is blocked") if blocked else None
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or None, "refusal": reason}
    if not answer.text and not answer.tool_calls and not blocked:
        message["content"] = ""
    if answer.metadata.get("thinking"):
        message["reasoning_content"] = answer.metadata["thinking"]
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": _arguments(call)}}
        for call in answer.tool_calls
    ]
    finish = _FINISH.get(answer.finish_reason) or str(answer.metadata.get("finish_reason_raw") or "stop")
    if calls and legacy:
        message["function_call"] = calls[0]["function"]
        finish = "function_call" if finish == "tool_calls" else finish
    elif calls:
        message["tool_calls"] = calls
    write_state(message, answer)
    return message, "content_filter" if blocked else finish


def _arguments(call: ToolCall) -> str:
    return call.raw_arguments or json.dumps(call.arguments or {}, ensure_ascii=False)


def _usage(usages: Sequence[Usage]) -> dict[str, Any] | None:
    """The token counts of all choices: each was a separate request whose prompt was billed."""
    if len(usages) == 1:  # the usual case
        totals: dict[str, Any] = vars(usages[0])
    else:
        totals = {}
        for name in ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "cache_write_tokens"):
            counts = [count for usage in usages if (count := getattr(usage, name)) is not None]
            totals[name] = sum(counts) if len(counts) == len(usages) else None
    sent, made = totals["input_tokens"], totals["output_tokens"]
    if sent is None or made is None:
        return None
    return {
        "prompt_tokens": sent,
        "completion_tokens": made,
        "total_tokens": sent + made,
        "prompt_tokens_details": prompt_details(totals["cached_tokens"], totals["cache_write_tokens"]),
        "completion_tokens_details": {"reasoning_tokens": totals["reasoning_tokens"] or 0},
    }


def prompt_details(cached: int | None, written: int | None) -> dict[str, int]:
    """The details of the prompt's tokens in OpenAI's APIs; writes to the cache only where the provider tells of them."""
    return {"cached_tokens": cached or 0, **({} if written is None else {"cache_write_tokens": written})}


def _is_completion(raw: Any) -> bool:
    if not isinstance(raw, Mapping) or raw.get("object") != "chat.completion":
        return False
    choices = raw.get("choices")
    return (
        isinstance(choices, list)
        and bool(choices)
        and all(isinstance(choice, Mapping) and isinstance(choice.get("message"), Mapping) for choice in choices)
    )
