"""Which schemas OpenAI's strict mode takes. Others are sent without it: they are taken then, and the answer is checked here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_sync.providers.adjustments import Adjustments
from llm_sync.validation.schema_wrapping import StrictSchema

# What strict mode is documented to take; everything else (oneOf, allOf, not, if, patternProperties …) it refuses, or may.
_KEYWORDS = frozenset(
    [
        "type",
        "enum",
        "const",
        "anyOf",
        "$ref",
        "$defs",
        "definitions",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "title",
        "description",
        "pattern",
        "format",
        "multipleOf",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "minItems",
        "maxItems",
        "$schema",
        "$id",
        "$comment",
    ]
)
_KINDS = ("type", "anyOf", "$ref", "enum", "const")  # each part of a schema has one of them
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
_NAMED = ("properties", "$defs", "definitions")  # their keys are names, not keywords


def is_strict_schema(schema: Any) -> bool:
    """Whether strict mode takes the schema: an object, closed at every depth, all properties required, no other keywords."""
    return isinstance(schema, Mapping) and schema.get("type") == "object" and "anyOf" not in schema and _is_strict(schema)


def _is_strict(schema: Any) -> bool:
    if not isinstance(schema, Mapping) or not schema.keys() <= _KEYWORDS or not any(key in schema for key in _KINDS):
        return False
    if "$ref" in schema:
        return len(schema) == 1
    if "format" in schema and schema["format"] not in _FORMATS:
        return False
    kinds = schema.get("type")
    kinds = kinds if isinstance(kinds, (list, tuple)) else (kinds,)
    if ("object" in kinds or "properties" in schema) and not _is_closed(schema):
        return False
    if "array" in kinds and "items" not in schema:
        return False
    parts = [schema["items"]] if "items" in schema else []
    alternatives = schema.get("anyOf", [])
    if not isinstance(alternatives, (list, tuple)):
        return False
    for key in _NAMED:
        named = schema.get(key, {})
        if not isinstance(named, Mapping):
            return False
        parts += named.values()
    return all(_is_strict(part) for part in (*parts, *alternatives))


def _is_closed(schema: Mapping[str, Any]) -> bool:
    """Whether an object takes no further properties and lacks none; ``required`` may be absent where there are none."""
    properties, required = schema.get("properties", {}), schema.get("required", [])
    names = isinstance(required, (list, tuple)) and all(isinstance(name, str) for name in required)
    return (
        schema.get("additionalProperties") is False
        and isinstance(properties, Mapping)
        and names
        and set(required) == set(properties)
    )


def strict_form(schema: Mapping[str, Any], adjustments: Adjustments) -> tuple[Mapping[str, Any], bool]:
    """The schema as it is sent, and whether in strict mode. Where that was asked for, ``oneOf`` is sent as ``anyOf``, which
    strict mode takes; the answer is held against the schema as it was given."""
    if is_strict_schema(schema):
        return schema, True
    if not isinstance(schema, StrictSchema):
        return schema, False
    changed = _with_any_of(schema)
    if is_strict_schema(changed):
        adjustments.note(
            "response_schema", "oneOf", "anyOf", "strict mode does not take oneOf; the answer is checked all the same"
        )
        return changed, True
    adjustments.note("response_schema.strict", True, False, "strict mode does not take this schema; the answer is checked here")
    return schema, False


def _with_any_of(node: Any, names: bool = False) -> Any:
    if isinstance(node, list):
        return [_with_any_of(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    out = {}
    for key, value in node.items():
        if not names and key in ("enum", "const"):
            out[key] = value
        elif not names and key == "oneOf" and "anyOf" not in node:
            out["anyOf"] = _with_any_of(value)
        else:
            out[key] = _with_any_of(value, names=not names and key in _NAMED)
    return out
