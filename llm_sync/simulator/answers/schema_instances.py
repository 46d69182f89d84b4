"""Makes instances of a JSON Schema (or of Gemini's OpenAPI subset), as a model does when asked for structured output.

Supports what providers accept: types, enum, const, properties, items, bounds, formats, combiners, local references. For
``pattern``, the sample texts below are tried; if none matches, the pattern is ignored. Patterns are
searched in linear time, because they come from clients.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from llm_sync.validation.linear_regex import UnsupportedPattern, compile_pattern

_SPARING_DEPTH = 6  # from this depth, or this number of values, only required parts are filled in
_SPARING_VALUES = 300
_MAX_DEPTH = 60
_MAX_VALUES = 5000  # values in one instance, for schemas that require themselves
_WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "inlet", "maple", "ocean", "river")
_FORMATS = {
    "date": "2025-03-{day:02d}",
    "date-time": "2025-03-{day:02d}T12:30:00Z",
    "time": "12:30:{day:02d}Z",
    "duration": "P{day}D",
    "email": "person{day}@example.com",
    "hostname": "host{day}.example.com",
    "ipv4": "192.0.2.{day}",
    "ipv6": "2001:db8::{day}",
    "uri": "https://example.com/{day}",
    "uuid": "00000000-0000-4000-8000-0000000000{day:02d}",
}
_SAMPLE_TEXTS = """
    a A 0 abc ABC Abc 12 123 1234 12345 ab-cd AB-12 ABC-123 A1 a1 a_b #a1b2c3 1.0 1.2.3 12:30 2025-03-14
    person@example.com https://example.com/ +15550100 555-0100 EUR en-US
    """
_SAMPLES = _SAMPLE_TEXTS.split()


def make_instance(schema: Any, number: int) -> Any:
    """A value that the schema accepts, chosen by ``number``; a text where the schema sets no type."""
    try:
        return _Filler(schema, number).fill(schema, "value", 0)
    except RecursionError:  # an allOf that contains itself
        return {}


class _Filler:
    def __init__(self, root: Any, number: int) -> None:
        self._root = root
        self._number = number
        self._filled = 0

    def _next(self) -> int:
        # linear congruential generator (Knuth's constants): different choices within an instance, repeatable for a number
        self._number = (self._number * 6364136223846793005 + 1442695040888963407) % 2**64
        return self._number >> 33

    def fill(self, schema: Any, name: str, depth: int) -> Any:
        self._filled += 1
        if not isinstance(schema, Mapping):
            return self._word(name)
        if depth > _MAX_DEPTH or self._filled > _MAX_VALUES:
            return None
        schema = self._resolve(schema)
        if "const" in schema:
            return schema["const"]
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            return schema["enum"][self._next() % len(schema["enum"])]
        kind = self._kind(schema)
        for key in ("anyOf", "oneOf"):
            if isinstance(schema.get(key), list) and schema[key]:
                return self._branch(schema, schema[key], name, depth)
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, name, depth)
        if kind in ("integer", "number"):
            return self._number_in(schema, kind == "integer")
        if kind == "boolean":
            return self._next() % 2 == 0
        return None if kind == "null" else self._string(schema, name)

    def _sparing(self, depth: int) -> bool:
        return depth >= _SPARING_DEPTH or self._filled >= _SPARING_VALUES

    def _resolve(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        for _ in range(_MAX_DEPTH):  # ends a reference to itself
            reference = schema.get("$ref")
            if not isinstance(reference, str) or not reference.startswith("#"):
                break
            target: Any = self._root
            for step in reference[1:].split("/")[1:]:
                key = step.replace("~1", "/").replace("~0", "~")
                target = target.get(key) if isinstance(target, Mapping) else None
            if not isinstance(target, Mapping):
                return {}
            schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
        for part in schema.get("allOf") or ():
            if isinstance(part, Mapping):
                schema = _merged(schema, self._resolve(part) if "$ref" in part else part)
        return schema

    def _kind(self, schema: Mapping[str, Any]) -> str:
        kind = schema.get("type")
        if isinstance(kind, list):
            kinds = [str(entry).lower() for entry in kind if str(entry).lower() != "null"]
            return kinds[self._next() % len(kinds)] if kinds else "null"
        if isinstance(kind, str):
            return kind.lower()  # Gemini writes OBJECT, STRING …
        if "properties" in schema or "additionalProperties" in schema:
            return "object"
        if "items" in schema or "prefixItems" in schema:
            return "array"
        return "number" if "minimum" in schema or "maximum" in schema else "string"

    def _branch(self, schema: Mapping[str, Any], branches: list[Any], name: str, depth: int) -> Any:
        if self._sparing(depth):  # the shortest way out of a recursive schema
            for branch in branches:
                if isinstance(branch, Mapping) and (branch.get("type") in ("null", "string", "boolean") or "const" in branch):
                    return self.fill(branch, name, depth + 1)
        branch = branches[self._next() % len(branches)]
        around = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf")}
        if isinstance(branch, Mapping):
            return self.fill(_merged(around, self._resolve(branch)), name, depth + 1)
        return self.fill(around, name, depth + 1)

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties")
        properties = properties if isinstance(properties, Mapping) else {}
        required = schema.get("required")
        required = [key for key in required if isinstance(key, str)] if isinstance(required, list) else []
        names = required if self._sparing(depth) else [*properties, *(key for key in required if key not in properties)]
        return {key: self.fill(properties.get(key), key, depth + 1) for key in names}

    def _array(self, schema: Mapping[str, Any], name: str, depth: int) -> list[Any]:
        prefix = schema.get("prefixItems")
        prefix = prefix if isinstance(prefix, list) else []
        low, high = _whole(schema.get("minItems"), 0), _whole(schema.get("maxItems"), 100)
        wanted = low if self._sparing(depth) else max(low, len(prefix), 1 + self._next() % 2)
        filled: list[Any] = []
        for index in range(min(wanted, high, 1000)):
            item = prefix[index] if index < len(prefix) else schema.get("items")
            value = self.fill(item, name, depth + 1)
            for _ in range(20):
                if not schema.get("uniqueItems") or value not in filled:
                    break
                value = self.fill(item, name, depth + 1)
            filled.append(value)
        return filled

    def _number_in(self, schema: Mapping[str, Any], whole: bool) -> int | float:
        low, high = _real(schema.get("minimum")), _real(schema.get("maximum"))
        step = _real(schema.get("multipleOf")) or (1 if whole else 0.5)
        above, below = _real(schema.get("exclusiveMinimum")), _real(schema.get("exclusiveMaximum"))
        if above is not None:
            low = above + step if low is None else max(low, above + step)
        if below is not None:
            high = below - step if high is None else min(high, below - step)
        if low is None:
            low = 1 if high is None or high >= 1 else high - 10 * step
        if high is not None and high < low:
            low = high = (low + high) / 2
        first = math.ceil(low / step)
        last = math.floor(high / step) if high is not None else first + 99
        if last < first:
            return low
        value = (first + self._next() % (min(last, first + 999) - first + 1)) * step
        return int(value) if whole or (value == int(value) and whole) else value

    def _string(self, schema: Mapping[str, Any], name: str) -> str:
        template = _FORMATS.get(str(schema.get("format")))
        text = template.format(day=1 + self._next() % 28) if template else self._word(name)
        low, high = _whole(schema.get("minLength"), 0), _whole(schema.get("maxLength"), 10**6)
        if isinstance(schema.get("pattern"), str):
            text = _matching(schema["pattern"], low, high, text)
        if len(text) < low:
            text += "." * (min(low, 100_000) - len(text))
        return text[:high]

    def _word(self, name: str) -> str:
        return f"{name.replace('_', ' ')} {_WORDS[self._next() % len(_WORDS)]}"


def _matching(pattern: str, low: int, high: int, otherwise: str) -> str:
    try:
        compiled = compile_pattern(pattern)
    except UnsupportedPattern:
        return otherwise
    return next((text for text in _SAMPLES if low <= len(text) <= high and compiled.matches(text)), otherwise)


def _merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    out = {**one, **other}
    for key in ("properties", "$defs"):
        if isinstance(one.get(key), Mapping) and isinstance(other.get(key), Mapping):
            out[key] = {**one[key], **other[key]}
    if isinstance(one.get("required"), list) and isinstance(other.get("required"), list):
        out["required"] = [*one["required"], *other["required"]]
    return out


def _whole(value: Any, otherwise: int) -> int:
    try:
        return max(0, int(value))  # Gemini writes int64 as strings
    except (TypeError, ValueError, OverflowError):
        return otherwise


def _real(value: Any) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
