"""JSON Schemas in requests: iterates over all subschemas, and finds malformed ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

SchemaPath = tuple[str, ...]

TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")
_NAMED = ("properties", "$defs", "definitions")
_LISTED = ("anyOf", "allOf", "oneOf")


def iter_schemas(schema: Any, path: SchemaPath = ()) -> Iterator[tuple[SchemaPath, Mapping[str, Any]]]:
    """The schema itself and all its subschemas, each with its path."""
    if not isinstance(schema, Mapping):
        return
    yield path, schema
    for group in _NAMED:
        members = schema.get(group)
        for name, entry in members.items() if isinstance(members, Mapping) else ():
            yield from iter_schemas(entry, (*path, group, str(name)))
    yield from iter_schemas(schema.get("items"), (*path, "items"))
    for group in _LISTED:
        members = schema.get(group)
        for index, entry in enumerate(members) if isinstance(members, list) else ():
            yield from iter_schemas(entry, (*path, group, str(index)))


def types_of(schema: Mapping[str, Any]) -> list[Any]:
    """The values of ``type``, one or several."""
    kind = schema.get("type")
    return kind if isinstance(kind, list) else [] if kind is None else [kind]


def schema_error(schema: Mapping[str, Any]) -> str | None:
    """Why this is not a valid JSON Schema, apart from its subschemas; None if it is valid."""
    for kind in types_of(schema):
        if kind not in TYPES:
            return f"{kind!r} is not valid under any of the given schemas"
    for group in _NAMED:
        members = schema.get(group)
        if members is not None and not isinstance(members, Mapping):
            return f"{members!r} is not of type 'object'"
    for group in ("required", "enum", *_LISTED):
        members = schema.get(group)
        if members is not None and not isinstance(members, list):
            return f"{members!r} is not of type 'array'"
    if not all(isinstance(name, str) for name in schema.get("required") or ()):
        return "a name in 'required' is not of type 'string'"
    inner = [schema.get("items"), *(entry for group in _NAMED for entry in (schema.get(group) or {}).values())]
    inner += [entry for group in _LISTED for entry in schema.get(group) or ()]
    for entry in inner:
        if entry is not None and not isinstance(entry, (Mapping, bool)):
            return f"{entry!r} is not of type 'object', 'boolean'"
    return None
