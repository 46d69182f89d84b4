"""The body of a Converse answer: content blocks, stop reason, usage, and what a guardrail did."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from llm_sync.simulator.answers.generated import Answer
from llm_sync.simulator.dialects.base import random_id
from llm_sync.simulator.dialects.signatures import sign

STOP_REASONS = frozenset(
    {
        *("end_turn", "tool_use", "max_tokens", "stop_sequence", "guardrail_intervened", "content_filtered"),
        *("malformed_model_output", "malformed_tool_use", "model_context_window_exceeded"),
    }
)
_WORDS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "content_filtered"}
_MAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]*\w")  # what the simulated guardrail masks
_MIN_CACHED = 1024  # tokens
TOPIC = "Simulated"  # that the simulated guardrail denies


def answer_body(payload: Mapping[str, Any], model: str, answer: Answer, prompt: int) -> tuple[dict[str, Any], tuple[int, int]]:
    """The answer and its tokens (input, output)."""
    prompt, output = answer.input_tokens(prompt), answer.output_tokens
    cached = prompt * 3 // 4 if _has_marks(payload) and prompt >= _MIN_CACHED else 0
    read = answer.cached_tokens(cached if answer.digest % 2 else 0)
    written = answer.cache_write_tokens(cached - read)
    # a replayed refusal names the guardrail already
    refusal = answer.refusal and answer.refusal.removeprefix(f"guardrail_intervened: topicPolicy {TOPIC}: ")
    content = _content(model, answer) if refusal is None else [{"text": refusal}]
    fresh = prompt - read - written
    counts = {"inputTokens": fresh, "outputTokens": output, "totalTokens": prompt + output}
    more = {"cacheReadInputTokens": read, "cacheReadInputTokenCount": read}
    more |= {"cacheWriteInputTokens": written, "cacheWriteInputTokenCount": written}
    body: dict[str, Any] = {
        "metrics": {"latencyMs": 250},
        "output": {"message": {"content": content, "role": "assistant"}},
        "stopReason": _stop_reason(answer),
        "usage": {**counts, **more, "serverToolUsage": {}},
    }
    if payload.get("serviceTier"):
        body["serviceTier"] = dict(payload["serviceTier"])
    if answer.model:
        body["trace"] = {"promptRouter": {"invokedModelId": answer.model}}
    if answer.refusal is not None:
        body["trace"] = blocked_trace(TOPIC)
    _mask(payload, body)
    return body, (prompt, output)


def blocked_trace(topic: str) -> dict[str, Any]:
    """What a guardrail says that has blocked an answer: its own words stand in the answer's place."""
    topics = [{"name": topic, "type": "DENY", "action": "BLOCKED"}]
    assessments = {"simulated": [{"topicPolicy": {"topics": topics}}]}
    return {"guardrail": {"outputAssessments": assessments, "actionReason": "Guardrail blocked."}}


def reasoning_text() -> str:
    """The reasoning of generated answers."""
    return "The user wants an answer; a short one that names the prompt will do."


def _stop_reason(answer: Answer) -> str | None:
    if answer.raw_finish_reason in STOP_REASONS:
        return answer.raw_finish_reason
    if answer.refusal is not None:
        return "guardrail_intervened"
    if answer.stop_sequence and answer.finish_reason == "stop":
        return "stop_sequence"
    return _WORDS.get(answer.finish_reason, answer.finish_reason) if answer.finish_reason != "other" else answer.raw_finish_reason


def _content(model: str, answer: Answer) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = []
    if answer.thinking or answer.reasoning_tokens:
        thought: dict[str, Any] = {"text": answer.thinking or reasoning_text()}
        if "claude" in model:
            thought["signature"] = sign(model, answer.digest)
        content.append({"reasoningContent": {"reasoningText": thought}})
    if answer.text:
        content.append({"text": answer.text})
    for call in answer.tool_calls:
        use = {"toolUseId": random_id("tooluse_", 22), "name": call.name, "input": call.arguments or {}}
        content.append({"toolUse": use})
    return content


def _mask(payload: Mapping[str, Any], body: dict[str, Any]) -> None:
    """With a guardrail, addresses of mail are masked; the answer itself stays."""
    guardrail = payload.get("guardrailConfig") or {}
    addresses: list[str] = []
    written = [str(block["text"]) for block in body["output"]["message"]["content"] if "text" in block]
    for block in body["output"]["message"]["content"] if guardrail.get("guardrailIdentifier") else ():
        if "text" in block:
            addresses += _MAIL.findall(block["text"])
            block["text"] = _MAIL.sub("{EMAIL}", block["text"])
    if not addresses:
        return
    body["stopReason"] = "guardrail_intervened"
    if guardrail.get("trace") in ("enabled", "enabled_full"):
        entities = [{"action": "ANONYMIZED", "detected": True, "match": match, "type": "EMAIL"} for match in addresses]
        assessment = {"sensitiveInformationPolicy": {"piiEntities": entities}}
        assessments = {guardrail["guardrailIdentifier"]: [assessment]}
        body["trace"] = {"guardrail": {"outputAssessments": assessments, "modelOutput": written}}


def _has_marks(payload: Mapping[str, Any]) -> bool:
    lists = [payload.get("system") or (), (payload.get("toolConfig") or {}).get("tools") or ()]
    lists += [message["content"] for message in payload.get("messages") or ()]
    return any("cachePoint" in block for blocks in lists for block in blocks)
