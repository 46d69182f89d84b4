"""Writes response bodies of the Responses API from our responses and errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llm_sync.errors import ContentBlockedError, UnusableAnswerError
from llm_sync.models import ModelResponse, Usage
from llm_sync.openai_shape.reasoned_turns import STATE, state_items
from llm_sync.openai_shape.response_writer import prompt_details


def responses_body(outcome: ModelResponse | UnusableAnswerError, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The provider's own body, or one written from our response. ``asked``: the body of the request."""
    answer = outcome if isinstance(outcome, ModelResponse) else outcome.response
    assert answer is not None  # noqa: S101  (``send`` returns no outcome without one)
    raw = answer.metadata.get("raw")
    if isinstance(raw, dict) and isinstance(raw.get("output"), list):
        return raw
    at, metadata = int(answer.timestamp.timestamp()), asked.get("metadata")
    return {
        "id": f"resp_{answer.request_id or int(answer.timestamp.timestamp() * 1e6)}",
        "object": "response",
        "created_at": at,
        "status": "incomplete" if answer.truncated else "completed",
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if answer.truncated else None,
        "instructions": asked.get("instructions"),
        "metadata": dict(metadata) if isinstance(metadata, Mapping) else {},
        "model": answer.model,
        "output": _output(outcome, answer),
        "parallel_tool_calls": True,
        "temperature": asked.get("temperature"),
        "tool_choice": asked.get("tool_choice", "auto"),
        "tools": list(asked.get("tools") or ()),
        "top_p": asked.get("top_p"),
        "max_output_tokens": asked.get("max_output_tokens"),
        "usage": _usage(answer.usage),
    }


def _output(outcome: ModelResponse | UnusableAnswerError, answer: ModelResponse) -> Sequence[dict[str, Any]]:
    blocked = isinstance(outcome, ContentBlockedError)
    parts: list[dict[str, Any]] = []
    if answer.text or not (answer.tool_calls or blocked):
        parts.append({"type": "output_text", "text": answer.text, "annotations": []})
    if blocked:
        parts.append({"type": "refusal", "refusal": str(getattr(outcome, "reason", None) or "the answer is blocked")})
    request_id = answer.request_id or "0"
    status = "incomplete" if answer.truncated else "completed"
    out: list[dict[str, Any]] = state_items(answer, request_id)
    if parts:
        out.append({"id": f"msg_{request_id}", "type": "message", "role": "assistant", "status": status, "content": parts})
    out += [
        {
            "id": f"fc_{call.id}",
            "type": "function_call",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.raw_arguments,
            "status": status,
            **({} if call.state is None else {STATE: dict(call.state)}),
        }
        for call in answer.tool_calls
    ]
    return out


def _usage(usage: Usage) -> dict[str, Any] | None:
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": prompt_details(usage.cached_tokens, usage.cache_write_tokens),
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
