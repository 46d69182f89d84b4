"""Arguments held against a JSON Schema that the caller gave, without any further package.

Checked are type, enum, const, required, properties, additionalProperties, items and anyOf; what else a schema says is left to the
tool.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_sync.client.tools.misfits import Misfit, below, shown
from llm_sync.models.grammar import with_article

_KINDS: dict[str, tuple[type[Any], ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
    "array": (list,),
    "object": (dict,),
}


def check(value: Any, schema: Any, path: str = "") -> None:
    """Raise Misfit unless ``value`` fits ``schema``, as far as that is checked."""
    if schema is False:
        raise Misfit(path, "nothing may stand here")
    if not isinstance(schema, Mapping):
        return
    _check_type(value, schema.get("type"), path)
    words = schema.get("enum")
    if isinstance(words, (list, tuple)) and not any(_equal(value, word) for word in words):
        raise Misfit(path, f"one of {', '.join(map(shown, words))}", value)
    if "const" in schema and not _equal(value, schema["const"]):
        raise Misfit(path, shown(schema["const"]), value)
    if isinstance(value, dict):
        _check_object(value, schema, path)
    if isinstance(value, list):
        for index, each in enumerate(value):
            check(each, schema.get("items"), f"{path}[{index}]")
    choices = schema.get("anyOf")
    if isinstance(choices, (list, tuple)) and choices:
        _check_any(value, choices, path)


def _check_type(value: Any, given: Any, path: str) -> None:
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, (list, tuple)) or not all(name in _KINDS for name in names if isinstance(name, str)):
        return  # none, or one of another kind of schema (Gemini's STRING …)
    if not any(_is_of(value, name) for name in names):
        raise Misfit(path, " or ".join(name if name == "null" else with_article(name) for name in names), value)


def _is_of(value: Any, name: Any) -> bool:
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return type(value) in _KINDS.get(name, ())


def _equal(value: Any, other: Any) -> bool:
    """As JSON has it: true is not 1, and 1.0 is."""
    return isinstance(value, bool) == isinstance(other, bool) and bool(value == other)


def _check_object(value: dict[str, Any], schema: Mapping[str, Any], path: str) -> None:
    properties = schema.get("properties")
    known: Mapping[str, Any] = properties if isinstance(properties, Mapping) else {}
    required = schema.get("required")
    for name in required if isinstance(required, (list, tuple)) else ():
        if name not in value:
            raise Misfit(below(path, str(name)), "it is required, and missing")
    others = None if "patternProperties" in schema else schema.get("additionalProperties")
    for name, each in value.items():
        if name not in known and others is False:
            names = f"the names are: {', '.join(known)}" if known else "there are none"
            raise Misfit(below(path, name), f"there is no such name; {names}")
        check(each, known.get(name, others), below(path, name))


def _check_any(value: Any, choices: Any, path: str) -> None:
    misfits = [_misfit(value, choice, path) for choice in choices]
    if None not in misfits:
        raise next(misfit for misfit in reversed(misfits) if misfit is not None)


def _misfit(value: Any, schema: Any, path: str) -> Misfit | None:
    try:
        check(value, schema, path)
    except Misfit as misfit:
        return misfit
    return None
