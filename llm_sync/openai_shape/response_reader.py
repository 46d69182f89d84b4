"""Reads the answer out of a chat completion or a Response that a record holds: the other way round than response_writer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from llm_sync.openai_shape.reasoned_turns import STATE
from llm_sync.openai_shape.turn_state import call_state

_FINISH = ("stop", "length", "tool_calls")
_USAGE = {
    "input_tokens": ("prompt_tokens", "input_tokens"),
    "output_tokens": ("completion_tokens", "output_tokens"),
}
_DETAILS = {
    "cached_tokens": ("prompt_tokens_details", "input_tokens_details"),
    "cache_write_tokens": ("prompt_tokens_details", "input_tokens_details"),
    "reasoning_tokens": ("completion_tokens_details", "output_tokens_details"),
}


def answer_fields(body: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the answer as ``ModelResponse.to_dict`` names them: text, model, finish_reason, tool_calls, usage and,
    where the body has it, timestamp.

    Raises KeyError, TypeError, ValueError or IndexError for a body that holds no answer, or several.
    """
    fields = _of_completion(body) if "choices" in body else _of_responses(body)
    at = body.get("created" if "choices" in body else "created_at")
    timestamp = {} if at is None else {"timestamp": datetime.fromtimestamp(at, timezone.utc).isoformat()}
    return {"model": body["model"], "usage": _usage(body.get("usage") or {}), **timestamp, **fields}


def _of_completion(body: Mapping[str, Any]) -> dict[str, Any]:
    (choice,) = body["choices"]
    message, reason = choice["message"], choice["finish_reason"]
    calls = [
        _call(call["id"], call["function"], call_state(call)) for call in message.get("tool_calls") or () if "function" in call
    ]
    return _fields(message.get("content") or "", calls, reason, message.get("reasoning_content"))


def _of_responses(body: Mapping[str, Any]) -> dict[str, Any]:
    parts = [part for item in body["output"] if item["type"] == "message" for part in item["content"]]
    text = "".join(part["text"] for part in parts if part["type"] == "output_text")
    calls = [_call(item["call_id"], item, item.get(STATE)) for item in body["output"] if item["type"] == "function_call"]
    return _fields(text, calls, "tool_calls" if calls else "stop", None)


def _fields(text: Any, calls: list[dict[str, Any]], reason: Any, thinking: Any) -> dict[str, Any]:
    if not isinstance(text, str):
        raise TypeError("the content is no text")
    finish = reason if reason in _FINISH else "other"
    metadata = {"finish_reason_raw": reason, **({"thinking": thinking} if thinking else {})}
    return {"text": text, "tool_calls": calls, "finish_reason": finish, "metadata": metadata}


def _call(call_id: str, called: Mapping[str, Any], state: Any) -> dict[str, Any]:
    try:
        arguments = json.loads(called["arguments"])
    except ValueError:
        arguments = None
    return {
        "id": call_id,
        "name": called["name"],
        "arguments": arguments,
        "raw_arguments": called["arguments"],
        "state": state,
    }


def _usage(usage: Mapping[str, Any]) -> dict[str, int]:
    counts = {name: next((usage[key] for key in keys if key in usage), None) for name, keys in _USAGE.items()}
    for name, keys in _DETAILS.items():
        counts[name] = next((usage[key].get(name) for key in keys if isinstance(usage.get(key), Mapping)), None)
    return {name: count for name, count in counts.items() if count is not None}
