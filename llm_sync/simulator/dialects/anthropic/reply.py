"""The body of an answered message: blocks, stop reason, usage, and the headers of rate limits."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from llm_sync.simulator.answers.generated import Answer
from llm_sync.simulator.dialects.anthropic.messages import NEWEST
from llm_sync.simulator.dialects.base import token
from llm_sync.simulator.dialects.model_catalogue import DATED

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
    payload: Mapping[str, Any], model: str, found: Answer, prompt: int, cacheable: bool
) -> tuple[dict[str, Any], tuple[int, int]]:
    """The message and its tokens (input, output); ``cacheable``: whether a part of the prompt is marked for the cache."""
    # tokens read from or written to the cache stand beside input_tokens, not in them
    prompt, output = found.input(prompt), found.output
    cached = prompt * 3 // 4 if cacheable and prompt >= 1024 else 0
    read = found.cached(cached if found.number % 2 else 0)
    written = cached - read if found.billed.input is None else 0
    reason = _stop_reason(found)
    body = {
        "id": token("msg_01", 22),
        "type": "message",
        "role": "assistant",
        "model": found.model or DATED.get(model, model),
        "content": _content(payload, model, found) if found.refusal is None else [],
        "stop_reason": reason,
        "stop_sequence": found.stop if reason == "stop_sequence" else None,
        "stop_details": None,
        "usage": {
            "input_tokens": prompt - read - written,
            "cache_creation_input_tokens": written,
            "cache_read_input_tokens": read,
            "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
            "output_tokens": output,
            "output_tokens_details": {"thinking_tokens": found.reasoning},
            "service_tier": "standard",
            "inference_geo": "global",
        },
    }
    if reason == "refusal":
        body["stop_details"] = {"type": "refusal", "category": None, "explanation": found.refusal}
    return body, (prompt, output)


def headers(prompt: int, output: int) -> tuple[tuple[str, str], ...]:
    """Of every good answer: the request's id, and what is left of each limit, with the times they are full again."""
    reset = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1))
    found = [("content-type", "application/json"), ("request-id", token("req_", 24)), ("anthropic-organization-id", "simulated")]
    used = {"input-tokens": prompt, "output-tokens": output, "tokens": prompt + output}
    for name, limit, one in _LIMITS:
        found += [
            (f"anthropic-ratelimit-{name}-limit", str(limit)),
            (f"anthropic-ratelimit-{name}-remaining", str(max(0, limit - used.get(name, one)))),
            (f"anthropic-ratelimit-{name}-reset", reset),
        ]
    found.append(("retry-after", "31"))  # there on good answers too, where it means nothing
    return tuple(found)


def thought(calls: bool) -> str:
    """What the made-up answers think before."""
    return "The user wants an answer; " + (
        "a call of the tool gives it." if calls else "a short one that names the prompt will do."
    )


def _stop_reason(found: Answer) -> str | None:
    if found.raw_finish in FINISH_WORDS:
        return found.raw_finish
    if found.refusal is not None:
        return "refusal"
    if found.stop and found.finish == "stop":
        return "stop_sequence"
    return _WORDS.get(found.finish, found.finish) if found.finish != "other" else found.raw_finish


def _content(payload: Mapping[str, Any], model: str, found: Answer) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = []
    thinking = payload.get("thinking")
    asked = isinstance(thinking, dict) and thinking.get("type") != "disabled"
    if found.thinking or (asked and found.reasoning):
        display = (thinking or {}).get("display") or ("omitted" if NEWEST.match(model) else "summarized")
        text = found.thinking or ("" if display == "omitted" else thought(bool(found.calls)))
        content.append({"type": "thinking", "thinking": text, "signature": f"Eq{found.number:016x}Simulated=="})
    if found.text:
        content.append({"type": "text", "text": found.text})
    for call in found.calls:
        block = {"type": "tool_use", "id": token("toolu_01", 22), "name": call.name, "input": call.arguments or {}}
        content.append({**block, "caller": {"type": "direct"}} if _CALLER.match(model) else block)
    return content
