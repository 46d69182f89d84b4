"""What OpenAI refuses of JSON Schemas: those that are none, lists of nothing, and in strict mode all that is left open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_sync.simulator.dialects.json_schemas import Place, malformed, types_of, within
from llm_sync.simulator.dialects.openai.checks import Refuse

_NOT_STRICT = ("oneOf", "allOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas")
_SAYS_A_TYPE = ("type", "anyOf", "$ref", "enum", "const")


def check_schema(schema: Any, what: str, param: str, code: str, refuse: Refuse) -> None:
    """Any schema: valid at every depth. ``what`` names it in messages."""
    for place, found in within(schema):
        _refuse_if(malformed(found), place, what, param, code, refuse)


def check_items(schema: Any, what: str, param: str, code: str, refuse: Refuse) -> None:
    """A function's, or a strict one: arrays say of what."""
    for place, found in within(schema):
        if "array" in types_of(found) and "items" not in found and "prefixItems" not in found:
            _refuse_if("array schema missing items", place, what, param, code, refuse)


def check_strict(schema: Any, what: str, param: str, code: str, refuse: Refuse) -> None:
    """Strict mode: every object closed, every property required, nothing that the decoder cannot follow, at every depth."""
    for place, found in within(schema):
        _refuse_if(_loose(found), place, what, param, code, refuse)
    check_items(schema, what, param, code, refuse)


def _loose(schema: Mapping[str, Any]) -> str | None:
    for keyword in _NOT_STRICT:
        if keyword in schema:
            return f"'{keyword}' is not permitted"
    if not any(keyword in schema for keyword in _SAYS_A_TYPE):
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


def _refuse_if(problem: str | None, place: Place, what: str, param: str, code: str, refuse: Refuse) -> None:
    if problem is not None:
        context = f"In context=({', '.join(repr(step) for step in place)}{',' if len(place) == 1 else ''})"
        refuse(f"Invalid schema for {what}: {context}, {problem}.", param=param, code=code)
