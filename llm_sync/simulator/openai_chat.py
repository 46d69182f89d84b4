"""OpenAI chat completions: ``POST /chat/completions``."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from llm_sync.simulator import openai_checks as checks
from llm_sync.simulator.answers import Answer, Asked, answer, weigh
from llm_sync.simulator.catalogue import DATED, limits
from llm_sync.simulator.dialect import Call, token, unknown_model
from llm_sync.simulator.openai_checks import Refuse
from llm_sync.simulator.openai_messages import read_messages
from llm_sync.simulator.openai_tools import read_schema, read_tools

_KEY_NAMES = """
    model messages audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens metadata
    modalities moderation n parallel_tool_calls prediction presence_penalty prompt_cache_key prompt_cache_options
    prompt_cache_retention reasoning_effort response_format safety_identifier seed service_tier stop store stream stream_options
    temperature tool_choice tools top_logprobs top_p user verbosity web_search_options
    """
KEYS = frozenset(_KEY_NAMES.split())
# what is asked for, and the tier the answer names
_TIERS = {
    None: "default",
    "auto": "default",
    "default": "default",
    "flex": "flex",
    "priority": "priority",
    "fast": "priority",
    "scale": "scale",
}
_ONLY_RESPONSES = re.compile(r"(gpt-5[\d.]*|o[13])-pro|codex|deep-research|computer-use")
_NOT_CHAT = re.compile(r"text-embedding|omni-moderation|whisper|tts-|gpt-image|gpt-realtime|dall-e")
_NO_STOP = re.compile(r"o3(?!-mini)|o4-mini|gpt-5(?!-chat)")


def reply(call: Call, refuse: Refuse) -> tuple[dict[str, Any], tuple[int, int]]:
    """The completion and its tokens (input, output)."""
    payload = call.payload
    for key in payload:
        if key not in KEYS:
            refuse(f"Unrecognized request argument supplied: {key}")
    _check_model(call, refuse)
    turns, prompt_tokens = read_messages(payload.get("messages"), call.model, refuse)
    effort = payload.get("reasoning_effort")
    checks.check_effort(call.model, effort, "reasoning_effort", refuse)
    reasoning = checks.reasons(call.model, effort)
    checks.check_sampling(payload, call.model, reasoning, refuse)
    checks.check_integer(payload, "n", 1, 128, refuse)
    checks.check_one_of(payload, "service_tier", tuple(_TIERS), refuse)
    checks.check_integer(payload, "seed", None, None, refuse)
    asked = Asked("openai", call.model, turns, (call.seed, payload.get("seed")), limit=_limit(call, refuse))
    asked.stops = _stops(payload, call.model, refuse)
    _read_format(payload, asked, turns, refuse)
    read_tools(payload, asked, refuse)
    prompt_tokens += 3 + weigh(payload.get("tools")) + weigh(payload.get("response_format"))
    check_window(call.model, prompt_tokens, asked.limit, refuse)
    answers = [answer(asked, choice) for choice in range(payload.get("n") or 1)]
    if reasoning:
        asked.reasoning = 64 * (1 + answers[0].number % 3)
        answers = [answer(asked, choice) for choice in range(payload.get("n") or 1)]
    return _completion(call, asked, answers, prompt_tokens)


def _completion(call: Call, asked: Asked, answers: list[Answer], prompt: int) -> tuple[dict[str, Any], tuple[int, int]]:
    choices = [
        {"index": index, "message": _message(found), "logprobs": None, "finish_reason": _finish(call.payload, found)}
        for index, found in enumerate(answers)
    ]
    reasoning = sum(found.reasoning for found in answers)
    completion = sum(found.tokens for found in answers) + reasoning
    cached = (prompt // 128 - 1) * 128 if prompt >= 1024 and answers[0].number % 2 else 0
    body = {
        "id": token("chatcmpl-", 29),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": DATED.get(call.model, call.model),
        "choices": choices,
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": reasoning,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        "service_tier": _TIERS[call.payload.get("service_tier")],
        "system_fingerprint": None if asked.reasoning else "fp_51m0000001",
    }
    return body, (prompt, completion)


def _message(found: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": found.text, "refusal": None, "annotations": []}
    if found.tool and (found.raw_arguments or not found.cut):
        call = {"name": found.tool, "arguments": found.raw_arguments}
        message["content"] = None
        message["tool_calls"] = [{"id": token("call_", 24), "type": "function", "function": call}]
    return message


def _finish(payload: Mapping[str, Any], found: Answer) -> str:
    if found.cut:
        return "length"
    if found.tool:
        # a function chosen by name ends with "stop", as recorded; only a call of the model's own choice says "tool_calls"
        return "tool_calls" if payload.get("tool_choice") == "required" else "stop"
    return "stop"


def _check_model(call: Call, refuse: Refuse) -> None:
    model = call.payload.get("model")
    if not isinstance(model, str) or not model:
        refuse("you must provide a model parameter")
    if unknown_model(model):
        message = f"The model `{model}` does not exist or you do not have access to it."
        refuse(message, code="model_not_found", status=404)
    if _NOT_CHAT.match(model):
        refuse("You are not allowed to sample from this model", status=403)
    if _ONLY_RESPONSES.search(model):
        refuse(
            "This is not a chat model and so it is not supported in the v1/chat/completions endpoint.", param="model", status=404
        )


def _limit(call: Call, refuse: Refuse) -> int | None:
    payload = call.payload
    if {"max_tokens", "max_completion_tokens"} <= call.sent:
        refuse(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            param="max_tokens",
            code="invalid_parameter_combination",
        )
    name = "max_tokens" if "max_tokens" in call.sent else "max_completion_tokens"
    if name == "max_tokens" and re.match(r"o\d|gpt-5(?!-chat)", call.model):
        refuse(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
            param="max_tokens",
            code="unsupported_parameter",
        )
    checks.check_integer(payload, name, 1, None, refuse)
    value: int | None = payload.get(name)
    most = limits("openai", call.model)
    if value is not None and most and value > most.output:
        refuse(
            f"{name} is too large: {value}. This model supports at most {most.output} completion tokens, "
            f"whereas you provided {value}.",
            param=name,
            code="invalid_value",
        )
    return value


def check_window(model: str, prompt: int, limit: int | None, refuse: Refuse) -> None:
    """Prompt and asked output have to fit the context window."""
    most = limits("openai", model)
    if most and prompt + (limit or 0) > most.window:
        refuse(
            f"This model's maximum context length is {most.window} tokens. However, you requested {prompt + (limit or 0)} tokens "
            f"({prompt} in the messages, {limit or 0} in the completion).",
            param="messages",
            code="context_length_exceeded",
        )


def _stops(payload: Mapping[str, Any], model: str, refuse: Refuse) -> tuple[str, ...]:
    stop = payload.get("stop")
    if stop is None:
        return ()
    if _NO_STOP.match(model):
        refuse("Unsupported parameter: 'stop' is not supported with this model.", param="stop", code="unsupported_parameter")
    stops = [stop] if isinstance(stop, str) else stop
    if not isinstance(stops, list) or not all(isinstance(entry, str) and entry for entry in stops):
        refuse("Invalid 'stop': expected a string or an array of strings.", param="stop", code="invalid_type")
    if len(stops) > 4:
        refuse("Invalid 'stop': expected an array with maximum length 4.", param="stop", code="array_above_max_length")
    return tuple(stops)


def _read_format(payload: Mapping[str, Any], asked: Asked, turns: list[tuple[str, str]], refuse: Refuse) -> None:
    wanted = payload.get("response_format")
    if wanted is None:
        return
    name = wanted.get("type") if isinstance(wanted, dict) else None
    if name == "json_object":
        if not any("json" in text.lower() for _, text in turns):
            refuse(
                "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
                param="messages",
            )
        asked.any_json = True
    elif name == "json_schema":
        inner = wanted.get("json_schema")
        if not isinstance(inner, dict):
            refuse(
                "Missing required parameter: 'response_format.json_schema'.",
                param="response_format.json_schema",
                code="missing_required_parameter",
            )
        read_schema(inner, "response_format.json_schema", asked, refuse)
    elif name != "text":
        refuse(
            f"Invalid value: {name!r}. Supported values are: text, json_object, json_schema.",
            param="response_format.type",
            code="invalid_value",
        )
