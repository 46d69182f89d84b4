"""Which schemas OpenAI's strict mode takes. Others are sent without it: they are taken then, and the answer is checked here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
