"""Checks of JSON Schemas that OpenAI makes: malformed schemas, arrays without items, and the rules of strict mode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_sync.simulator.dialects.json_schemas import SchemaPath, iter_schemas, schema_error, types_of
from llm_sync.simulator.dialects.openai.checks import Refuse

_NOT_STRICT = ("oneOf", "allOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas")
_TYPE_KEYS = ("type", "anyOf", "$ref", "enum", "const")


def check_schema(schema: Any, what: str, param: str, code: str, refuse: Refuse) -> None:
    """Checks that a schema and its subschemas are valid. ``what`` names it in messages."""
    for location, subschema in iter_schemas(schema):
        _refuse_if(schema_error(subschema), location, what, param, code, refuse)


def check_items(schema: Any, what: str, param: str, code: str, refuse: Refuse) -> None:
    """Checks that every array has items; for functions, and in strict mode."""
    for location, subschema in iter_schemas(schema):
        if "array" in types_of(subschema) and "items" not in subschema and "prefixItems" not in subschema:
            _refuse_if("array schema missing items", location, what, param, code, refuse)


def check_strict(schema: Any, what: str, param: str, code: str, refuse: Refuse) -> None:
    """Checks strict mode at every depth: closed objects, all properties required, no unsupported keywords."""
    for location, subschema in iter_schemas(schema):
        _refuse_if(_strict_error(subschema), location, what, param, code, refuse)
    check_items(schema, what, param, code, refuse)


def _strict_error(schema: Mapping[str, Any]) -> str | None:
    for keyword in _NOT_STRICT:
        if keyword in schema:
            return f"'{keyword}' is not permitted"
    if not any(keyword in schema for keyword in _TYPE_KEYS):
        return "schema must have a 'type' key"
    if "object" not in types_of(schema) and "properties" not in schema:
        return None
    if schema.get("additionalProperties") is not False:
        return "'additionalProperties' has to be there and to be false"
    properties, required = schema.get("properties") or {}, schema.get("required") or []
    missing = [name for name in properties if name not in required]
    if missing:
        return f"'required' has to name every key in properties. Missing '{missing[0]}'"
    extra = [name for name in required if name not in properties]
    return f"'required' names what is no key in properties. Extra required key '{extra[0]}'" if extra else None


def _refuse_if(problem: str | None, location: SchemaPath, what: str, param: str, code: str, refuse: Refuse) -> None:
    if problem is not None:
        context = f"In context=({', '.join(repr(step) for step in location)}{',' if len(location) == 1 else ''})"
        refuse(f"Invalid schema for {what}: {context}, {problem}.", param=param, code=code)
