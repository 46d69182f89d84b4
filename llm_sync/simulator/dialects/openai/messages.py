"""Checks the ``messages`` of a chat completion as OpenAI does, and reads them as turns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from llm_sync.simulator.answers.tokens import count_tokens, image_placeholder
from llm_sync.simulator.dialects.openai import checks
from llm_sync.simulator.dialects.openai.checks import Refuse, json_type

_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_NAME = re.compile(r"[^\s<|\\/>]+")
_PARTS = ("text", "image_url", "input_audio", "file", "refusal")
_NO_SYSTEM = re.compile(r"o1-mini|o1-preview")
_NO_IMAGES = re.compile(r"gpt-3\.5|gpt-4(?:-0613|-0314|-32k)?$|o1-mini|o1-preview|o3-mini")


def read_messages(messages: Any, model: str, refuse: Refuse, *, lenient: bool = False) -> tuple[list[tuple[str, str]], int]:
    """The turns and their tokens. Tool calls and tool messages must be in the right order.

    ``lenient`` (OpenRouter): accepts further types of parts, and does not check what the model can read.
    """
    if messages is None:
        refuse("Missing required parameter: 'messages'.", param="messages", code="missing_required_parameter")
    if not isinstance(messages, list):
        refuse(
            f"Invalid type for 'messages': expected an array of objects, but got {json_type(messages)} instead.",
            param="messages",
            code="invalid_type",
        )
    if not messages:
        refuse("Invalid 'messages': expected an array with minimum length 1.", param="messages", code="empty_array")
    turns: list[tuple[str, str]] = []
    tokens, open_calls = 0, set[str]()
    for index, message in enumerate(messages):
        location = f"messages[{index}]"
        role = _check_message(message, location, model, lenient, refuse)
        if role == "tool":
            call_id = message.get("tool_call_id")
            if not isinstance(call_id, str) or call_id not in open_calls:
                refuse(
                    f"Invalid parameter: '{location}' with role 'tool' answers no preceding message with 'tool_calls'.",
                    param=location,
                )
            open_calls.discard(call_id)
        elif open_calls:
            refuse(
                "An assistant message with 'tool_calls' has to be followed by tool messages for each 'tool_call_id'. "
                f"Missing: {', '.join(sorted(open_calls))}",
                param=location,
            )
        text, images = _content(message, location, model, lenient, refuse)
        if role == "assistant":
            open_calls = {call["id"] for call in _calls(message, location, refuse)}
            text += "".join(f"\n{call.get('function', call.get('custom'))}" for call in message.get("tool_calls") or ())
        turns.append(("system" if role == "developer" else role, text))
        tokens += count_tokens(text) + 3 + 85 * images
    if open_calls:
        refuse(f"Tool messages are missing for the tool_call_ids {', '.join(sorted(open_calls))}.", param="messages")
    return turns, tokens


def _check_message(message: Any, location: str, model: str, lenient: bool, refuse: Refuse) -> str:
    """Checks role and name; returns the role."""
    if not isinstance(message, dict):
        refuse(
            f"Invalid type for '{location}': expected an object, but got {json_type(message)} instead.",
            param=location,
            code="invalid_type",
        )
    role = message.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        refuse(
            f"Invalid value: {role!r}. Supported values are: {', '.join(_ROLES)}.", param=f"{location}.role", code="invalid_value"
        )
    name = message.get("name")
    if name is not None and not lenient and not (isinstance(name, str) and _NAME.fullmatch(name)):
        refuse(
            f"Invalid '{location}.name': expected a string that matches the pattern '{_NAME.pattern}'.",
            param=f"{location}.name",
            code="invalid_value",
        )
    if role in ("system", "developer") and _NO_SYSTEM.match(model):
        refuse(
            f"Unsupported value: '{location}.role' does not support '{role}' with this model.",
            param=f"{location}.role",
            code="unsupported_value",
        )
    return role


def _content(message: Mapping[str, Any], location: str, model: str, lenient: bool, refuse: Refuse) -> tuple[str, int]:
    """The text of a content, with digests for other parts, and the number of its images."""
    content = message.get("content")
    if isinstance(content, str):
        return content, 0
    calls = bool(message.get("tool_calls"))
    if (content is None and message["role"] in ("assistant", "function")) or (content == [] and calls):
        return "", 0
    if not isinstance(content, list) or not content:
        what = json_type(content) if not isinstance(content, list) else "an empty array"
        refuse(f"Invalid value for 'content': expected a string, got {what}.", param=f"{location}.content", code="invalid_type")
    texts, images = [], 0
    for index, part in enumerate(content):
        part_location = f"{location}.content[{index}]"
        name = part.get("type") if isinstance(part, dict) else None
        if not isinstance(name, str) or name not in part or (name not in _PARTS and not lenient):
            refuse(
                f"Invalid '{part_location}': a part is one of {', '.join(_PARTS)}, with a key of that name.",
                param=part_location,
                code="invalid_value",
            )
        value = part[name]
        if name == "image_url":
            images += 1
            if not lenient and _NO_IMAGES.match(model):
                refuse("Invalid content type. image_url is only supported by certain models.", param=f"{part_location}.type")
            _check_image(value, f"{part_location}.image_url", lenient, refuse)
        elif name == "text" and not isinstance(value, str):
            refuse(
                f"Invalid type for '{part_location}.text': expected a string.", param=f"{part_location}.text", code="invalid_type"
            )
        elif name == "input_audio" and not lenient and "audio" not in model:
            refuse(
                f"Invalid '{location}'. Content blocks are expected to be either text or image_url type.",
                param=location,
                code="invalid_value",
            )
        texts.append(str(value) if name in ("text", "refusal") else image_placeholder(value))
    return "\n".join(texts), images


def _check_image(value: Any, param: str, lenient: bool, refuse: Refuse) -> None:
    if not isinstance(value, dict) and not lenient:
        refuse(
            f"Invalid type for '{param}': expected an object, but got {json_type(value)} instead.",
            param=param,
            code="invalid_type",
        )
    image = value if isinstance(value, dict) else {"url": value}
    checks.check_image_url(image.get("url"), param, refuse)
    if not lenient:
        checks.check_one_of(image, "detail", ("auto", "low", "high", "original"), refuse, f"{param}.detail")


def _calls(message: Mapping[str, Any], location: str, refuse: Refuse) -> list[Mapping[str, Any]]:
    calls = message.get("tool_calls")
    if calls is None:
        return []
    good = isinstance(calls, list) and all(
        isinstance(call, dict)
        and isinstance(call.get("id"), str)
        and isinstance(call.get("function", call.get("custom")), dict)
        and isinstance(call.get("function", {}).get("arguments", ""), str)
        for call in calls
    )
    if not good or not calls:
        refuse(
            f"Invalid '{location}.tool_calls': each has an id and a function with name and arguments, a JSON string.",
            param=f"{location}.tool_calls",
            code="invalid_type",
        )
    return list(calls)
