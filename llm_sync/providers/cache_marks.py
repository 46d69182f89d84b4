"""Points up to which a provider is to cache a prompt, in Anthropic's form, which OpenRouter and Qwen have, too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llm_sync.providers.adjustments import Adjustments

_MAX_MARKS = 4


def cache_control(ttl: str | None) -> dict[str, Any]:
    """The mark of a content block or a tool; without ``ttl`` the provider's own time, 5 minutes."""
    mark = {"type": "ephemeral"} if ttl is None else {"type": "ephemeral", "ttl": ttl}
    return {"cache_control": mark}


def tool_mark(tool: Mapping[str, Any]) -> dict[str, Any]:
    """The mark that a tool carries, in its plain or OpenAI's wrapped form."""
    inner = tool.get("function")
    mark = tool.get("cache_control") or (inner.get("cache_control") if isinstance(inner, Mapping) else None)
    return {"cache_control": mark} if mark else {}


def limit_cache_marks(payload: dict[str, Any], adjustments: Adjustments) -> None:
    """Leave out the first marks if there are more than Anthropic takes: later ones cover more of the prompt."""
    marked = [block for block in _blocks(payload) if "cache_control" in block]
    surplus = marked[: max(0, len(marked) - _MAX_MARKS)]
    for block in surplus:
        del block["cache_control"]
    if surplus:
        adjustments.lose("cache", len(marked), _MAX_MARKS, f"Anthropic takes {_MAX_MARKS} cache points; the last ones are sent")


def _blocks(payload: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The tools, the system prompt and the contents, in the order in which the prompt has them."""
    for blocks in (payload.get("tools"), payload.get("system"), *(message["content"] for message in payload["messages"])):
        yield from (block for block in blocks or () if isinstance(block, dict)) if isinstance(blocks, list) else ()
