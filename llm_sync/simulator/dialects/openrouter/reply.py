"""The body of OpenRouter's chat completions, with upstream provider, cost, and white space before the JSON."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from llm_sync.simulator.answers.generated import Answer
from llm_sync.simulator.dialects.base import random_id
from llm_sync.simulator.dialects.openai.completion_body import finish_word, tool_calls
from llm_sync.simulator.server.response import Response

PRICES = (0.00000015, 0.0000006)  # USD per token, input and output
_WHITESPACE = b"\n         \n"  # the real service sends it while it waits for its upstream; nearly every body begins with some
_UPSTREAMS = {
    "openai": "OpenAI",
    "anthropic": "Anthropic",
    "google": "Google",
    "deepseek": "DeepSeek",
    "mistralai": "Mistral",
    "x-ai": "xAI",
}
_NATIVE_FINISH_REASONS = {
    "anthropic": {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"},
    "google": {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP", "content_filter": "SAFETY"},
}


def upstream_of(model: str) -> str:
    """The name of the upstream provider of a model."""
    return _UPSTREAMS.get(model.partition("/")[0], "Simulated")


def completion(payload: Mapping[str, Any], model: str, answer: Answer, prompt: int) -> tuple[dict[str, Any], tuple[int, int]]:
    """The completion and its tokens (input, output); ``prompt`` are the counted tokens."""
    prompt, output = answer.input_tokens(prompt), answer.output_tokens
    maker, now = model.partition("/")[0], int(time.time())
    finish = "content_filter" if answer.refusal is not None else finish_word(answer)
    costs = prompt * PRICES[0], output * PRICES[1]
    cached = prompt * 3 // 4 if prompt >= 1024 and _has_cache_control(payload) else 0
    read = answer.cached_tokens(cached if answer.digest % 2 else 0)
    body = {
        "id": random_id(f"gen-{now}-", 20),
        "provider": upstream_of(model),
        "model": answer.model or model,
        "object": "chat.completion",
        "created": now,
        "choices": [
            {
                "logprobs": None,
                "finish_reason": finish,
                "native_finish_reason": _NATIVE_FINISH_REASONS.get(maker, {}).get(finish or "", finish),
                "index": 0,
                "message": _message(payload, answer),
            }
        ],
        "system_fingerprint": None,
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": output,
            "total_tokens": prompt + output,
            "cost": sum(costs),
            "is_byok": False,
            "prompt_tokens_details": {
                "cached_tokens": read,
                "cache_write_tokens": answer.cache_write_tokens(cached - read),
                "audio_tokens": 0,
            },
            "cost_details": {
                "upstream_inference_cost": None,
                "upstream_inference_prompt_cost": costs[0],
                "upstream_inference_completions_cost": costs[1],
            },
            "completion_tokens_details": {"reasoning_tokens": answer.reasoning_tokens, "image_tokens": 0},
        },
    }
    return body, (prompt, output)


def _has_cache_control(payload: Mapping[str, Any]) -> bool:
    """Whether any part of a message has a cache_control."""
    contents = [message.get("content") for message in payload["messages"] if isinstance(message, dict)]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    return any(isinstance(part, dict) and part.get("cache_control") for part in parts)


def with_leading_whitespace(answered: Response, answer: Answer) -> Response:
    """The response with white space before its body."""
    return answered._replace(body=_WHITESPACE * (1 + answer.digest % 4) + answered.content())


def _message(payload: Mapping[str, Any], answer: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text, "refusal": None, "reasoning": None}
    if answer.refusal is not None:
        return {**message, "content": None, "refusal": answer.refusal}
    settings = payload.get("reasoning")
    hidden = isinstance(settings, dict) and bool(settings.get("exclude"))
    if answer.thinking or (answer.reasoning_tokens and not hidden):
        message["reasoning"] = answer.thinking or "A short answer that names the prompt will do."
        detail = {"type": "reasoning.text", "text": message["reasoning"], "format": "unknown", "index": 0}
        message["reasoning_details"] = [detail]
    if answer.tool_calls:
        message["tool_calls"] = [{**call, "index": index} for index, call in enumerate(tool_calls(answer))]
    return message
