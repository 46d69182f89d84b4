"""Turns of the Responses API that a script hands back with their reasoning: they go out whole and in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_STATE = {"dialect": "openai-responses", "host": None, "model": None}


def reasoned_turns(items: Sequence[Any]) -> dict[int, Any]:
    """Chat messages for the assistant's turns that hold reasoning: the index of a turn's first item -> the message.

    The indexes of its further items -> None. The items are the state of the message.
    """
    out: dict[int, Any] = {}
    turn: list[int] = []
    for index in range(len(items) + 1):
        if index < len(items) and _is_assistants(items[index]):
            turn.append(index)
            continue
        if any(items[place].get("type") == "reasoning" for place in turn):
            out.update(dict.fromkeys(turn))
            out[turn[0]] = _message([items[place] for place in turn])
        turn = []
    return out


def _is_assistants(item: Any) -> bool:
    if not isinstance(item, Mapping):
        return False
    kind = item.get("type") or "message"
    return kind in ("reasoning", "function_call") or (kind == "message" and item.get("role") == "assistant")


def _message(items: list[Mapping[str, Any]]) -> dict[str, Any]:
    calls = [
        {
            "id": item.get("call_id"),
            "type": "function",
            "function": {"name": item.get("name"), "arguments": item.get("arguments")},
        }
        for item in items
        if item.get("type") == "function_call"
    ]
    text = "".join(_text(item.get("content")) for item in items if (item.get("type") or "message") == "message")
    message: dict[str, Any] = {
        "role": "assistant",
        "content": text or None,
        "extra_content": {"llm_sync": {**_STATE, "data": items}},
    }
    return {**message, "tool_calls": calls} if calls else message


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = [part for part in content if isinstance(part, Mapping)] if isinstance(content, (list, tuple)) else []
    return "".join(str(part.get("text") or "") for part in parts)
