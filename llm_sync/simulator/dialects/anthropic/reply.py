"""The body of a message: content blocks, stop reason, usage; and the rate limit headers."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from llm_sync.simulator.answers.generated import Answer
from llm_sync.simulator.dialects.anthropic.messages import NEWEST
from llm_sync.simulator.dialects.base import random_id
from llm_sync.simulator.dialects.model_catalogue import DATED_NAMES
from llm_sync.simulator.dialects.signatures import sign

FINISH_WORDS = frozenset(
    {
        "end_turn",
        "max_tokens",
        "stop_sequence",
        "tool_use",
        "pause_turn",
        "refusal",
        "model_context_window_exceeded",
        "compaction",
    }
)
_WORDS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
_CALLER = re.compile(r"claude-(fable|mythos)-5")
_LIMITS = (("requests", 1000, 1), ("input-tokens", 450_000, 0), ("output-tokens", 90_000, 0), ("tokens", 540_000, 0))


def message(
    payload: Mapping[str, Any], model: str, answer: Answer, prompt: int, cacheable: bool
) -> tuple[dict[str, Any], tuple[int, int]]:
    """The message and its tokens (input, output); ``cacheable``: whether a part of the prompt has a cache_control."""
    # input_tokens does not include the tokens read from or written to the cache
    prompt, output = answer.input_tokens(prompt), answer.output_tokens
    cached = prompt * 3 // 4 if cacheable and prompt >= 1024 else 0
    read = answer.cached_tokens(cached if answer.digest % 2 else 0)
    written = answer.cache_write_tokens(cached - read)
    reason = _stop_reason(answer)
    body = {
        "id": random_id("msg_01", 22),
        "type": "message",
        "role": "assistant",
        "model": answer.model or DATED_NAMES.get(model, model),
        "content": _content(payload, model, answer) if answer.refusal is None else [],
        "stop_reason": reason,
        "stop_sequence": answer.stop_sequence if reason == "stop_sequence" else None,
        "stop_details": None,
        "usage": {
            "input_tokens": prompt - read - written,
            "cache_creation_input_tokens": written,
            "cache_read_input_tokens": read,
            "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
            "output_tokens": output,
            "output_tokens_details": {"thinking_tokens": answer.reasoning_tokens},
            "service_tier": "standard",
            "inference_geo": "global",
        },
    }
    if reason == "refusal":
        body["stop_details"] = {"type": "refusal", "category": None, "explanation": answer.refusal}
    return body, (prompt, output)


def headers(prompt: int, output: int) -> tuple[tuple[str, str], ...]:
    """Headers of every successful answer: the request id, and what remains of each limit and until when."""
    reset = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1))
    lines = [
        ("content-type", "application/json"),
        ("request-id", random_id("req_", 24)),
        ("anthropic-organization-id", "simulated"),
    ]
    used = {"input-tokens": prompt, "output-tokens": output, "tokens": prompt + output}
    for name, limit, default_cost in _LIMITS:
        lines += [
            (f"anthropic-ratelimit-{name}-limit", str(limit)),
            (f"anthropic-ratelimit-{name}-remaining", str(max(0, limit - used.get(name, default_cost)))),
            (f"anthropic-ratelimit-{name}-reset", reset),
        ]
    lines.append(("retry-after", "31"))  # sent with successful answers, too, where it means nothing
    return tuple(lines)


def thinking_text(calls: bool) -> str:
    """The thinking of generated answers."""
    return "The user wants an answer; " + (
        "a call of the tool gives it." if calls else "a short one that names the prompt will do."
    )


def _stop_reason(answer: Answer) -> str | None:
    if answer.raw_finish_reason in FINISH_WORDS:
        return answer.raw_finish_reason
    if answer.refusal is not None:
        return "refusal"
    if answer.stop_sequence and answer.finish_reason == "stop":
        return "stop_sequence"
    return _WORDS.get(answer.finish_reason, answer.finish_reason) if answer.finish_reason != "other" else answer.raw_finish_reason


def _content(payload: Mapping[str, Any], model: str, answer: Answer) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = []
    thinking = payload.get("thinking")
    wants_thinking = isinstance(thinking, dict) and thinking.get("type") != "disabled"
    if answer.thinking or (wants_thinking and answer.reasoning_tokens):
        display = (thinking or {}).get("display") or ("omitted" if NEWEST.match(model) else "summarized")
        text = answer.thinking or ("" if display == "omitted" else thinking_text(bool(answer.tool_calls)))
        content.append({"type": "thinking", "thinking": text, "signature": sign(model, answer.digest)})
    if answer.text:
        content.append({"type": "text", "text": answer.text})
    for call in answer.tool_calls:
        block = {"type": "tool_use", "id": random_id("toolu_01", 22), "name": call.name, "input": call.arguments or {}}
        content.append({**block, "caller": {"type": "direct"}} if _CALLER.match(model) else block)
    return content
