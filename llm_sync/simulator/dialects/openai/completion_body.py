"""The body of a chat completion: choices, finish words, usage, log probabilities."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from llm_sync.simulator.answers.generated import Answer
from llm_sync.simulator.answers.tokens import split
from llm_sync.simulator.dialects.base import token
from llm_sync.simulator.dialects.model_catalogue import DATED

# what is asked for, and the tier the answer names
TIERS = {
    None: "default",
    "auto": "default",
    "default": "default",
    "flex": "flex",
    "priority": "priority",
    "fast": "priority",
    "scale": "scale",
}
# Models of compatible servers that think, and show it: all but grok-4. xAI bills it beside completion_tokens, others within.
THINKS = re.compile(r"grok-(?:4|3-mini|code)|deepseek-reasoner|-r1\b")
_BESIDE = re.compile(r"grok-")
_HIDDEN = re.compile(r"grok-4")
_THOUGHT = "A short answer that names the prompt will do."
FINISH_WORDS = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})


def completion(
    payload: Mapping[str, Any], model: str, answers: Sequence[Answer], prompt: int
) -> tuple[dict[str, Any], tuple[int, int]]:
    """The completion and its tokens (input, output); ``answers`` are its choices, ``prompt`` the tokens counted."""
    first = answers[0]
    prompt = first.input(prompt)
    output = sum(found.output for found in answers)
    reasoning = sum(found.reasoning for found in answers)
    drawn = (prompt // 128 - 1) * 128 if prompt >= 1024 and first.number % 2 else 0
    tier = payload.get("service_tier")
    body = {
        "id": token("chatcmpl-", 29),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": first.model or DATED.get(model, model),
        "choices": [_choice(payload, model, index, found) for index, found in enumerate(answers)],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": output - reasoning if _BESIDE.match(model) else output,
            "total_tokens": prompt + output,
            "prompt_tokens_details": {"cached_tokens": first.cached(drawn), "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": reasoning,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        "service_tier": TIERS.get(tier, "default") if isinstance(tier, str) else "default",
        "system_fingerprint": None if reasoning else "fp_51m0000001",
    }
    return body, (prompt, output)


def tool_calls(found: Answer) -> list[dict[str, Any]]:
    """The calls as this shape has them; a call that the limit cut has the beginning of its arguments."""
    return [
        {"id": token("call_", 24), "type": "function", "function": {"name": call.name, "arguments": call.raw}}
        for call in found.calls
    ]


def finish_word(found: Answer) -> str | None:
    """``finish_reason``; None where a replayed answer had none that is known here."""
    if found.raw_finish in FINISH_WORDS:
        return found.raw_finish
    return found.finish if found.finish != "other" else found.raw_finish


def _choice(payload: Mapping[str, Any], model: str, index: int, found: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": found.text, "refusal": None, "annotations": []}
    finish = finish_word(found)
    if found.refusal is not None:
        message |= {"content": None, "refusal": found.refusal}
    elif found.calls:
        message["content"] = found.text or None
        if payload.get("functions"):  # the old way, one call without an id
            message["function_call"] = {"name": found.calls[0].name, "arguments": found.calls[0].raw}
        else:
            message["tool_calls"] = tool_calls(found)
        if found.finish == "tool_calls" and found.raw_finish is None:
            finish = _finish_of_calls(payload)
    shown = found.reasoning and THINKS.search(model) and not _HIDDEN.match(model)
    if found.thinking or shown:  # OpenAI shows none; compatible servers do
        message["reasoning_content"] = found.thinking or _THOUGHT
    logprobs = {"content": _logprobs(payload, found), "refusal": None} if payload.get("logprobs") else None
    return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": finish}


def _finish_of_calls(payload: Mapping[str, Any]) -> str:
    """A function chosen by name ends with "stop", as recorded; a call of the model's own choice says what it is."""
    old = bool(payload.get("functions"))
    if isinstance(payload.get("function_call" if old else "tool_choice"), dict):
        return "stop"
    return "function_call" if old else "tool_calls"


def _logprobs(payload: Mapping[str, Any], found: Answer) -> list[dict[str, Any]]:
    """Every token with its likeliest rivals; the figures are made up, and fall as probabilities do."""
    rivals = payload.get("top_logprobs") or 0

    def likely(piece: str, place: int) -> dict[str, Any]:
        return {"token": piece, "logprob": -0.01 - place, "bytes": list(piece.encode("utf-8", "replace"))}

    return [
        {
            **likely(piece, 0),
            "top_logprobs": [likely(piece if place == 0 else f"{piece}{place}", place) for place in range(rivals)],
        }
        for piece in split(found.text)
    ]
