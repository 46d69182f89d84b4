"""Converts the input items of the Responses API to the messages of chat completions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_sync.errors import InvalidRequestError
from llm_sync.openai_shape.adjustments import Adjustments
from llm_sync.openai_shape.content_parts import what
from llm_sync.openai_shape.reasoned_turns import reasoned_turns


def read_items(items: Any, adjustments: Adjustments, *, native: bool) -> list[dict[str, Any]]:
    """Convert input items to chat messages; consecutive calls become one turn.

    ``native``: the provider speaks the Responses API, and takes reasoning back with the items that follow it.
    """
    if not isinstance(items, (list, tuple)):
        raise InvalidRequestError(f"input is {what(items)}", guidance="Give a text or a list of items.")
    out: list[dict[str, Any]] = []
    kept = reasoned_turns(items, native=native)
    for index, item in enumerate(items):
        if index in kept:
            if kept[index] is not None:
                out.append(kept[index])
            continue
        if not isinstance(item, Mapping):
            raise InvalidRequestError(f"input[{index}] is {what(item)}", guidance="Give an object.")
        kind = item.get("type") or "message"
        if kind == "message":
            out.append({"role": item.get("role"), "content": _parts(item.get("content"), f"input[{index}]")})
        elif kind == "function_call":
            call = {
                "id": item.get("call_id"),
                "type": "function",
                "function": {"name": item.get("name"), "arguments": item.get("arguments")},
            }
            if not out or out[-1]["role"] != "assistant":
                out.append({"role": "assistant", "content": None})
            out[-1].setdefault("tool_calls", []).append(call)
        elif kind == "function_call_output":
            content = _parts(item.get("output"), f"input[{index}]")
            out.append({"role": "tool", "tool_call_id": item.get("call_id"), "content": content})
        elif kind == "reasoning":
            adjustments.lose(f"input[{index}]", "reasoning", "what the model thought before is not sent")
        else:
            raise InvalidRequestError(
                f"input[{index}] is of type {kind!r}, which cannot be sent",
                guidance="Items are messages, function calls and their outputs.",
            )
    return out


def _parts(content: Any, path: str) -> Any:
    """Converts an item's content to the parts of chat completions."""
    if not isinstance(content, (list, tuple)):
        return content
    return [_part(part, f"{path}.content[{index}]") for index, part in enumerate(content)]


def _part(part: Any, place: str) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, Mapping) else None
    mark = {name: part[name] for name in ("prompt_cache_breakpoint",) if kind and part.get(name)}
    if kind in ("input_text", "output_text", "text"):
        return {"type": "text", "text": part.get("text"), **mark}
    if kind == "refusal":
        return {"type": "refusal", "refusal": part.get("refusal")}
    if kind == "input_image" and part.get("image_url"):
        return {"type": "image_url", "image_url": {"url": part["image_url"], "detail": part.get("detail")}, **mark}
    if kind == "input_file" and part.get("file_url"):
        return {"type": "document_url", "document_url": part["file_url"], "document_name": part.get("filename"), **mark}
    if kind == "input_file" and part.get("file_data"):
        return {"type": "file", "file": {"file_data": part["file_data"], "filename": part.get("filename")}, **mark}
    raise InvalidRequestError(
        f"{place} is of type {kind!r}, which cannot be sent",
        guidance="Parts are input_text, input_image with image_url, and input_file with file_data or file_url.",
    )
