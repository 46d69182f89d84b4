"""The OpenAI Responses API: checks and parses ``POST /responses``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from llm_sync.simulator.answers.generated import ParsedRequest, request_digest
from llm_sync.simulator.answers.tokens import count_json_tokens
from llm_sync.simulator.dialects.base import Call
from llm_sync.simulator.dialects.model_catalogue import is_unknown_model, model_limits
from llm_sync.simulator.dialects.openai import checks
from llm_sync.simulator.dialects.openai.chat_completions import NOT_CHAT, check_verbosity, check_window
from llm_sync.simulator.dialects.openai.checks import Refuse
from llm_sync.simulator.dialects.openai.completion_body import TIERS
from llm_sync.simulator.dialects.openai.responses_input import read_input
from llm_sync.simulator.dialects.openai.tool_turns import check_items
from llm_sync.simulator.dialects.openai.tools import check_function, choose_tool, read_schema
from llm_sync.simulator.server.response import ListedError

_KEY_NAMES = """
    access_programs background background_options context_management conversation image include input instructions
    max_output_tokens max_tool_calls metadata model moderation parallel_tool_calls previous_response_id prompt
    prompt_cache_key prompt_cache_options prompt_cache_retention reasoning safety_identifier service_tier store stream
    stream_options temperature text tool_choice tools top_logprobs top_p truncation user
    """
KEYS = frozenset(_KEY_NAMES.split())
_RENAMED = {
    "messages": "input",
    "response_format": "text.format",
    "max_tokens": "max_output_tokens",
    "reasoning_effort": "reasoning.effort",
}
_RENAMED["max_completion_tokens"] = "max_output_tokens"
_UNSUPPORTED_MODELS = re.compile(rf"o1-mini|o1-preview|gpt-4-0314|{NOT_CHAT.pattern}")
_REASONING_KEYS = ("effort", "summary", "generate_summary", "context", "mode")
_INCLUDABLE = (
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
)
_TYPES: Mapping[type, str] = {
    str: "instructions user safety_identifier prompt_cache_key previous_response_id truncation",
    bool: "background store parallel_tool_calls",
    list: "include",
    dict: "metadata reasoning text prompt",
}


def read(call: Call, refuse: Refuse) -> tuple[ParsedRequest, int]:
    """Checks the payload; returns the parsed request and the tokens of the prompt."""
    payload = call.payload
    _check_keys(call, refuse)
    checks.check_types(payload, _TYPES, refuse)
    turns, prompt_tokens = read_input(payload, refuse)
    check_items(payload.get("input"), call.model, refuse)
    settings = payload.get("reasoning") or {}
    for key in settings:
        if key not in _REASONING_KEYS:
            refuse(f"Unknown parameter: 'reasoning.{key}'.", param=f"reasoning.{key}", code="unknown_parameter")
    effort = settings.get("effort")
    checks.check_effort(call.model, effort, "reasoning.effort", refuse)
    checks.check_one_of(settings, "summary", ("auto", "concise", "detailed"), refuse, "reasoning.summary")
    reasoning = checks.reasons(call.model, effort)
    checks.check_sampling(payload, call.model, reasoning, refuse)
    checks.check_integer(payload, "max_output_tokens", 16, None, refuse)
    checks.check_integer(payload, "max_tool_calls", 1, None, refuse)
    checks.check_one_of(payload, "truncation", ("auto", "disabled"), refuse)
    checks.check_tier(payload, call.model, TIERS, refuse)
    if payload.get("background_options") is not None:
        refuse("'background_options' is only allowed with 'background': true.", param="background_options")
    checks.check_metadata(payload, refuse)
    _check_include(payload, refuse)
    limit, limits = payload.get("max_output_tokens"), model_limits("openai", call.model)
    if limit is not None and limits and limit > limits.output:
        refuse(
            f"Invalid 'max_output_tokens': integer above maximum value. Expected a value <= {limits.output}, but got {limit} "
            "instead.",
            param="max_output_tokens",
            code="integer_above_max_value",
        )
    parsed = ParsedRequest("openai-responses", call.model, turns, (call.seed, None), max_tokens=limit)
    _read_format(payload, parsed, turns, refuse)
    _read_tools(payload, parsed, refuse)
    prompt_tokens += count_json_tokens(payload.get("tools")) + count_json_tokens(payload.get("text"))
    check_window(call.model, prompt_tokens, parsed.max_tokens)
    if reasoning:
        parsed.reasoning_tokens = 64 * (1 + request_digest(parsed) % 3)
    return parsed, prompt_tokens


def _check_include(payload: dict[str, Any], refuse: Refuse) -> None:
    for index, name in enumerate(payload.get("include") or ()):
        if name not in _INCLUDABLE:
            refuse(
                f"Invalid value: {name!r}. Supported values are: {checks.quoted_list(_INCLUDABLE)}.",
                param=f"include[{index}]",
                code="invalid_value",
            )


def _check_keys(call: Call, refuse: Refuse) -> None:
    for key in call.payload:
        if key in _RENAMED:
            refuse(
                f"Unsupported parameter: '{key}'. In the Responses API, this parameter has moved to '{_RENAMED[key]}'.",
                param=key,
                code="unsupported_parameter",
            )
        if key not in KEYS:
            refuse(f"Unknown parameter: '{key}'.", param=key, code="unknown_parameter")
    model = call.payload.get("model")
    if not isinstance(model, str) or not model:
        refuse("Missing required parameter: 'model'.", param="model", code="missing_required_parameter")
    if is_unknown_model("openai", model):
        raise ListedError("not_found")
    if _UNSUPPORTED_MODELS.match(model):
        refuse(f"The requested model '{model}' cannot be used with the Responses API.", param="model", code="model_not_found")
    previous = call.payload.get("previous_response_id")
    if previous is not None:
        refuse(
            f"Previous response with id '{previous}' not found.", param="previous_response_id", code="previous_response_not_found"
        )


def _read_format(payload: dict[str, Any], parsed: ParsedRequest, turns: list[tuple[str, str]], refuse: Refuse) -> None:
    text = payload.get("text") or {}
    for key in text:
        if key not in ("format", "verbosity"):
            refuse(f"Unknown parameter: 'text.{key}'.", param=f"text.{key}", code="unknown_parameter")
    check_verbosity(text, parsed.model, "text.verbosity", refuse)
    wanted = text.get("format")
    if wanted is None:
        return
    name = wanted.get("type") if isinstance(wanted, dict) else None
    if name == "json_object":
        if not any("json" in turn_text.lower() for _, turn_text in turns):
            refuse(
                "Response input messages must contain the word 'json' to use 'text.format' of type 'json_object'.", param="input"
            )
        parsed.json_mode = True
    elif name == "json_schema" and isinstance(wanted, dict):
        if "schema" not in wanted:
            refuse(
                "Missing required parameter: 'text.format.schema'.", param="text.format.schema", code="missing_required_parameter"
            )
        read_schema(wanted, "text.format", parsed, refuse)
    elif name != "text":
        refuse(
            f"Invalid value: {name!r}. Supported values are: text, json_object, json_schema.",
            param="text.format.type",
            code="invalid_value",
        )


def _read_tools(payload: dict[str, Any], parsed: ParsedRequest, refuse: Refuse) -> None:
    tools, choice = payload.get("tools"), payload.get("tool_choice")
    if not tools:
        if choice not in (None, "none", "auto"):
            refuse("Tool choice is only allowed when 'tools' are given.", param="tool_choice")
        return
    if not isinstance(tools, list) or not all(isinstance(tool, dict) and isinstance(tool.get("type"), str) for tool in tools):
        refuse("Invalid 'tools': expected a list of objects with a type.", param="tools", code="invalid_type")
    functions = []
    for index, tool in enumerate(tools):
        if tool["type"] == "function":
            if "name" not in tool:
                refuse(
                    f"Missing required parameter: 'tools[{index}].name'.",
                    param=f"tools[{index}].name",
                    code="missing_required_parameter",
                )
            functions.append(check_function(tool, f"tools[{index}]", refuse))
    parsed.tools = functions
    if isinstance(choice, dict) and choice.get("type") != "function":
        return  # a tool that the provider runs, or a choice left to the model
    choose_tool(parsed, choice, choice.get("name") if isinstance(choice, dict) else None, refuse)
