"""Messages of chat completions: their schema, writing a message, reading the parts of an answer."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from llm_sync.models import Message, ToolCall
from llm_sync.models.images import load_image
from llm_sync.providers.answer import tool_call
from llm_sync.providers.cache_marks import tool_mark
from llm_sync.providers.openai.reasoning_state import call_state
from llm_sync.providers.payload import arguments_text, tool_parts
from llm_sync.providers.turns import with_unique_ids

_TEXT = {"type": "string", "nullable": True}
_ANYTHING = {"nullable": True}  # what says nothing of the answer, in whatever form it comes
_MESSAGE: dict[str, Any] = {
    "type": "dict",
    "required": True,
    "schema": {
        "content": {"type": ["string", "list", "dict"], "nullable": True, "schema": {}},
        "refusal": _TEXT,
        "tool_calls": {
            "type": "list",
            "nullable": True,
            "schema": {
                "type": "dict",
                "schema": {
                    "id": _ANYTHING,
                    "function": {
                        "type": "dict",
                        "nullable": True,
                        "schema": {"name": _TEXT, "arguments": {"type": ["string", "dict"], "nullable": True}},
                    },
                    "custom": {"type": "dict", "nullable": True, "schema": {"name": _TEXT, "input": _TEXT}},
                },
            },
        },
        "function_call": {
            "type": "dict",
            "nullable": True,
            "schema": {"name": _TEXT, "arguments": {"type": ["string", "dict"], "nullable": True}},
        },
    },
}
del _MESSAGE["schema"]["content"]["schema"]


def _completion(message: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "model": _ANYTHING,
        "choices": {
            "type": "list",
            "required": True,
            "minlength": 1,
            "schema": {
                "type": "dict",
                "schema": {
                    "message": message,
                    "finish_reason": {"type": ["string", "number"], "nullable": True},
                    "finish_details": {"type": "dict", "nullable": True, "schema": {"type": _TEXT}},
                },
            },
        },
        "usage": _ANYTHING,
    }


SCHEMA = _completion(_MESSAGE)
FILTERED_SCHEMA = _completion({**_MESSAGE, "required": False, "nullable": True})


def message(turn: Message) -> dict[str, Any]:
    """A message of the conversation in the form of the API."""
    out: dict[str, Any] = {"role": turn.role}
    if turn.images:
        text = [{"type": "text", "text": turn.content}] if turn.content else []
        out["content"] = [*text, *({"type": "image_url", "image_url": {"url": load_image(i).data_url}} for i in turn.images)]
    else:
        out["content"] = turn.content or (None if turn.tool_calls else "")
    if turn.tool_calls:
        out["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments_text(call)}}
            for call in turn.tool_calls
        ]
    if turn.tool_call_id:
        out["tool_call_id"] = turn.tool_call_id
    elif turn.name is not None:
        out["name"] = turn.name
    return out


def tool(given: Mapping[str, Any], mark: Mapping[str, Any] | None) -> dict[str, Any]:
    """A tool, as a function; with its point to cache up to if the endpoint takes marks of that form (``mark`` is one)."""
    name, description, parameters, rest = tool_parts(given)
    function: dict[str, Any] = {"name": name, "parameters": parameters, **rest}
    if description:
        function["description"] = description
    return {"type": "function", "function": function, **(tool_mark(given) if mark and "cache_control" in mark else {})}


def content(value: Any) -> tuple[str, str | None, Any]:
    """Text, thinking and object of a message's content: a string, a list of parts (Mistral), or an object (Cloudflare)."""
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False), None, value
    if not isinstance(value, list):
        return _string(value) or "", None, None
    texts, thoughts = [], []
    for part in value:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict) and part.get("type") == "thinking":
            inner = part.get("thinking")
            pieces = inner if isinstance(inner, list) else [inner]
            thoughts += [_string(piece.get("text") if isinstance(piece, dict) else piece) or "" for piece in pieces]
        elif isinstance(part, dict) and (part.get("type") or "text") in ("text", "output_text"):
            texts.append(_string(part.get("text")) or "")
    return "".join(texts), "".join(thoughts) or None, None


def reasoning(answered: Mapping[str, Any]) -> str | None:
    """The thinking next to the content, under either of its names."""
    return _string(answered.get("reasoning_content")) or _string(answered.get("reasoning"))


def transcript(answered: Mapping[str, Any]) -> str:
    """The words of a spoken answer (gpt-audio), whose content is null."""
    audio = answered.get("audio")
    return (_string(audio.get("transcript")) if isinstance(audio, dict) else None) or ""


def refusal(value: Any) -> str:
    """The text of the parts of type ``refusal``."""
    parts = [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []
    return "".join(_string(part.get("refusal")) or "" for part in parts)


def tool_calls(answered: Mapping[str, Any]) -> tuple[ToolCall, ...]:
    """The calls in an answer's message: of functions, of custom tools, or the single one of old servers."""
    calls = []
    for call in answered.get("tool_calls") or ():
        function = call.get("function") or {}
        custom = call.get("custom") or {}
        if custom.get("name"):
            calls.append(ToolCall(str(call.get("id") or ""), custom["name"], None, custom.get("input") or ""))
        else:
            read = tool_call(call.get("id"), function.get("name"), function.get("arguments"))
            state = call_state(call, answered, len(calls))
            calls.append(dataclasses.replace(read, state=state) if state else read)
    legacy = answered.get("function_call") or {}
    if not calls and legacy.get("name"):
        calls.append(tool_call("", legacy["name"], legacy.get("arguments")))
    return with_unique_ids(tuple(calls))


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def other_content(answered: Mapping[str, Any]) -> list[str]:
    """Pictures, audio and other parts of a message beside its text, a word each."""
    content_parts, images = answered.get("content"), answered.get("images")
    parts = [*(content_parts if isinstance(content_parts, list) else ()), *(images if isinstance(images, list) else ())]
    kinds = [str(part.get("type") or "a part without a type") for part in parts if isinstance(part, dict)]
    named = [kind for kind in kinds if kind not in ("text", "output_text", "thinking")]
    return [*named, *(["audio"] if answered.get("audio") else [])]
