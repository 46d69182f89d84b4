"""The body of a chat completion: choices, finish reasons, usage, log probabilities."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from llm_sync.simulator.answers.generated import Answer
from llm_sync.simulator.answers.tokens import split_tokens
from llm_sync.simulator.dialects.base import random_id
from llm_sync.simulator.dialects.model_catalogue import DATED_NAMES

# the requested tier, and the tier in the answer
TIERS = {
    None: "default",
    "auto": "default",
    "default": "default",
    "flex": "flex",
    "priority": "priority",
    "fast": "priority",
    "scale": "scale",
}
# Models of compatible servers that reason; all but grok-4 show it. completion_tokens includes it, except for xAI.
SHOWS_REASONING = re.compile(r"grok-(?:4|3-mini|code)|deepseek-(?:reasoner|v[4-9])|kimi-(?:.*thinking|k2\.[5-9]|k[3-9])|-r1\b")
_BILLED_SEPARATELY = re.compile(r"grok-")
_HIDES_REASONING = re.compile(r"grok-4")
_THOUGHT = "A short answer that names the prompt will do."
FINISH_WORDS = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})


def completion(
    payload: Mapping[str, Any], model: str, answers: Sequence[Answer], prompt: int
) -> tuple[dict[str, Any], tuple[int, int]]:
    """The completion and its tokens (input, output); ``answers`` are its choices, ``prompt`` the counted tokens."""
    first = answers[0]
    prompt = first.input_tokens(prompt)
    output = sum(answer.output_tokens for answer in answers)
    reasoning = sum(answer.reasoning_tokens for answer in answers)
    drawn = (prompt // 128 - 1) * 128 if prompt >= 1024 and first.digest % 2 else 0
    tier = payload.get("service_tier")
    body = {
        "id": random_id("chatcmpl-", 29),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": first.model or DATED_NAMES.get(model, model),
        "choices": [_choice(payload, model, index, answer) for index, answer in enumerate(answers)],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": output - reasoning if _BILLED_SEPARATELY.match(model) else output,
            "total_tokens": prompt + output,
            "prompt_tokens_details": {"cached_tokens": first.cached_tokens(drawn), "audio_tokens": 0},
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


def tool_calls(answer: Answer) -> list[dict[str, Any]]:
    """The tool calls in OpenAI's form; a call that the limit cut has the beginning of its arguments."""
    return [
        {"id": random_id("call_", 24), "type": "function", "function": {"name": call.name, "arguments": call.raw_arguments}}
        for call in answer.tool_calls
    ]


def finish_word(answer: Answer) -> str | None:
    """``finish_reason``; None if a replayed answer had no known one."""
    if answer.raw_finish_reason in FINISH_WORDS:
        return answer.raw_finish_reason
    return answer.finish_reason if answer.finish_reason != "other" else answer.raw_finish_reason


def _choice(payload: Mapping[str, Any], model: str, index: int, answer: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text, "refusal": None, "annotations": []}
    finish = finish_word(answer)
    if answer.refusal is not None:
        message |= {"content": None, "refusal": answer.refusal}
    elif answer.tool_calls:
        message["content"] = answer.text or None
        if payload.get("functions"):  # the former API: one call, without an id
            message["function_call"] = {"name": answer.tool_calls[0].name, "arguments": answer.tool_calls[0].raw_arguments}
        else:
            message["tool_calls"] = tool_calls(answer)
        if answer.finish_reason == "tool_calls" and answer.raw_finish_reason is None:
            finish = _finish_of_tool_calls(payload)
    shown = answer.reasoning_tokens and SHOWS_REASONING.search(model) and not _HIDES_REASONING.match(model)
    if answer.thinking or shown:  # only compatible servers show it
        message["reasoning_content"] = answer.thinking or _THOUGHT
    logprobs = {"content": _logprobs(payload, answer), "refusal": None} if payload.get("logprobs") else None
    return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": finish}


def _finish_of_tool_calls(payload: Mapping[str, Any]) -> str:
    """The finish reason of tool calls: "stop" if the request named the function, as recorded from OpenAI."""
    old = bool(payload.get("functions"))
    if isinstance(payload.get("function_call" if old else "tool_choice"), dict):
        return "stop"
    return "function_call" if old else "tool_calls"


def _logprobs(payload: Mapping[str, Any], answer: Answer) -> list[dict[str, Any]]:
    """Every token with its most likely alternatives; the probabilities are made up."""
    alternatives = payload.get("top_logprobs") or 0

    def entry(piece: str, rank: int) -> dict[str, Any]:
        return {"token": piece, "logprob": -0.01 - rank, "bytes": list(piece.encode("utf-8", "replace"))}

    return [
        {
            **entry(piece, 0),
            "top_logprobs": [entry(piece if rank == 0 else f"{piece}{rank}", rank) for rank in range(alternatives)],
        }
        for piece in split_tokens(answer.text)
    ]
