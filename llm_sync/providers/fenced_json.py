"""JSON that a model put into a code fence, alone: models without structured output do so although told not to."""

from __future__ import annotations

import dataclasses
import re

from llm_sync.models import Adjustment, ModelRequest
from llm_sync.providers.answer import Answer, Completed
from llm_sync.providers.json_body import parse_strictly
from llm_sync.runtime.import_lock import import_lock

_MARK = "\ufeff"  # a byte-order mark
_OPENING = re.compile(r"```[ \t]*(?:json[c5]?)?[ \t]*\r?\n", re.IGNORECASE)


def without_fence(answer: Answer, request: ModelRequest) -> tuple[Answer, Adjustment | None]:
    """The answer with the JSON alone as its text, and the adjustment that says so.

    Only where a finished answer is one fence, perhaps after a byte-order mark or white space, around JSON that fits the
    ``response_schema``. Every other answer comes back as it is, with None.
    """
    schema, text = request.response_schema, answer.text
    if schema is None or answer.tool_calls or not isinstance(answer.outcome, Completed):
        return answer, None
    bare = text.lstrip(f"{_MARK} \t\r\n").rstrip()
    opening = _OPENING.match(bare)
    if opening is not None and bare.endswith("```") and len(bare) >= opening.end() + 3:
        inner, around = bare[opening.end() : -3].strip(), "a code fence"
    elif _MARK in text[: len(text) - len(text.lstrip(f"{_MARK} \t\r\n"))]:
        inner, around = bare, "a byte-order mark"
    else:
        return answer, None
    try:
        document = parse_strictly(inner)
    except ValueError:
        return answer, None
    with import_lock:  # few answers have a schema
        from llm_sync.validation.json_schema import misfits

    if misfits(document, schema):
        return answer, None
    note = Adjustment("response_schema", "JSON alone", f"JSON with {around}", "the model wrote it so; text has the JSON alone")
    return dataclasses.replace(answer, text=inner), note
