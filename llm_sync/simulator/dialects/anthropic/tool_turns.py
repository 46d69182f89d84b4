"""Checks that turns with calls and thinking go back as Anthropic wants them: ids, results, signatures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from llm_sync.simulator.dialects.anthropic.messages import Refuse
from llm_sync.simulator.dialects.signatures import is_good

_ID = re.compile(r"[a-zA-Z0-9_-]+")


def check_tool_turns(payload: Mapping[str, Any], model: str, refuse: Refuse) -> None:
    """Checks ``messages`` that were read already. Refuses what the provider refuses."""
    ids = set[str]()
    for index, message in enumerate(payload["messages"]):
        results = set[str]()
        for place, block in _blocks(message):
            location = f"messages.{index}.content.{place}"
            kind = block.get("type")
            if kind == "tool_use":
                _check_id(block["id"], f"{location}.tool_use.id", refuse)
                if block["id"] in ids:
                    refuse("messages: `tool_use` ids must be unique")
                ids.add(block["id"])
            elif kind == "tool_result":
                _check_id(block["tool_use_id"], f"{location}.tool_result.tool_use_id", refuse)
                if block["tool_use_id"] in results:
                    refuse(
                        f"{location}: each tool_use must have a single result. Found multiple `tool_result` blocks with id: "
                        f"{block['tool_use_id']}"
                    )
                results.add(block["tool_use_id"])
            elif kind == "thinking" and not isinstance(block.get("signature"), str):
                refuse(f"{location}.thinking.signature: Field required")
            elif kind == "thinking" and not is_good(block["signature"], model):
                refuse(f"{location}: Invalid `signature` in `thinking` block")


def _check_id(value: str, location: str, refuse: Refuse) -> None:
    if not _ID.fullmatch(value):
        refuse(f"{location}: String should match pattern '^{_ID.pattern}$'")


def _blocks(message: Mapping[str, Any]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    content = message.get("content")
    for place, block in enumerate(content if isinstance(content, list) else ()):
        if isinstance(block, dict):
            yield place, block
