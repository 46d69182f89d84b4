"""The conversation in a Converse request, as turns."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from llm_sync.simulator.answers.turns import CALLS, Turn


def bedrock_turns(payload: Any) -> list[Turn]:
    """Bedrock's ``system`` and ``messages``; tool results are turns of their own. The payload may be invalid."""
    turns = [("system", block["text"]) for block in _blocks(payload, "system") if isinstance(block.get("text"), str)]
    for message in _blocks(payload, "messages"):
        role = message.get("role")
        role = role if isinstance(role, str) and role else "user"
        for block in _blocks(message, "content"):
            guarded = block.get("guardContent")
            text = guarded.get("text") if isinstance(guarded, dict) else block
            if isinstance(text, dict) and isinstance(text.get("text"), str):
                turns.append((role, text["text"]))
            turns += [("tool", result) for result in _results(block.get("toolResult"))]
            turns += [(CALLS, "")] if "toolUse" in block else []
    return turns


def _results(result: Any) -> Iterator[str]:
    for part in _blocks(result, "content"):
        if isinstance(part.get("text"), str):
            yield part["text"]
        elif "json" in part:
            yield json.dumps(part["json"])


def _blocks(value: Any, key: str) -> Iterator[Mapping[str, Any]]:
    items = value.get(key) if isinstance(value, dict) else None
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict):
            yield item
