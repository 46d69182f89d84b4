"""The body of a Responses API response: items, status, usage, and the echoed settings."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from llm_sync.simulator.answers.generated import Answer
from llm_sync.simulator.dialects.base import random_id
from llm_sync.simulator.dialects.model_catalogue import DATED_NAMES
from llm_sync.simulator.dialects.openai import checks
from llm_sync.simulator.dialects.signatures import sign

_PHASED = re.compile(r"gpt-5\.[4-9]")  # newer models mark each message as commentary or final answer
_SUMMARY = "The user wants an answer; a short one that names the prompt will do."
FINISH_WORDS = frozenset({"max_output_tokens", "content_filter", "completed", "incomplete"})


def response(payload: Mapping[str, Any], model: str, answer: Answer, prompt: int) -> tuple[dict[str, Any], tuple[int, int]]:
    """The response and its tokens (input, output); ``prompt`` are the counted tokens."""
    now, prompt, output = int(time.time()), answer.input_tokens(prompt), answer.output_tokens
    drawn = (prompt // 128 - 1) * 128 if prompt >= 1024 and answer.digest % 2 else 0
    settings = payload.get("reasoning")
    settings = settings if isinstance(settings, dict) else {}
    effort = settings.get("effort")
    reasons = checks.reasons(model, effort)
    status, reason = _status(answer)
    text = payload.get("text") if isinstance(payload.get("text"), dict) else None
    body = {
        "id": random_id("resp_", 50),
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
        "model": answer.model or DATED_NAMES.get(model, model),
        "moderation": None,
        "output": _items(payload, model, answer, reasons, settings),
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
            "input_tokens_details": {
                "cache_write_tokens": answer.cache_write_tokens(0),
                "cached_tokens": answer.cached_tokens(drawn),
            },
            "output_tokens": output,
            "output_tokens_details": {"reasoning_tokens": answer.reasoning_tokens},
            "total_tokens": prompt + output,
        },
        "user": payload.get("user"),
    }
    return body, (prompt, output)


def _status(answer: Answer) -> tuple[str | None, str | None]:
    """``status``, and the reason if it is incomplete."""
    if answer.finish_reason == "content_filter" or answer.raw_finish_reason == "content_filter":
        return "incomplete", "content_filter"
    if answer.truncated:
        return "incomplete", "max_output_tokens"
    if answer.finish_reason in ("stop", "tool_calls"):
        return "completed", None
    return (answer.raw_finish_reason if answer.finish_reason == "other" else answer.finish_reason), None


def _items(
    payload: Mapping[str, Any], model: str, answer: Answer, reasons: bool, settings: Mapping[str, Any]
) -> list[dict[str, Any]]:
    status = "incomplete" if answer.truncated else "completed"
    items: list[dict[str, Any]] = []
    if reasons or answer.thinking:
        items.append(_reasoning(payload, model, answer, settings))
    if answer.text or answer.refusal is not None:
        part: dict[str, Any] = {"type": "output_text", "annotations": [], "logprobs": [], "text": answer.text}
        if answer.refusal is not None:
            part = {"type": "refusal", "refusal": answer.refusal}
        item = {"id": random_id("msg_", 50), "type": "message", "status": status, "content": [part], "role": "assistant"}
        if _PHASED.match(model):
            item["phase"] = "commentary" if answer.tool_calls else "final_answer"
        items.append(item)
    for call in answer.tool_calls if answer.refusal is None else ():
        item = {"id": random_id("fc_", 50), "type": "function_call", "status": status, "arguments": call.raw_arguments}
        items.append({**item, "call_id": random_id("call_", 24), "name": call.name})
    return items


def _reasoning(payload: Mapping[str, Any], model: str, answer: Answer, settings: Mapping[str, Any]) -> dict[str, Any]:
    """A reasoning item, with a summary or encrypted content if the request asks for them."""
    wanted = settings.get("summary") or settings.get("generate_summary")
    summary = answer.thinking or (_SUMMARY if wanted and answer.reasoning_tokens else "")
    item: dict[str, Any] = {"id": random_id("rs_", 50), "type": "reasoning", "summary": []}
    if summary:
        item["summary"] = [{"type": "summary_text", "text": summary}]
    if "reasoning.encrypted_content" in (payload.get("include") or ()):
        item["encrypted_content"] = sign(model, answer.digest)
    return item


def _number(payload: Mapping[str, Any], name: str) -> float:
    """An echoed setting as a float; 1.0 if the request does not set it."""
    value = payload.get(name)
    return float(value) if isinstance(value, (int, float)) else 1.0
