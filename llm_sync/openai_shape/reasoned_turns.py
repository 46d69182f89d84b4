"""Turns of the Responses API that a script hands back with their reasoning: they go out whole and in order.

Answers of OpenAI's own have what is to go back in their reasoning items. Those of other providers are written with the state
of our Message on a reasoning item, and with that of a ToolCall on its item, under a key of ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llm_sync.models import ModelResponse

STATE = "llm_sync"
"""The key of an item that holds what another provider than OpenAI wants back."""

_STATE = {"dialect": "openai-responses", "host": None, "model": None}


def state_items(answer: ModelResponse, request_id: str) -> list[dict[str, Any]]:
    """The reasoning item of another provider's answer, in a list; an empty one if nothing is to go back with its message."""
    state, thinking = answer.metadata.get("state"), answer.metadata.get("thinking")
    if state is None:
        return []
    summary = [{"type": "summary_text", "text": thinking}] if thinking else []
    return [{"id": f"rs_{request_id}", "type": "reasoning", "summary": summary, STATE: dict(state)}]


def reasoned_turns(items: Sequence[Any], *, native: bool) -> dict[int, Any]:
    """Chat messages for the assistant's turns that hold state: the index of a turn's first item -> the message.

    The indexes of its further items -> None. ``native``: the provider speaks the Responses API, and gets the items of a turn
    with reasoning as they are, unless another provider made them.
    """
    out: dict[int, Any] = {}
    turn: list[int] = []
    for index in range(len(items) + 1):
        if index < len(items) and _is_assistants(items[index]):
            turn.append(index)
            continue
        parts = [items[place] for place in turn]
        if any(_own_state(item) for item in parts) or (native and any(item.get("type") == "reasoning" for item in parts)):
            out.update(dict.fromkeys(turn))
            out[turn[0]] = _message(parts)
        turn = []
    return out


def _is_assistants(item: Any) -> bool:
    if not isinstance(item, Mapping):
        return False
    kind = item.get("type") or "message"
    return kind in ("reasoning", "function_call") or (kind == "message" and item.get("role") == "assistant")


def _own_state(item: Mapping[str, Any]) -> dict[str, Any] | None:
    state = item.get(STATE)
    return dict(state) if isinstance(state, Mapping) else None


def _message(items: list[Mapping[str, Any]]) -> dict[str, Any]:
    calls = [_call(item) for item in items if item.get("type") == "function_call"]
    text = "".join(_text(item.get("content")) for item in items if (item.get("type") or "message") == "message")
    message: dict[str, Any] = {"role": "assistant", "content": text or None}
    foreign = [state for item in items if (state := _own_state(item)) is not None]
    own = next((_own_state(item) for item in items if item.get("type") == "reasoning" and _own_state(item)), None)
    if own is not None:
        message["extra_content"] = {STATE: own}
    elif not foreign:
        message["extra_content"] = {STATE: {**_STATE, "data": items}}
    return {**message, "tool_calls": calls} if calls else message


def _call(item: Mapping[str, Any]) -> dict[str, Any]:
    function = {"name": item.get("name"), "arguments": item.get("arguments")}
    call = {"id": item.get("call_id"), "type": "function", "function": function}
    state = _own_state(item)
    return call if state is None else {**call, "extra_content": {STATE: state}}


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = [part for part in content if isinstance(part, Mapping)] if isinstance(content, (list, tuple)) else []
    return "".join(str(part.get("text") or "") for part in parts)
