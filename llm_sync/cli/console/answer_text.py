"""An answer as ``generate`` prints it: its text and tool calls, or the JSON object that a schema asked for."""

from __future__ import annotations

import json

from llm_sync.models import ModelResponse


def answer_text(response: ModelResponse, *, parsed: bool, indent: int | None) -> str:
    """The text of an answer. ``parsed``: a schema was given, so print the parsed object, with this ``indent``."""
    if parsed and "parsed" in response.metadata:
        return json.dumps(response.metadata["parsed"], ensure_ascii=False, indent=indent)
    return "\n".join([*([response.text] if response.text else []), *_tool_calls(response)])


def _tool_calls(response: ModelResponse) -> list[str]:
    """The tool calls of an answer, one JSON object each."""
    return [
        json.dumps(
            {"tool_call": call.name, "arguments": call.raw_arguments if call.arguments is None else call.arguments},
            ensure_ascii=False,
        )
        for call in response.tool_calls
    ]
