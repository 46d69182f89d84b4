"""JSON Schemas as requests carry them: every schema within one, and whether it is one at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Place = tuple[str, ...]

TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")
_NAMED = ("properties", "$defs", "definitions")
_LISTED = ("anyOf", "allOf", "oneOf")


def within(schema: Any, place: Place = ()) -> Iterator[tuple[Place, Mapping[str, Any]]]:
    """The schema itself and all schemas in it, each with the way to it."""
    if not isinstance(schema, Mapping):
        return
    yield place, schema
    for group in _NAMED:
        found = schema.get(group)
        for name, entry in found.items() if isinstance(found, Mapping) else ():
            yield from within(entry, (*place, group, str(name)))
    yield from within(schema.get("items"), (*place, "items"))
    for group in _LISTED:
        found = schema.get(group)
        for index, entry in enumerate(found) if isinstance(found, list) else ():
            yield from within(entry, (*place, group, str(index)))


def types_of(schema: Mapping[str, Any]) -> list[Any]:
    """The types it names, one or several."""
    kind = schema.get("type")
    return kind if isinstance(kind, list) else [] if kind is None else [kind]


def malformed(schema: Mapping[str, Any]) -> str | None:
    """What keeps it from being a JSON Schema, those in it not looked at; None where nothing does."""
    for kind in types_of(schema):
        if kind not in TYPES:
            return f"{kind!r} is not valid under any of the given schemas"
    for group in _NAMED:
        found = schema.get(group)
        if found is not None and not isinstance(found, Mapping):
            return f"{found!r} is not of type 'object'"
    for group in ("required", "enum", *_LISTED):
        found = schema.get(group)
        if found is not None and not isinstance(found, list):
            return f"{found!r} is not of type 'array'"
    if not all(isinstance(name, str) for name in schema.get("required") or ()):
        return "a name in 'required' is not of type 'string'"
    inner = [schema.get("items"), *(entry for group in _NAMED for entry in (schema.get(group) or {}).values())]
    inner += [entry for group in _LISTED for entry in schema.get(group) or ()]
    for entry in inner:
        if entry is not None and not isinstance(entry, (Mapping, bool)):
            return f"{entry!r} is not of type 'object', 'boolean'"
    return None
