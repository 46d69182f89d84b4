"""OpenAI chat completions: checks and parses ``POST /chat/completions``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from llm_sync.simulator.answers.generated import ParsedRequest, generate_answer, request_digest
from llm_sync.simulator.answers.tokens import count_json_tokens
from llm_sync.simulator.dialects.base import Call
from llm_sync.simulator.dialects.model_catalogue import is_unknown_model, model_limits
from llm_sync.simulator.dialects.openai import checks
from llm_sync.simulator.dialects.openai.checks import Refuse
from llm_sync.simulator.dialects.openai.completion_body import SHOWS_REASONING, TIERS
from llm_sync.simulator.dialects.openai.messages import read_messages
from llm_sync.simulator.dialects.openai.tool_turns import check_tool_turns
from llm_sync.simulator.dialects.openai.tools import read_functions, read_schema, read_tools
from llm_sync.simulator.server.response import ListedError

_KEY_NAMES = """
    model messages audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens metadata
    modalities moderation n parallel_tool_calls prediction presence_penalty prompt_cache_key prompt_cache_options
    prompt_cache_retention reasoning_effort response_format safety_identifier seed service_tier stop store stream stream_options
    temperature tool_choice tools top_logprobs top_p user verbosity web_search_options
    """
KEYS = frozenset(_KEY_NAMES.split())
_TYPES: Mapping[type, str] = {
    str: "user safety_identifier prompt_cache_key",
    bool: "logprobs store parallel_tool_calls",
    list: "modalities functions",
    dict: "logit_bias metadata audio prediction web_search_options",
}
_RESPONSES_ONLY = re.compile(r"(gpt-5[\d.]*|o[13])-pro|codex|deep-research|computer-use")
NOT_CHAT = re.compile(r"text-embedding|omni-moderation|whisper|tts-|gpt-image|gpt-realtime|dall-e")
_NO_STOP = re.compile(r"o3(?!-mini)|o4-mini|gpt-5(?!-chat)")
_NO_TOOLS = re.compile(r"gpt-5-chat-latest|chatgpt-4o|o1-mini|o1-preview|gpt-4o[\w-]*-search-preview")
# models older than structured output, and older than JSON mode
_NO_SCHEMA = re.compile(r"gpt-3\.5|gpt-4(?![o.\d])|gpt-4o-2024-05-13|o1-mini|o1-preview")
_NO_JSON = re.compile(r"gpt-4(?:-0314|-0613|-32k)?$|o1-mini|o1-preview")
_SEED_BOUND = 2**63


def read(call: Call, refuse: Refuse) -> tuple[ParsedRequest, int]:
    """Checks the payload; returns the parsed request and the tokens of the prompt."""
    payload = call.payload
    for key in payload:
        if key not in KEYS:
            refuse(f"Unknown parameter: '{key}'.", param=key, code="unknown_parameter")
    _check_model(call, refuse)
    checks.check_types(payload, _TYPES, refuse)
    turns, prompt_tokens = read_messages(payload.get("messages"), call.model, refuse)
    check_tool_turns(payload["messages"], call.model, refuse)
    effort = payload.get("reasoning_effort")
    checks.check_effort(call.model, effort, "reasoning_effort", refuse)
    reasoning = checks.reasons(call.model, effort)
    checks.check_sampling(payload, call.model, reasoning, refuse)
    checks.check_integer(payload, "n", 1, 128, refuse)
    checks.check_tier(payload, call.model, TIERS, refuse)
    checks.check_integer(payload, "seed", -_SEED_BOUND, _SEED_BOUND - 1, refuse)
    checks.check_metadata(payload, refuse)
    check_verbosity(payload, call.model, "verbosity", refuse)
    if payload.get("top_logprobs") and not payload.get("logprobs"):
        refuse("Invalid value for 'top_logprobs': it needs 'logprobs' to be true.", param="top_logprobs", code="invalid_value")
    if "audio" in (payload.get("modalities") or ()) and "audio" not in call.model:
        refuse("This model does not support audio output.", param="modalities", code="invalid_value")
    parsed = ParsedRequest("openai", call.model, turns, (call.seed, payload.get("seed")), max_tokens=_limit(call, refuse))
    parsed.stop_sequences = _stops(payload, call.model, refuse)
    _read_format(payload, parsed, turns, refuse)
    _read_calls(call, parsed, refuse)
    prompt_tokens += 3 + sum(count_json_tokens(payload.get(name)) for name in ("tools", "functions", "response_format"))
    check_window(call.model, prompt_tokens, parsed.max_tokens)
    if reasoning or SHOWS_REASONING.search(call.model):
        parsed.reasoning_tokens = 64 * (1 + request_digest(parsed) % 3)
    return parsed, prompt_tokens


def generate_choices(parsed: ParsedRequest, payload: Mapping[str, Any]) -> list[Any]:
    """``n`` answers."""
    return [generate_answer(parsed, choice) for choice in range(payload.get("n") or 1)]


def _read_calls(call: Call, parsed: ParsedRequest, refuse: Refuse) -> None:
    payload = call.payload
    if (payload.get("tools") or payload.get("functions")) and _NO_TOOLS.match(call.model):
        what = "tools" if payload.get("tools") else "functions"
        refuse(f"{what} is not supported in this model.", status=404)
    if payload.get("tools") and payload.get("functions"):
        refuse("'functions' and 'tools' cannot both be given.", param="functions")
    if payload.get("parallel_tool_calls") is not None and not payload.get("tools"):
        message = "Invalid value for 'parallel_tool_calls': 'parallel_tool_calls' is only allowed when 'tools' are specified."
        refuse(message, param="parallel_tool_calls")
    if payload.get("functions"):
        read_functions(payload, parsed, refuse)
    else:
        read_tools(payload, parsed, refuse)


def _check_model(call: Call, refuse: Refuse) -> None:
    model = call.payload.get("model")
    if not isinstance(model, str) or not model:
        refuse("you must provide a model parameter")
    if is_unknown_model("openai", model):
        raise ListedError("not_found")
    if NOT_CHAT.match(model):
        raise ListedError("permission")
    if _RESPONSES_ONLY.search(model):
        refuse(
            "This is not a chat model and so it is not supported in the v1/chat/completions endpoint.", param="model", status=404
        )


def check_verbosity(settings: Mapping[str, Any], model: str, param: str, refuse: Refuse) -> None:
    """Checks the verbosity: low, medium or high; models before GPT-5 accept only medium."""
    value = settings.get("verbosity")
    if value not in (None, "low", "medium", "high"):
        refuse(f"Invalid value: {value!r}. Supported values are: 'low', 'medium', and 'high'.", param=param, code="invalid_value")
    if value in ("low", "high") and checks.OWN_MODELS.match(model) and not re.match(r"gpt-[5-9](?!-chat)", model):
        message = f"Unsupported value: '{value}' is not supported with the '{model}' model. Supported values are: 'medium'."
        refuse(message, param=param, code="unsupported_value")


def _limit(call: Call, refuse: Refuse) -> int | None:
    payload = call.payload
    if {"max_tokens", "max_completion_tokens"} <= call.fields_sent:
        refuse(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            param="max_tokens",
            code="invalid_parameter_combination",
        )
    name = "max_tokens" if "max_tokens" in call.fields_sent else "max_completion_tokens"
    if name == "max_tokens" and re.match(r"o\d|gpt-5(?!-chat)", call.model):
        refuse(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
            param="max_tokens",
            code="unsupported_parameter",
        )
    checks.check_integer(payload, name, 1, None, refuse)
    value: int | None = payload.get(name)
    limits = model_limits("openai", call.model)
    if value is not None and limits and value > limits.output:
        refuse(
            f"{name} is too large: {value}. This model supports at most {limits.output} completion tokens, "
            f"whereas you provided {value}.",
            param=name,
            code="invalid_value",
        )
    return value


def check_window(model: str, prompt: int, limit: int | None) -> None:
    """Checks that prompt and requested output fit into the context window."""
    limits = model_limits("openai", model)
    if limits and prompt + (limit or 0) > limits.window:
        raise ListedError("context", window=limits.window, requested=prompt + (limit or 0))


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


def _read_format(payload: Mapping[str, Any], parsed: ParsedRequest, turns: list[tuple[str, str]], refuse: Refuse) -> None:
    wanted = payload.get("response_format")
    if wanted is None:
        return
    name = wanted.get("type") if isinstance(wanted, dict) else None
    if (name == "json_schema" and _NO_SCHEMA.match(parsed.model)) or (name == "json_object" and _NO_JSON.match(parsed.model)):
        refuse(
            f"Invalid parameter: 'response_format' of type '{name}' is not supported with this model.", param="response_format"
        )
    if name == "json_object":
        if not any("json" in text.lower() for _, text in turns):
            refuse(
                "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
                param="messages",
            )
        parsed.json_mode = True
    elif name == "json_schema":
        inner = wanted.get("json_schema")
        if not isinstance(inner, dict):
            refuse(
                "Missing required parameter: 'response_format.json_schema'.",
                param="response_format.json_schema",
                code="missing_required_parameter",
            )
        read_schema(inner, "response_format.json_schema", parsed, refuse)
    elif name != "text":
        refuse(
            f"Invalid value: {name!r}. Supported values are: text, json_object, json_schema.",
            param="response_format.type",
            code="invalid_value",
        )
