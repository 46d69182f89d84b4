"""What a provider wants back with an assistant's message, in the shape of chat completions.

Messages of the provider's own have it in its own fields. Others, written from a ModelResponse, have it under ``extra_content``,
as ``llm_sync``; either way a script keeps it by handing the message back as it came.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_sync.models import ModelResponse, ToolCall

STATE_FIELDS = ("reasoning_content", "reasoning_details", "reasoning", "thinking_blocks", "extra_content")
_OURS = "llm_sync"


def take_state(given: dict[str, Any], content: Any, calls: list[ToolCall]) -> dict[str, Any] | None:
    """Remove a message's state from its fields ``given``, and give it in the form of ``Message.state``."""
    fields = {name: given.pop(name) for name in STATE_FIELDS if name in given}
    extra = fields.get("extra_content")
    if isinstance(extra, Mapping) and isinstance(extra.get(_OURS), Mapping):
        return dict(extra[_OURS])
    blocks = fields.pop("thinking_blocks", None)
    if isinstance(blocks, (list, tuple)) and blocks:
        return _unbound("anthropic", _content_blocks(list(blocks), content, calls))
    if isinstance(content, (list, tuple)) and any(_is_thinking(part) for part in content):
        fields["content"] = list(content)
    if fields.get("reasoning_details"):
        fields.pop("reasoning", None)  # the same once more, as a text
    return _unbound("openai", fields) if fields else None


def call_state(call: Mapping[str, Any]) -> dict[str, Any] | None:
    """The state of a tool call, in the form of ``ToolCall.state``."""
    extra = call.get("extra_content")
    if not isinstance(extra, Mapping) or not extra:
        return None
    ours = extra.get(_OURS)
    return dict(ours) if isinstance(ours, Mapping) else _unbound("openai", {"extra_content": extra})


def write_state(message: dict[str, Any], response: ModelResponse) -> None:
    """Put the state of a response into the message that is written from it, and into its ``tool_calls``."""
    state = response.metadata.get("state")
    if state is not None:
        message["extra_content"] = {_OURS: dict(state)}
        if state["dialect"] == "anthropic":
            blocks = [block for block in state["data"] if block.get("type") in ("thinking", "redacted_thinking")]
            message["thinking_blocks"] = blocks
    for call, written in zip(response.tool_calls, message.get("tool_calls", ()), strict=False):
        if call.state is not None:
            written["extra_content"] = {_OURS: dict(call.state)}


def _unbound(dialect: str, data: Any) -> dict[str, Any]:
    """State of a caller who does not say where it comes from: the caller hands it back to where it belongs."""
    return {"dialect": dialect, "host": None, "model": None, "data": data}


def _content_blocks(thinking: list[Any], content: Any, calls: list[ToolCall]) -> list[Any]:
    """The blocks of the turn as Anthropic had them."""
    text = [{"type": "text", "text": content}] if isinstance(content, str) and content else []
    uses = [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments or {}} for call in calls]
    return [*thinking, *text, *uses]


def _is_thinking(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") == "thinking"
