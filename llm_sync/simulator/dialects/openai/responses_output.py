"""The body of a response of the Responses API: items, status, usage, and the settings it echoes."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Mapping
from typing import Any

from llm_sync.simulator.answers.generated import Answer
from llm_sync.simulator.dialects.base import token
from llm_sync.simulator.dialects.model_catalogue import DATED
from llm_sync.simulator.dialects.openai import checks

_PHASED = re.compile(r"gpt-5\.[4-9]")  # newer models say of each message whether it is the last word
_SUMMARY = "The user wants an answer; a short one that names the prompt will do."
FINISH_WORDS = frozenset({"max_output_tokens", "content_filter", "completed", "incomplete"})


def response(payload: Mapping[str, Any], model: str, found: Answer, prompt: int) -> tuple[dict[str, Any], tuple[int, int]]:
    """The response and its tokens (input, output); ``prompt`` are the tokens counted."""
    now, prompt, output = int(time.time()), found.input(prompt), found.output
    drawn = (prompt // 128 - 1) * 128 if prompt >= 1024 and found.number % 2 else 0
    settings = payload.get("reasoning")
    settings = settings if isinstance(settings, dict) else {}
    effort = settings.get("effort")
    reasons = checks.reasons(model, effort)
    status, reason = _status(found)
    text = payload.get("text") if isinstance(payload.get("text"), dict) else None
    body = {
        "id": token("resp_", 50),
        "object": "response",
        "created_at": now,
        "completed_at": now if status == "completed" else None,
        "status": status,
        "background": False,
        "billing": {"payer": "developer"},
        "error": None,
        "frequency_penalty": 0.0,
        "incomplete_details": {"reason": reason} if reason else None,
        "instructions": payload.get("instructions"),
        "max_output_tokens": payload.get("max_output_tokens"),
        "max_tool_calls": payload.get("max_tool_calls"),
        "metadata": payload.get("metadata") or {},
        "model": found.model or DATED.get(model, model),
        "moderation": None,
        "output": _items(payload, model, found, reasons, settings),
        "parallel_tool_calls": payload.get("parallel_tool_calls") is not False,
        "presence_penalty": 0.0,
        "previous_response_id": None,
        "prompt_cache_key": payload.get("prompt_cache_key"),
        "prompt_cache_retention": payload.get("prompt_cache_retention"),
        "reasoning": {"effort": effort or ("medium" if reasons else None), "summary": settings.get("summary")},
        "safety_identifier": payload.get("safety_identifier"),
        "service_tier": "default",
        "store": payload.get("store") is not False,
        "temperature": _number(payload, "temperature"),
        "text": {
            "format": (text or {}).get("format") or {"type": "text"},
            "verbosity": (text or {}).get("verbosity") or "medium",
        },
        "tool_choice": payload.get("tool_choice") or "auto",
        "tools": payload.get("tools") or [],
        "top_logprobs": payload.get("top_logprobs") or 0,
        "top_p": _number(payload, "top_p"),
        "truncation": payload.get("truncation") or "disabled",
        "usage": {
            "input_tokens": prompt,
            "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": found.cached(drawn)},
            "output_tokens": output,
            "output_tokens_details": {"reasoning_tokens": found.reasoning},
            "total_tokens": prompt + output,
        },
        "user": payload.get("user"),
    }
    return body, (prompt, output)


def _status(found: Answer) -> tuple[str | None, str | None]:
    """``status``, and the reason of one that is incomplete."""
    if found.finish == "content_filter" or found.raw_finish == "content_filter":
        return "incomplete", "content_filter"
    if found.cut:
        return "incomplete", "max_output_tokens"
    if found.finish in ("stop", "tool_calls"):
        return "completed", None
    return (found.raw_finish if found.finish == "other" else found.finish), None


def _items(
    payload: Mapping[str, Any], model: str, found: Answer, reasons: bool, settings: Mapping[str, Any]
) -> list[dict[str, Any]]:
    status = "incomplete" if found.cut else "completed"
    items: list[dict[str, Any]] = []
    if reasons or found.thinking:
        items.append(_reasoning(payload, found, settings))
    if found.text or found.refusal is not None:
        part: dict[str, Any] = {"type": "output_text", "annotations": [], "logprobs": [], "text": found.text}
        if found.refusal is not None:
            part = {"type": "refusal", "refusal": found.refusal}
        item = {"id": token("msg_", 50), "type": "message", "status": status, "content": [part], "role": "assistant"}
        if _PHASED.match(model):
            item["phase"] = "commentary" if found.calls else "final_answer"
        items.append(item)
    for call in found.calls if found.refusal is None else ():
        item = {"id": token("fc_", 50), "type": "function_call", "status": status, "arguments": call.raw}
        items.append({**item, "call_id": token("call_", 24), "name": call.name})
    return items


def _reasoning(payload: Mapping[str, Any], found: Answer, settings: Mapping[str, Any]) -> dict[str, Any]:
    """With an empty summary unless one is asked for, and with the encrypted thoughts where they are."""
    wanted = settings.get("summary") or settings.get("generate_summary")
    summary = found.thinking or (_SUMMARY if wanted and found.reasoning else "")
    item: dict[str, Any] = {"id": token("rs_", 50), "type": "reasoning", "summary": []}
    if summary:
        item["summary"] = [{"type": "summary_text", "text": summary}]
    if "reasoning.encrypted_content" in (payload.get("include") or ()):
        item["encrypted_content"] = base64.urlsafe_b64encode(found.number.to_bytes(8, "big") * 9).decode()
    return item


def _number(payload: Mapping[str, Any], name: str) -> float:
    """A setting as it is echoed: a decimal, 1.0 where it was not given."""
    value = payload.get(name)
    return float(value) if isinstance(value, (int, float)) else 1.0
