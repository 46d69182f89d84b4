"""The ``messages`` of OpenAI's shape: checked as OpenAI does, read as turns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_sync.simulator import openai_checks as checks
from llm_sync.simulator.answers import count, image_text
from llm_sync.simulator.openai_checks import Refuse, kind

_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_PARTS = {"text": "text", "image_url": "image_url", "input_audio": "input_audio", "file": "file", "refusal": "refusal"}


def read_messages(messages: Any, model: str, refuse: Refuse) -> tuple[list[tuple[str, str]], int]:
    """The turns and their tokens; tool calls and their answers have to stand in the right order."""
    if messages is None:
        refuse("Missing required parameter: 'messages'.", param="messages", code="missing_required_parameter")
    if not isinstance(messages, list):
        refuse(
            f"Invalid type for 'messages': expected an array of objects, but got {kind(messages)} instead.",
            param="messages",
            code="invalid_type",
        )
    if not messages:
        refuse("Invalid 'messages': expected an array with minimum length 1.", param="messages", code="empty_array")
    turns: list[tuple[str, str]] = []
    tokens, open_calls = 0, set[str]()
    for index, message in enumerate(messages):
        place = f"messages[{index}]"
        if not isinstance(message, dict):
            refuse(
                f"Invalid type for '{place}': expected an object, but got {kind(message)} instead.",
                param=place,
                code="invalid_type",
            )
        role = message.get("role")
        if role not in _ROLES:
            refuse(
                f"Invalid value: {role!r}. Supported values are: {', '.join(_ROLES)}.",
                param=f"{place}.role",
                code="invalid_value",
            )
        if role in ("system", "developer") and model.startswith(("o1-mini", "o1-preview")):
            message_text = f"Unsupported value: '{place}.role' does not support '{role}' with this model."
            refuse(message_text, param=f"{place}.role", code="unsupported_value")
        if role == "tool":
            answered = message.get("tool_call_id")
            if not isinstance(answered, str) or answered not in open_calls:
                refuse(
                    f"Invalid parameter: '{place}' with role 'tool' answers no preceding message with 'tool_calls'.", param=place
                )
            open_calls.discard(answered)
        elif open_calls:
            refuse(
                "An assistant message with 'tool_calls' has to be followed by tool messages for each 'tool_call_id'. "
                f"Missing: {', '.join(sorted(open_calls))}",
                param=place,
            )
        text, images = _content(message, place, refuse)
        if role == "assistant":
            open_calls = {call["id"] for call in _calls(message, place, refuse)}
            text += "".join(f"\n{call['function']}" for call in message.get("tool_calls") or ())
        turns.append(("system" if role == "developer" else role, text))
        tokens += count(text) + 3 + 85 * images
    if open_calls:
        refuse(f"Tool messages are missing for the tool_call_ids {', '.join(sorted(open_calls))}.", param="messages")
    return turns, tokens


def _content(message: Mapping[str, Any], place: str, refuse: Refuse) -> tuple[str, int]:
    content = message.get("content")
    if isinstance(content, str):
        return content, 0
    if content is None and message["role"] in ("assistant", "function"):
        return "", 0
    if not isinstance(content, list) or not content:
        what = kind(content) if not isinstance(content, list) else "an empty array"
        refuse(f"Invalid value for 'content': expected a string, got {what}.", param=f"{place}.content", code="invalid_type")
    texts, images = [], 0
    for index, part in enumerate(content):
        where = f"{place}.content[{index}]"
        name = part.get("type") if isinstance(part, dict) else None
        if not isinstance(name, str) or name not in _PARTS or _PARTS[name] not in part:
            refuse(
                f"Invalid '{where}': a part is one of {', '.join(_PARTS)}, with a key of that name.",
                param=where,
                code="invalid_value",
            )
        value = part[_PARTS[name]]
        if name == "image_url":
            images += 1
            checks.check_image_url(value.get("url") if isinstance(value, dict) else value, f"{where}.image_url", refuse)
        elif name == "text" and not isinstance(value, str):
            refuse(f"Invalid type for '{where}.text': expected a string.", param=f"{where}.text", code="invalid_type")
        texts.append(value if name in ("text", "refusal") else image_text(value))
    return "\n".join(str(text) for text in texts), images


def _calls(message: Mapping[str, Any], place: str, refuse: Refuse) -> list[Mapping[str, Any]]:
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
            f"Invalid '{place}.tool_calls': each has an id and a function with name and arguments, a JSON string.",
            param=f"{place}.tool_calls",
            code="invalid_type",
        )
    return list(calls)
