"""A schema out of the wrapping that OpenAI's API has around it, and the check that it is a schema at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_sync.errors import InvalidRequestError

_WORDS = """
    $schema $defs definitions $ref $dynamicRef $recursiveRef type enum const allOf anyOf oneOf not if properties
    patternProperties additionalProperties propertyNames unevaluatedProperties required dependentRequired dependentSchemas
    dependencies minProperties maxProperties items prefixItems additionalItems contains minContains maxContains
    unevaluatedItems minItems maxItems uniqueItems minLength maxLength pattern format minimum maximum exclusiveMinimum
    exclusiveMaximum multipleOf
"""
_KEYWORDS = frozenset(_WORDS.split())  # a mapping without any of these is no schema, or one that allows everything


class StrictSchema(dict[str, Any]):
    """A schema that came with ``strict: true``: it is to be sent in strict mode, if that is possible at all."""


def unwrapped(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema in OpenAI's wrapping, ``{name, schema, strict}`` or all of ``response_format``; any other as it is."""
    inner = schema.get("json_schema")
    if schema.get("type") == "json_schema" and isinstance(inner, Mapping) and schema.keys() <= {"type", "json_schema"}:
        schema = inner
    inner = schema.get("schema")
    wrapped = isinstance(inner, Mapping) and schema.get("type", "json_schema") == "json_schema"
    if wrapped and schema.keys() <= {"name", "schema", "strict", "description", "type"}:
        return StrictSchema(inner) if schema.get("strict") is True else inner  # type: ignore[arg-type, return-value]
    return schema


def check_keywords(schema: Mapping[str, Any]) -> None:
    """Raise InvalidRequestError for a mapping without any keyword of JSON Schema. ``{}`` passes: it is any JSON, on purpose."""
    if schema and not schema.keys() & _KEYWORDS:
        names = ", ".join(map(str, list(schema)[:5]))
        raise InvalidRequestError(
            f"response_schema has no keyword of JSON Schema (only {names}), so every answer would fit it",
            guidance="Give {'type': 'object', 'properties': {…}, 'required': […]}, or leave it out.",
        )
