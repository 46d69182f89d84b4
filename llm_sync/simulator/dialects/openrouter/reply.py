"""The body of a completion that came through OpenRouter: its upstream, its price, and blanks before the JSON."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from llm_sync.simulator.answers.generated import Answer
from llm_sync.simulator.dialects.base import token
from llm_sync.simulator.dialects.openai.completion_body import finish_word, tool_calls
from llm_sync.simulator.server.response import Response

PRICES = (0.00000015, 0.0000006)  # USD per token, input and output
_BLANKS = b"\n         \n"  # sent while the real service waits for its upstream: nearly every body begins with some
_UPSTREAMS = {
    "openai": "OpenAI",
    "anthropic": "Anthropic",
    "google": "Google",
    "deepseek": "DeepSeek",
    "mistralai": "Mistral",
    "x-ai": "xAI",
}
_NATIVE = {
    "anthropic": {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"},
    "google": {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP", "content_filter": "SAFETY"},
}


def upstream_of(model: str) -> str:
    """Who serves a model."""
    return _UPSTREAMS.get(model.partition("/")[0], "Simulated")


def completion(payload: Mapping[str, Any], model: str, found: Answer, prompt: int) -> tuple[dict[str, Any], tuple[int, int]]:
    """The completion and its tokens (input, output); ``prompt`` are the tokens counted."""
    prompt, output = found.input(prompt), found.output
    maker, now = model.partition("/")[0], int(time.time())
    finish = "content_filter" if found.refusal is not None else finish_word(found)
    costs = prompt * PRICES[0], output * PRICES[1]
    body = {
        "id": token(f"gen-{now}-", 20),
        "provider": upstream_of(model),
        "model": found.model or model,
        "object": "chat.completion",
        "created": now,
        "choices": [
            {
                "logprobs": None,
                "finish_reason": finish,
                "native_finish_reason": _NATIVE.get(maker, {}).get(finish or "", finish),
                "index": 0,
                "message": _message(payload, found),
            }
        ],
        "system_fingerprint": None,
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": output,
            "total_tokens": prompt + output,
            "cost": sum(costs),
            "is_byok": False,
            "prompt_tokens_details": {"cached_tokens": found.cached(0), "audio_tokens": 0},
            "cost_details": {
                "upstream_inference_cost": None,
                "upstream_inference_prompt_cost": costs[0],
                "upstream_inference_completions_cost": costs[1],
            },
            "completion_tokens_details": {"reasoning_tokens": found.reasoning, "image_tokens": 0},
        },
    }
    return body, (prompt, output)


def padded(answered: Response, found: Answer) -> Response:
    """The response behind some of the blanks."""
    return answered._replace(body=_BLANKS * (1 + found.number % 4) + answered.content())


def _message(payload: Mapping[str, Any], found: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": found.text, "refusal": None, "reasoning": None}
    if found.refusal is not None:
        return {**message, "content": None, "refusal": found.refusal}
    settings = payload.get("reasoning")
    hidden = isinstance(settings, dict) and bool(settings.get("exclude"))
    if found.thinking or (found.reasoning and not hidden):
        message["reasoning"] = found.thinking or "A short answer that names the prompt will do."
        detail = {"type": "reasoning.text", "text": message["reasoning"], "format": "unknown", "index": 0}
        message["reasoning_details"] = [detail]
    if found.calls:
        message["tool_calls"] = [{**call, "index": index} for index, call in enumerate(tool_calls(found))]
    return message
