"""OpenAI Responses: ``POST /responses``."""

from __future__ import annotations

import json
import re
import time
from typing import Any

from llm_sync.simulator import openai_checks as checks
from llm_sync.simulator.answers import Answer, Asked, answer, count, image_text, weigh
from llm_sync.simulator.catalogue import DATED
from llm_sync.simulator.dialect import Call, token, unknown_model
from llm_sync.simulator.openai_chat import check_window
from llm_sync.simulator.openai_checks import Refuse, kind
from llm_sync.simulator.openai_tools import check_function, choose_tool, read_schema

_KEY_NAMES = """
    background conversation include input instructions max_output_tokens max_tool_calls metadata model parallel_tool_calls
    previous_response_id prompt prompt_cache_key prompt_cache_options prompt_cache_retention reasoning safety_identifier
    service_tier store stream stream_options temperature text tool_choice tools top_logprobs top_p truncation user
    """
KEYS = frozenset(_KEY_NAMES.split())
_MOVED = {
    "messages": "input",
    "response_format": "text.format",
    "max_tokens": "max_output_tokens",
    "reasoning_effort": "reasoning.effort",
}
_MOVED["max_completion_tokens"] = "max_output_tokens"
_ROLES = ("user", "assistant", "system", "developer")
_PARTS = ("input_text", "output_text", "input_image", "input_file", "refusal", "summary_text")
_OTHER_ITEMS = ("reasoning", "item_reference", "compaction")
_NOT_HERE = re.compile(r"o1-mini|o1-preview|gpt-4-0314")


def reply(call: Call, refuse: Refuse) -> tuple[dict[str, Any], tuple[int, int]]:
    """The response object and its tokens (input, output)."""
    payload = call.payload
    _check_keys(call, refuse)
    turns, prompt_tokens = _read_input(payload, refuse)
    settings = payload.get("reasoning") or {}
    effort = settings.get("effort") if isinstance(settings, dict) else settings
    checks.check_effort(call.model, effort, "reasoning.effort", refuse)
    reasoning = checks.reasons(call.model, effort)
    checks.check_sampling(payload, call.model, reasoning, refuse)
    checks.check_integer(payload, "max_output_tokens", 16, None, refuse)
    asked = Asked("openai-responses", call.model, turns, (call.seed, None), limit=payload.get("max_output_tokens"))
    _read_format(payload, asked, turns, refuse)
    _read_tools(payload, asked, refuse)
    prompt_tokens += weigh(payload.get("tools")) + weigh(payload.get("text"))
    check_window(call.model, prompt_tokens, asked.limit, refuse)
    found = answer(asked)
    if reasoning:
        asked.reasoning = 64 * (1 + found.number % 3)
        found = answer(asked)
    return _response(call, found, reasoning, effort, prompt_tokens)


def _response(call: Call, found: Answer, reasoning: bool, effort: object, prompt: int) -> tuple[dict[str, Any], tuple[int, int]]:
    payload, now = call.payload, int(time.time())
    output = found.tokens + found.reasoning
    cached = (prompt // 128 - 1) * 128 if prompt >= 1024 and found.number % 2 else 0
    text = payload.get("text") if isinstance(payload.get("text"), dict) else {}
    body = {
        "id": token("resp_", 50),
        "object": "response",
        "created_at": now,
        "completed_at": None if found.cut else now,
        "status": "incomplete" if found.cut else "completed",
        "background": False,
        "billing": {"payer": "developer"},
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if found.cut else None,
        "instructions": payload.get("instructions"),
        "max_output_tokens": payload.get("max_output_tokens"),
        "max_tool_calls": None,
        "metadata": payload.get("metadata") or {},
        "model": DATED.get(call.model, call.model),
        "output": _items(found, reasoning),
        "parallel_tool_calls": payload.get("parallel_tool_calls") is not False,
        "previous_response_id": None,
        "prompt_cache_key": payload.get("prompt_cache_key"),
        "reasoning": {"effort": effort or ("medium" if reasoning else None), "summary": None},
        "safety_identifier": payload.get("safety_identifier"),
        "service_tier": "default",
        "store": payload.get("store") is not False,
        "temperature": float(payload.get("temperature") or 1),
        "text": {"format": text.get("format") or {"type": "text"}, "verbosity": text.get("verbosity") or "medium"},
        "tool_choice": payload.get("tool_choice") or "auto",
        "tools": payload.get("tools") or [],
        "top_logprobs": 0,
        "top_p": float(payload.get("top_p") or 1),
        "truncation": payload.get("truncation") or "disabled",
        "usage": {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": cached},
            "output_tokens": output,
            "output_tokens_details": {"reasoning_tokens": found.reasoning},
            "total_tokens": prompt + output,
        },
        "user": payload.get("user"),
    }
    return body, (prompt, output)


def _items(found: Answer, reasoning: bool) -> list[dict[str, Any]]:
    status = "incomplete" if found.cut else "completed"
    items: list[dict[str, Any]] = []
    if reasoning:
        items.append({"id": token("rs_", 50), "type": "reasoning", "summary": []})
    if found.tool and not (found.cut and not found.raw_arguments):
        call_id = token("call_", 24)
        arguments = found.raw_arguments
        items.append(
            {
                "id": token("fc_", 50),
                "type": "function_call",
                "status": status,
                "arguments": arguments,
                "call_id": call_id,
                "name": found.tool,
            }
        )
    elif found.text:
        part = {"type": "output_text", "annotations": [], "logprobs": [], "text": found.text}
        items.append({"id": token("msg_", 50), "type": "message", "status": status, "content": [part], "role": "assistant"})
    return items


def _check_keys(call: Call, refuse: Refuse) -> None:
    for key in call.payload:
        if key in _MOVED:
            refuse(
                f"Unsupported parameter: '{key}'. In the Responses API, this parameter has moved to '{_MOVED[key]}'.",
                param=key,
                code="unsupported_parameter",
            )
        if key not in KEYS:
            refuse(f"Unknown parameter: '{key}'.", param=key, code="unknown_parameter")
    model = call.payload.get("model")
    if not isinstance(model, str) or not model:
        refuse("Missing required parameter: 'model'.", param="model", code="missing_required_parameter")
    if unknown_model(model):
        refuse(f"The requested model '{model}' does not exist.", param="model", code="model_not_found")
    if _NOT_HERE.match(model):
        refuse(f"The requested model '{model}' cannot be used with the Responses API.", param="model", code="model_not_found")
    previous = call.payload.get("previous_response_id")
    if previous is not None:
        refuse(
            f"Previous response with id '{previous}' not found.", param="previous_response_id", code="previous_response_not_found"
        )


def _read_input(payload: dict[str, Any], refuse: Refuse) -> tuple[list[tuple[str, str]], int]:
    turns: list[tuple[str, str]] = []
    instructions = payload.get("instructions")
    if instructions is not None:
        if not isinstance(instructions, str):
            refuse("Invalid type for 'instructions': expected a string.", param="instructions", code="invalid_type")
        turns.append(("system", instructions))
    items = payload.get("input")
    if items is None:
        refuse("Missing required parameter: 'input'.", param="input", code="missing_required_parameter")
    if isinstance(items, str):
        turns.append(("user", items))
        return turns, sum(count(text) + 4 for _, text in turns)
    if not isinstance(items, list) or not items:
        refuse("Invalid type for 'input': expected a string or a list of items.", param="input", code="invalid_type")
    images = 0
    open_calls: set[str] = set()
    for index, item in enumerate(items):
        role, text, seen = _read_item(item, f"input[{index}]", open_calls, refuse)
        images += seen
        turns.append((role, text))
    if open_calls:
        refuse(f"No tool output found for function call {sorted(open_calls)[0]}.", param="input")
    return turns, sum(count(text) + 4 for _, text in turns) + 85 * images


def _read_item(item: Any, place: str, open_calls: set[str], refuse: Refuse) -> tuple[str, str, int]:
    if not isinstance(item, dict):
        refuse(f"Invalid type for '{place}': expected an object, but got {kind(item)} instead.", param=place, code="invalid_type")
    name = item.get("type", "message")
    if name == "function_call":
        for key in ("call_id", "name", "arguments"):
            if not isinstance(item.get(key), str):
                refuse(f"Missing required parameter: '{place}.{key}'.", param=f"{place}.{key}", code="missing_required_parameter")
        open_calls.add(item["call_id"])
        return "assistant", f"{item['name']} {item['arguments']}", 0
    if name == "function_call_output":
        answered = item.get("call_id")
        if not isinstance(answered, str) or answered not in open_calls:
            refuse(f"No tool call found for function call output with call_id {answered}.", param="input")
        open_calls.discard(answered)
        output = item.get("output")
        return "tool", output if isinstance(output, str) else json.dumps(output), 0
    if name in _OTHER_ITEMS:
        return "assistant", "", 0
    if name != "message":
        refuse(f"Invalid value: {name!r}.", param=f"{place}.type", code="invalid_value")
    role, content = item.get("role"), item.get("content")
    if role not in _ROLES:
        refuse(
            f"Invalid value: {role!r}. Supported values are: {', '.join(_ROLES)}.", param=f"{place}.role", code="invalid_value"
        )
    role = "system" if role == "developer" else role
    if isinstance(content, str):
        return role, content, 0
    if not isinstance(content, list):
        refuse(
            f"Invalid type for '{place}.content': expected a string or a list of parts.",
            param=f"{place}.content",
            code="invalid_type",
        )
    texts, images = [], 0
    for index, part in enumerate(content):
        where = f"{place}.content[{index}]"
        if not isinstance(part, dict) or part.get("type") not in _PARTS:
            known = ", ".join(_PARTS[:4])
            refuse(f"Invalid value for '{where}.type'. Supported values are: {known}.", param=where, code="invalid_value")
        if part["type"] == "input_image":
            images += 1
            if part.get("file_id") is None:
                checks.check_image_url(part.get("image_url"), f"{where}.image_url", refuse)
        texts.append(part["text"] if isinstance(part.get("text"), str) else image_text(json.dumps(part)))
    return role, "\n".join(texts), images


def _read_format(payload: dict[str, Any], asked: Asked, turns: list[tuple[str, str]], refuse: Refuse) -> None:
    text = payload.get("text") or {}
    wanted = text.get("format") if isinstance(text, dict) else text
    if wanted is None:
        return
    name = wanted.get("type") if isinstance(wanted, dict) else None
    if name == "json_object":
        if not any("json" in found.lower() for _, found in turns):
            refuse(
                "Response input messages must contain the word 'json' to use 'text.format' of type 'json_object'.", param="input"
            )
        asked.any_json = True
    elif name == "json_schema" and isinstance(wanted, dict):
        if "schema" not in wanted:
            refuse(
                "Missing required parameter: 'text.format.schema'.", param="text.format.schema", code="missing_required_parameter"
            )
        read_schema(wanted, "text.format", asked, refuse)
    elif name != "text":
        refuse(
            f"Invalid value: {name!r}. Supported values are: text, json_object, json_schema.",
            param="text.format.type",
            code="invalid_value",
        )


def _read_tools(payload: dict[str, Any], asked: Asked, refuse: Refuse) -> None:
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
    asked.tools = functions
    choose_tool(asked, choice, choice.get("name") if isinstance(choice, dict) else None, refuse)
