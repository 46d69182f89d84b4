"""The output items of the Responses API as they are handed back: reasoning before the call or the message that follows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_sync.models import Message

_CALLS = ("function_call", "custom_tool_call")


def state_of(body: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The items of an answer if one of them is to go back that a Message does not hold.

    Reasoning that was neither stored nor came with its content cannot be handed back: the items have no state then.
    """
    items = [_sendable(item) for item in body["output"]]
    if not any(item["type"] not in ("message", *_CALLS) or item.get("phase") for item in items):
        return None
    reasoning = [item for item in items if item["type"] == "reasoning"]
    stored = body.get("store") is True
    return items if stored or all(item.get("encrypted_content") or item.get("content") for item in reasoning) else None


def _sendable(item: Mapping[str, Any]) -> dict[str, Any]:
    """The item without what is null. Reasoning keeps its summary, which is required, and has no status."""
    absent = ("status",) if item["type"] in ("reasoning", "function_call") else ()
    out = {name: value for name, value in item.items() if value is not None and name not in absent}
    return {**out, "summary": out.get("summary", [])} if item["type"] == "reasoning" else out


def kept_items(message: Message, items: Any) -> list[dict[str, Any]] | None:
    """The items of a turn as they came; None without them, or if the turn's text or calls were changed since.

    Reasoning that an edited item follows is refused, so that the turn goes back whole, or without it.
    """
    if not isinstance(items, list):
        return None
    out = [dict(item) for item in items]
    calls = [item for item in out if item.get("type") in _CALLS]
    text = "".join(_text(item.get("content")) for item in out if (item.get("type") or "message") == "message")
    written = [(item.get("name"), item.get("arguments", item.get("input")) or "") for item in calls]
    if text != (message.content or "") or written != [(call.name, call.raw_arguments) for call in message.tool_calls]:
        return None
    for item, call in zip(calls, message.tool_calls, strict=True):
        item["call_id"] = call.id
    return out


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = [part for part in content or () if isinstance(part, Mapping)]
    return "".join(part.get("text") or "" for part in parts if part.get("type") in ("output_text", "text"))
