"""The conversation in a payload, as (role, text) in order: one turn per text, with roles user, assistant, system and tool.

Payloads are read before they are checked, so parts without text in the right place are skipped. The request hash is computed
from these turns; it equals the client's hash wherever the dialect carries the texts unchanged.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

Turn = tuple[str, str]
CALLS = "calls"
"""The role of a turn without text that stands where a model has called tools, so that results of two rounds are told apart."""

_ROLES = {"developer": "system", "function": "tool", "model": "assistant"}


def chat_turns(payload: Any) -> list[Turn]:
    """The ``messages`` of OpenAI and OpenRouter."""
    turns: list[Turn] = []
    for message in _mappings(payload, "messages"):
        turns += [(_role(message), text) for text in _texts(message.get("content"), ("text", None))]
        turns += [(CALLS, "")] if message.get("tool_calls") else []
    return turns


def responses_turns(payload: Any) -> list[Turn]:
    """The Responses API: ``instructions``, then ``input`` (a text or items)."""
    fields = _mapping(payload)
    turns = [("system", text) for text in _texts(fields.get("instructions"), ())]
    turns += [("user", text) for text in _texts(fields.get("input"), ())]
    for item in _mappings(payload, "input"):
        if item.get("type") == "function_call_output":
            output = item.get("output")
            texts = list(_texts(output, ("input_text", "output_text")))
            turns += [("tool", text) for text in texts or [_as_text(output)]]
        elif item.get("type") == "function_call":
            turns.append((CALLS, ""))
        elif item.get("type", "message") == "message":
            turns += [(_role(item), text) for text in _texts(item.get("content"), ("input_text", "output_text"))]
    return turns


def anthropic_turns(payload: Any) -> list[Turn]:
    """Anthropic's ``system`` and ``messages``; tool results are turns of their own."""
    turns = [("system", text) for text in _texts(_mapping(payload).get("system"), ("text",))]
    for message in _mappings(payload, "messages"):
        content = message.get("content")
        turns += [(_role(message), text) for text in _texts(content, ())]
        for block in _mappings(message, "content"):
            if block.get("type") == "tool_result":
                turns += [("tool", text) for text in _texts(block.get("content"), ("text",))]
            elif block.get("type") == "tool_use":
                turns.append((CALLS, ""))
            else:
                turns += [(_role(message), text) for text in _texts([block], ("text",))]
    return turns


def gemini_turns(payload: Any) -> list[Turn]:
    """Gemini's ``systemInstruction`` and ``contents``, in either spelling; thoughts are left out.

    Gemini sends a function's result as an object. An object whose only key is ``result`` is read as the text or JSON that
    llm-sync wraps in this way.
    """
    fields = _mapping(payload)
    system = fields.get("systemInstruction", fields.get("system_instruction"))
    turns = [("system", text) for part in _mappings(system, "parts") for text in _texts(part.get("text"), ())]
    contents = fields.get("contents")
    for content in [contents] if isinstance(contents, dict) else _mappings(payload, "contents"):
        for part in _mappings(content, "parts"):
            result = part.get("functionResponse", part.get("function_response"))
            if isinstance(result, dict):
                response = _mapping(result.get("response"))
                turns.append(("tool", _as_text(response["result"] if response.keys() == {"result"} else response)))
            elif "functionCall" in part or "function_call" in part:
                turns.append((CALLS, ""))
            elif not part.get("thought"):
                turns += [(_role(content), text) for text in _texts(part.get("text"), ())]
    return turns


def prompt_text(turns: list[Turn]) -> str:
    """The prompt to be answered: the texts of the last turn of the user or a tool, joined; "" if there is none."""
    last = next((role for role, _ in reversed(turns) if role in ("user", "tool")), None)
    texts: list[str] = []
    for role, text in reversed(turns):
        if role == last:
            texts.append(text)
        elif texts:
            break
    return "\n\n".join(reversed(texts))


def _role(message: Mapping[str, Any]) -> str:
    role = message.get("role")
    return _ROLES.get(role, role) if isinstance(role, str) and role else "user"


def _texts(content: Any, kinds: tuple[str | None, ...]) -> Iterator[str]:
    """The content if it is a text, or the texts of its parts that have one of these types."""
    if isinstance(content, str):
        yield content
    for part in content if isinstance(content, list) and kinds else ():
        if isinstance(part, dict) and part.get("type") in kinds and isinstance(part.get("text"), str):
            yield part["text"]


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _mappings(value: Any, key: str) -> Iterator[Mapping[str, Any]]:
    """The objects in the list under ``key``; none if there is no list."""
    items = _mapping(value).get(key)
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict):
            yield item
