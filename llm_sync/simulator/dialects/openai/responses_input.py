"""Checks the ``input`` of the Responses API as OpenAI does, and reads it as turns."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from llm_sync.simulator.answers.tokens import count_tokens, image_placeholder
from llm_sync.simulator.dialects.openai import checks
from llm_sync.simulator.dialects.openai.checks import Refuse, json_type

_ROLES = ("user", "assistant", "system", "developer")
_PARTS = ("input_text", "output_text", "input_image", "input_file", "refusal", "summary_text")
_MESSAGE_KEYS = ("type", "role", "content", "id", "status", "phase")
_ASSISTANT_PARTS = ("output_text", "refusal")  # the parts of an assistant's message
_OTHER_ITEMS = ("reasoning", "item_reference", "compaction", "program", "program_output")
# items of tools that the provider runs
_HOSTED_TOOL_ITEMS = re.compile(r"[a-z_]+_(call|call_output|output|request|response|list_tools)$")


def read_input(payload: Mapping[str, Any], refuse: Refuse) -> tuple[list[tuple[str, str]], int]:
    """The turns, with the instructions first, and their tokens."""
    turns: list[tuple[str, str]] = []
    instructions = payload.get("instructions")
    if instructions is not None:
        turns.append(("system", instructions))
    items = payload.get("input")
    if items is None:
        refuse("Missing required parameter: 'input'.", param="input", code="missing_required_parameter")
    if isinstance(items, str):
        turns.append(("user", items))
        return turns, sum(count_tokens(text) + 4 for _, text in turns)
    if not isinstance(items, list) or not items:
        refuse("Invalid type for 'input': expected a string or a list of items.", param="input", code="invalid_type")
    images = 0
    open_calls: set[str] = set()
    for index, item in enumerate(items):
        role, text, item_images = _read_item(item, f"input[{index}]", open_calls, refuse)
        images += item_images
        turns.append((role, text))
    if open_calls:
        refuse(f"No tool output found for function call {sorted(open_calls)[0]}.", param="input")
    return turns, sum(count_tokens(text) + 4 for _, text in turns) + 85 * images


def _read_item(item: Any, location: str, open_calls: set[str], refuse: Refuse) -> tuple[str, str, int]:
    if not isinstance(item, dict):
        refuse(
            f"Invalid type for '{location}': expected an object, but got {json_type(item)} instead.",
            param=location,
            code="invalid_type",
        )
    name = item.get("type", "message")
    if name == "function_call":
        for key in ("call_id", "name", "arguments"):
            if not isinstance(item.get(key), str):
                refuse(
                    f"Missing required parameter: '{location}.{key}'.",
                    param=f"{location}.{key}",
                    code="missing_required_parameter",
                )
        open_calls.add(item["call_id"])
        return "assistant", f"{item['name']} {item['arguments']}", 0
    if name == "function_call_output":
        call_id = item.get("call_id")
        if not isinstance(call_id, str) or call_id not in open_calls:
            refuse(f"No tool call found for function call output with call_id {call_id}.", param="input")
        open_calls.discard(call_id)
        output = item.get("output")
        return "tool", output if isinstance(output, str) else json.dumps(output), 0
    if name in _OTHER_ITEMS or _HOSTED_TOOL_ITEMS.match(str(name)):
        return "assistant", "", 0
    if name != "message":
        refuse(f"Invalid value: {name!r}.", param=f"{location}.type", code="invalid_value")
    return _read_message(item, location, refuse)


def _read_message(item: Mapping[str, Any], location: str, refuse: Refuse) -> tuple[str, str, int]:
    role, content = item.get("role"), item.get("content")
    for key in item:
        if key not in _MESSAGE_KEYS:
            refuse(f"Unknown parameter: '{location}.{key}'.", param=f"{location}.{key}", code="unknown_parameter")
    if not isinstance(role, str) or role not in _ROLES:
        refuse(
            f"Invalid value: {role!r}. Supported values are: {', '.join(_ROLES)}.", param=f"{location}.role", code="invalid_value"
        )
    role = "system" if role == "developer" else role
    if isinstance(content, str):
        return role, content, 0
    if not isinstance(content, list):
        refuse(
            f"Invalid type for '{location}.content': expected a string or a list of parts.",
            param=f"{location}.content",
            code="invalid_type",
        )
    texts, images = [], 0
    for index, part in enumerate(content):
        part_location = f"{location}.content[{index}]"
        if not isinstance(part, dict) or part.get("type") not in _PARTS:
            known = ", ".join(_PARTS[:4])
            refuse(
                f"Invalid value for '{part_location}.type'. Supported values are: {known}.",
                param=part_location,
                code="invalid_value",
            )
        if role == "assistant" and part["type"] not in _ASSISTANT_PARTS:
            refuse(
                f"Invalid value: '{part['type']}'. Supported values are: {checks.quoted_list(_ASSISTANT_PARTS)}.",
                param=part_location,
                code="invalid_value",
            )
        if part["type"] == "input_image":
            images += 1
            if part.get("file_id") is None:
                checks.check_image_url(part.get("image_url"), f"{part_location}.image_url", refuse)
        elif part["type"] == "input_file" and not _is_pdf(part):
            refuse(
                "The file type you uploaded is not supported. Please try again with a pdf", param="input", code="unsupported_file"
            )
        texts.append(part["text"] if isinstance(part.get("text"), str) else image_placeholder(json.dumps(part)))
    return role, "\n".join(texts), images


def _is_pdf(part: Mapping[str, Any]) -> bool:
    """Whether a file may be a PDF, by its data URL or its name."""
    data, name = part.get("file_data"), part.get("file_url") or part.get("filename")
    if isinstance(data, str) and data.startswith("data:"):
        return data.startswith("data:application/pdf;")
    end = re.search(r"\.(\w+)$", name.partition("?")[0]) if isinstance(name, str) else None
    return end is None or end[1].lower() == "pdf"
