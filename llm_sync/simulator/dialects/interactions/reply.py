"""The body of an interaction: steps, status, usage."""

from __future__ import annotations

import base64
import random
import time
from typing import Any

from llm_sync.simulator.answers.generated import Answer
from llm_sync.simulator.dialects.base import random_id
from llm_sync.simulator.dialects.model_catalogue import DATED_NAMES
from llm_sync.simulator.dialects.signatures import sign

STATUSES = frozenset(
    {"completed", "requires_action", "incomplete", "failed", "cancelled", "budget_exceeded", "in_progress", "queued"}
)
_STATUS = {"stop": "completed", "length": "incomplete", "tool_calls": "requires_action", "content_filter": "failed"}
THOUGHT = "A short answer that names the prompt will do."


def interaction(
    model: str, answer: Answer, prompt: int, *, show_thoughts: bool, tier: str
) -> tuple[dict[str, Any], tuple[int, int]]:
    """The body and its tokens (input, output)."""
    steps = _steps(model, answer, show_thoughts) if answer.refusal is None else []
    prompt = answer.input_tokens(prompt)
    visible = answer.output_tokens - answer.reasoning_tokens if answer.refusal is None else 0
    now = now_text(time.time())
    body: dict[str, Any] = {
        "id": interaction_id(),
        "status": _status(answer),
        "usage": usage(prompt, visible, answer.reasoning_tokens, answer.cached_tokens(0)),
        "created": now,
        "updated": now,
        "service_tier": tier,
        "steps": steps,
        "object": "interaction",
        "model": answer.model or DATED_NAMES.get(model, model),
    }
    if body["status"] == "failed":
        body["errors"] = [{"code": "safety", "message": answer.refusal or ""}]
    return body, (prompt, visible + answer.reasoning_tokens)


def interaction_id() -> str:
    """A random id of an interaction."""
    return "v1_" + base64.urlsafe_b64encode(random.getrandbits(320).to_bytes(40, "big")).decode().rstrip("=")


def now_text(at: float) -> str:
    """A Unix time as the API writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def usage(prompt: int, visible: int, thoughts: int, cached: int) -> dict[str, Any]:
    """The counts; those of the output have no thoughts in them."""
    return {
        "total_tokens": prompt + visible + thoughts,
        "total_input_tokens": prompt,
        "input_tokens_by_modality": [{"modality": "text", "tokens": prompt}],
        "total_cached_tokens": cached,
        "total_output_tokens": visible,
        "total_tool_use_tokens": 0,
        "total_thought_tokens": thoughts,
    }


def _status(answer: Answer) -> str | None:
    if answer.raw_finish_reason in STATUSES:
        return answer.raw_finish_reason
    if answer.refusal is not None:
        return "failed"
    if answer.finish_reason == "other":
        return answer.raw_finish_reason or "unspecified"
    return _STATUS.get(answer.finish_reason, answer.finish_reason)


def _steps(model: str, answer: Answer, show_thoughts: bool) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = []
    if answer.thinking or answer.reasoning_tokens:
        thought: dict[str, Any] = {"type": "thought", "signature": sign(model, answer.digest)}
        if answer.thinking or show_thoughts:
            thought["summary"] = [{"type": "text", "text": answer.thinking or THOUGHT}]
        steps.append(thought)
    if answer.text:
        steps.append({"type": "model_output", "content": [{"type": "text", "text": answer.text}]})
    steps += [
        {"type": "function_call", "id": random_id("", 8), "name": call.name, "arguments": call.arguments}
        for call in answer.tool_calls
        if call.arguments is not None
    ]
    return steps
