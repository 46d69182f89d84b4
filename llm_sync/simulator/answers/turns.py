"""What a payload says, as (role, text) in order: one turn for each text, roles user, assistant, system and tool.

Read before anything is checked, so whatever has no text in the place where it belongs is passed over. From these turns comes
the request's hash, which is the client's own wherever the dialect carries the texts unchanged.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

Turn = tuple[str, str]

_ROLES = {"developer": "system", "function": "tool", "model": "assistant"}


def of_chat(payload: Any) -> list[Turn]:
    """OpenAI's ``messages``, OpenRouter's too."""
    return [
        (_role(message), text)
        for message in _mappings(payload, "messages")
        for text in _texts(message.get("content"), ("text", None))
    ]


def of_responses(payload: Any) -> list[Turn]:
    """The Responses API: ``instructions``, then ``input`` as a text or as items."""
    found = _mapping(payload)
    turns = [("system", text) for text in _texts(found.get("instructions"), ())]
    turns += [("user", text) for text in _texts(found.get("input"), ())]
    for item in _mappings(payload, "input"):
        if item.get("type") == "function_call_output":
            output = item.get("output")
            texts = list(_texts(output, ("input_text", "output_text")))
            turns += [("tool", text) for text in texts or [_plain(output)]]
        elif item.get("type", "message") == "message":
            turns += [(_role(item), text) for text in _texts(item.get("content"), ("input_text", "output_text"))]
    return turns


def of_messages(payload: Any) -> list[Turn]:
    """Anthropic's ``system`` and ``messages``; a tool's results are turns of their own."""
    turns = [("system", text) for text in _texts(_mapping(payload).get("system"), ("text",))]
    for message in _mappings(payload, "messages"):
        content = message.get("content")
        turns += [(_role(message), text) for text in _texts(content, ())]
        for block in _mappings(message, "content"):
            if block.get("type") == "tool_result":
                turns += [("tool", text) for text in _texts(block.get("content"), ("text",))]
            else:
                turns += [(_role(message), text) for text in _texts([block], ("text",))]
    return turns


def of_contents(payload: Any) -> list[Turn]:
    """Gemini's ``systemInstruction`` and ``contents``, in either spelling; thoughts are left out.

    The result of a function is an object on this wire. One that holds nothing but ``result`` is taken for the text, or the
    JSON, that llm-sync wraps so.
    """
    found = _mapping(payload)
    system = found.get("systemInstruction", found.get("system_instruction"))
    turns = [("system", text) for part in _mappings(system, "parts") for text in _texts(part.get("text"), ())]
    contents = found.get("contents")
    for content in [contents] if isinstance(contents, dict) else _mappings(payload, "contents"):
        for part in _mappings(content, "parts"):
            result = part.get("functionResponse", part.get("function_response"))
            if isinstance(result, dict):
                response = _mapping(result.get("response"))
                turns.append(("tool", _plain(response["result"] if response.keys() == {"result"} else response)))
            elif not part.get("thought"):
                turns += [(_role(content), text) for text in _texts(part.get("text"), ())]
    return turns


def prompt_of(turns: list[Turn]) -> str:
    """What is to be answered: the last turn that is the user's or a tool's, its texts put together; "" where there is none."""
    last = next((role for role, _ in reversed(turns) if role in ("user", "tool")), None)
    found: list[str] = []
    for role, text in reversed(turns):
        if role == last:
            found.append(text)
        elif found:
            break
    return "\n\n".join(reversed(found))


def _role(message: Mapping[str, Any]) -> str:
    role = message.get("role")
    return _ROLES.get(role, role) if isinstance(role, str) and role else "user"


def _texts(content: Any, kinds: tuple[str | None, ...]) -> Iterator[str]:
    """A content's text, or those of its parts that are of one of these types."""
    if isinstance(content, str):
        yield content
    for part in content if isinstance(content, list) and kinds else ():
        if isinstance(part, dict) and part.get("type") in kinds and isinstance(part.get("text"), str):
            yield part["text"]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _mappings(value: Any, key: str) -> Iterator[Mapping[str, Any]]:
    """The objects of a list; nothing where there is no list."""
    items = _mapping(value).get(key)
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict):
            yield item
