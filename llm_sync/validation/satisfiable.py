"""Finds JSON Schemas that no document can fit, so that nobody pays for an answer that has to fail.

Only what is certain is reported: a schema passes wherever the answer depends on a keyword that is not understood here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_MAX_STEPS = 20_000  # schemas that refer to each other can be unfolded without end
_TYPES = ("null", "boolean", "integer", "number", "string", "array", "object")

Resolve = Callable[[str], Any]  # a reference -> what it refers to


class _TooLarge(Exception):
    """The schema is too large to be decided."""


def unsatisfiable(schema: Any, resolve: Resolve, fits: Callable[[Any, Any], bool]) -> str | None:
    """Why no document fits the schema, with the path of the part at fault; None if one may fit.

    ``fits(document, schema)`` checks one document.
    """
    try:
        return _Search(resolve, fits).reason(schema, "")
    except _TooLarge:
        return None


class _Search:
    def __init__(self, resolve: Resolve, fits: Callable[[Any, Any], bool]) -> None:
        self._resolve = resolve
        self._fits = fits
        self._open: set[int] = set()  # schemas being decided: a document cannot contain itself
        self._steps = 0

    def reason(self, schema: Any, path: str) -> str | None:
        """Why no document fits."""
        self._steps += 1
        if self._steps > _MAX_STEPS:
            raise _TooLarge
        if schema is False:
            return f"{path or 'the schema'} is false, which accepts nothing"
        if not isinstance(schema, Mapping):
            return None
        if id(schema) in self._open:
            return f"{path or 'the schema'} requires itself without end"
        self._open.add(id(schema))
        try:
            return next(self._reasons(schema, path), None)
        finally:
            self._open.discard(id(schema))

    def _reasons(self, schema: Mapping[str, Any], path: str) -> Iterator[str]:
        yield from self._combinations(schema, path)
        yield from self._values(schema, path)
        reasons: list[str] = []
        for kind in _allowed_types(schema):
            reason = self._type_reason(kind, schema, path)
            if reason is None:
                return
            reasons.append(reason)
        yield reasons[0] if reasons else f"{_at(path, 'type')} allows no type that the rest of the schema allows"

    def _combinations(self, schema: Mapping[str, Any], path: str) -> Iterator[str]:
        if isinstance(schema.get("$ref"), str):
            yield from _present(self.reason(self._resolve(schema["$ref"]), schema["$ref"]))
        for index, part in enumerate(_list(schema.get("allOf"))):
            yield from _present(self.reason(part, f"{_at(path, 'allOf')}[{index}]"))
        for name in ("anyOf", "oneOf"):
            reasons = [self.reason(part, f"{_at(path, name)}[{index}]") for index, part in enumerate(_list(schema.get(name)))]
            if reasons and None not in reasons:
                yield str(reasons[0])
        if schema.get("not") is True or schema.get("not") == {}:
            yield f"{_at(path, 'not')} excludes everything"

    def _values(self, schema: Mapping[str, Any], path: str) -> Iterator[str]:
        if "enum" in schema and isinstance(schema["enum"], (list, tuple)):
            if not schema["enum"]:
                yield f"{_at(path, 'enum')} is empty"
            elif not any(self._fits(value, schema) for value in schema["enum"]):
                yield f"{_at(path, 'enum')} has no value that fits the rest of the schema"
        if "const" in schema and not self._fits(schema["const"], schema):
            yield f"{_at(path, 'const')} does not fit the rest of the schema"

    def _type_reason(self, kind: str, schema: Mapping[str, Any], path: str) -> str | None:
        """Why no document of one type fits."""
        if kind in ("integer", "number"):
            return _number_reason(schema, path, whole=kind == "integer")
        if kind == "string":
            return _range_reason(schema, path, "minLength", "maxLength")
        if kind == "array":
            return _range_reason(schema, path, "minItems", "maxItems") or self._array_reason(schema, path)
        if kind == "object":
            return _range_reason(schema, path, "minProperties", "maxProperties") or self._object_reason(schema, path)
        return None

    def _array_reason(self, schema: Mapping[str, Any], path: str) -> str | None:
        least = _number(schema.get("minItems"), 0)
        prefix = _list(schema.get("prefixItems")) or _list(schema.get("items"))
        for index, item in enumerate(prefix):
            reason = self.reason(item, f"{_at(path, 'items')}[{index}]") if index < least else None
            if reason:
                return reason
        if "items" in schema and not isinstance(schema["items"], (list, tuple)) and least > len(prefix):
            reason = self.reason(schema["items"], _at(path, "items"))
            if reason:
                return reason
        if "contains" in schema and _number(schema.get("minContains"), 1) >= 1:
            if _number(schema.get("minContains"), 1) > _number(schema.get("maxItems"), math.inf):
                return f"{_at(path, 'minContains')} is more than maxItems"
            return self.reason(schema["contains"], _at(path, "contains"))
        return None

    def _object_reason(self, schema: Mapping[str, Any], path: str) -> str | None:
        required = [name for name in _list(schema.get("required")) if isinstance(name, str)]
        if len(set(required)) > _number(schema.get("maxProperties"), math.inf):
            return f"{_at(path, 'required')} names more properties than maxProperties allows"
        properties = schema.get("properties")
        properties = properties if isinstance(properties, Mapping) else {}
        for name in required:
            if name in properties:
                reason = self.reason(properties[name], _at(path, f"properties.{name}"))
                if reason:
                    return reason
            elif schema.get("additionalProperties") is False and not schema.get("patternProperties"):
                return f"{_at(path, 'required')} names {name}, which is not in properties, and additionalProperties is false"
        return None


def _allowed_types(schema: Mapping[str, Any]) -> list[str]:
    """The types that ``type`` allows here and in every part of ``allOf``."""
    allowed = set(_TYPES)
    for part in (schema, *(part for part in _list(schema.get("allOf")) if isinstance(part, Mapping))):
        if "type" in part:
            kinds = set(_list(part["type"]) or [part["type"]])
            allowed &= kinds | ({"integer"} if "number" in kinds else set())
    return [kind for kind in _TYPES if kind in allowed]


def _number_reason(schema: Mapping[str, Any], path: str, *, whole: bool) -> str | None:
    low, high = _number(schema.get("minimum"), -math.inf), _number(schema.get("maximum"), math.inf)
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if isinstance(above, bool) or isinstance(below, bool):  # draft 4: they are switches of minimum and maximum
        return f"{_at(path, 'minimum')} is more than maximum" if low > high else None
    above, below = _number(above, -math.inf), _number(below, math.inf)
    if low > high or low >= below or above >= high or above >= below:
        return f"{_at(path, 'minimum')} leaves no number below the maximum"
    if whole and max(low, above) > -math.inf and min(high, below) < math.inf:
        least = max(math.ceil(low) if low > -math.inf else -math.inf, math.floor(above) + 1 if above > -math.inf else -math.inf)
        if least > high or least >= below:
            return f"{_at(path, 'minimum')} leaves no whole number below the maximum"
    return None


def _range_reason(schema: Mapping[str, Any], path: str, least: str, most: str) -> str | None:
    if _number(schema.get(least), 0) > _number(schema.get(most), math.inf):
        return f"{_at(path, least)} is more than {most}"
    return None


def _number(value: Any, otherwise: float) -> float:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else otherwise


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _present(reason: str | None) -> list[str]:
    return [] if reason is None else [reason]


def _at(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
