"""The conversation in a request to Google's Interactions, as turns."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from llm_sync.simulator.answers.turns import CALLS, Turn

_ROLES = {"user_input": "user", "model_output": "assistant"}


def interactions_turns(payload: Any) -> list[Turn]:
    """``system_instruction``, then ``input``: a text, one content, contents or steps. The payload may be invalid."""
    fields = payload if isinstance(payload, dict) else {}
    system, given = fields.get("system_instruction"), fields.get("input")
    turns = [("system", system)] if isinstance(system, str) and system else []
    if isinstance(given, str):
        return [*turns, ("user", given)]
    for item in _mappings([given] if isinstance(given, dict) else given):
        if item.get("type") == "function_result":
            turns.append(("tool", _as_text(item.get("result"))))
        elif item.get("type") == "function_call":
            turns.append((CALLS, ""))
        elif item.get("type") in _ROLES:
            for content in _mappings(item.get("content")):
                if content.get("type") == "function_result":
                    turns.append(("tool", _as_text(content.get("result"))))
                elif isinstance(content.get("text"), str):
                    turns.append((_ROLES[item["type"]], content["text"]))
        elif isinstance(item.get("text"), str):
            turns.append(("user", item["text"]))
    return turns


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _mappings(items: Any) -> Iterator[Mapping[str, Any]]:
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict):
            yield item
