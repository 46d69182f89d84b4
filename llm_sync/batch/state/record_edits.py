"""Changes records whose lines have moved or were edited, and adds to them what their lines say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from llm_sync.batch.state.records import result_id


def reindexed(content: bytes, index: int) -> bytes:
    """A record whose line has moved to another position in the input."""
    values = json.loads(content)
    ours = values.get("llm_sync", values)
    ours["index"] = index
    if ours is not values:
        values["id"] = result_id(index, ours["line_hash"])
    return json.dumps(values, ensure_ascii=False).encode("utf-8", "backslashreplace")


def edited(content: bytes, line: str, line_id: str | int | None, settings: str) -> bytes:
    """A record whose line was edited without a change of what is sent. ``line``, ``settings``: the hashes as they are now."""
    values = json.loads(content)
    ours = values.get("llm_sync", values)
    ours["line_hash"], ours["settings"] = line, settings
    ours.pop("input", None)  # what was kept of the line as it was
    if ours is not values:
        values["id"] = result_id(ours["index"], line)
    values["id" if ours is values else "custom_id"] = line_id
    return json.dumps(values, ensure_ascii=False).encode("utf-8", "backslashreplace")


def _without_braces(details: Mapping[str, Any]) -> bytes:
    if details.keys() == {"line"}:  # most records
        return b'"line": %d' % details["line"]
    return json.dumps(details, ensure_ascii=False).encode("utf-8", "backslashreplace")[1:-1]


def with_details(record: bytes, details: Mapping[str, Any], *, openai: bool) -> bytes:
    """A record with other details. They stand at its end, so that most records need not be parsed."""
    closing = b"}}" if openai else b"}"
    written = _without_braces(details)
    ending = b", " + written + closing
    has_input, has_line = b'"input": ' in record, b'"line": ' in record
    if record.endswith(ending) and ("input" in details or not has_input):
        return record
    if not has_input and not has_line and record.endswith(closing):
        return record.removesuffix(closing) + ending
    values = json.loads(record)
    ours = values.get("llm_sync", values)
    kept = {"input": ours.pop("input")} if "input" in ours else {}
    ours.pop("line", None)
    ours.update({**kept, **details})
    return json.dumps(values, ensure_ascii=False).encode("utf-8", "backslashreplace")
