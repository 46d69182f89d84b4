"""JSON Schemas that callers give for structured output: checked before a request is sent, applied to its answer.

The only user of jsonschema, an optional package (``llm-sync[schema]``) that is imported on use. References to other
documents are refused: nothing is fetched. Patterns are searched in linear time (linear_regex.py).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

from llm_sync.errors import ConfigurationError, FieldProblem, InvalidRequestError
from llm_sync.runtime.import_lock import import_lock
from llm_sync.validation.automaton import TextTooLong
from llm_sync.validation.linear_regex import LinearPattern, UnsupportedPattern, compile_pattern
from llm_sync.validation.satisfiable import unsatisfiable
from llm_sync.validation.schema_wrapping import check_keywords, unwrapped

MAX_DEPTH = 60  # of containers in containers; providers accept ten levels of objects, which are some thirty
MAX_VALUES = 50_000
_MAX_PROBLEMS = 20  # reported for one answer
_DATA = ("enum", "const", "default", "examples")
_NOTHING_SENT = "Correct the schema; nothing was sent."


def check_schema(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema, out of OpenAI's wrapping if it is in it. Raises InvalidRequestError for one that cannot be applied, that says
    nothing of the answer, or that no answer can fit.

    Raises ConfigurationError without jsonschema. A schema that was checked before costs little.
    """
    schema = unwrapped(schema)
    _check_size(schema)
    check_keywords(schema)
    try:
        text = json.dumps(schema)
    except (TypeError, ValueError):
        raise InvalidRequestError("response_schema is not JSON", guidance=_NOTHING_SENT) from None
    _checked(text)
    return schema


def misfits(document: Any, schema: Mapping[str, Any]) -> tuple[FieldProblem, ...]:
    """What in ``document`` does not fit a checked ``schema``, at most 20 problems; () if it fits."""
    try:
        validator = _checked(json.dumps(schema))
    except InvalidRequestError as error:  # it was not checked before
        return (FieldProblem("$", f"a schema that can be applied ({error.message})", "this one"),)
    return _problems(document, validator)


@lru_cache(maxsize=64)
def _checked(text: str) -> Any:
    """The validator of a schema. Raises InvalidRequestError."""
    jsonschema = _jsonschema()
    import referencing

    schema = json.loads(text)
    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(schema)
    except jsonschema.exceptions.SchemaError as error:
        path = "".join(f"[{part!r}]" for part in error.absolute_path)
        raise InvalidRequestError(
            f"response_schema{path} is not a JSON Schema: {error.message[:200]}", guidance=_NOTHING_SENT
        ) from None
    except RecursionError:
        raise InvalidRequestError("response_schema is nested too deeply", guidance=_NOTHING_SENT) from None
    for reference in _references(schema):
        if _MISSING is _resolve(schema, reference):
            raise InvalidRequestError(
                f"response_schema refers to {reference!r}, which is not in it", guidance="Put the definition under $defs."
            )
    patterns = _patterns(schema)
    keywords = {
        "pattern": _pattern_keyword(patterns),
        "patternProperties": _pattern_properties_keyword(patterns),
        "additionalProperties": _additional_properties_keyword(patterns),
        "multipleOf": _multiple_of,
    }
    validator = jsonschema.validators.extend(kind, keywords)(schema, registry=referencing.Registry())
    reason = unsatisfiable(schema, lambda name: _resolve(schema, name), lambda value, part: _fits(value, part, validator))
    if reason:
        raise InvalidRequestError(f"no answer can fit response_schema: {reason}", guidance=_NOTHING_SENT)
    return validator


def _fits(document: Any, schema: Any, validator: Any) -> bool:
    """Whether a document fits a part of the validator's schema; True if that cannot be decided."""
    try:
        return bool(validator.evolve(schema=schema).is_valid(document))
    except Exception:  # noqa: BLE001  the packages raise errors of many kinds; the answer will be checked again
        return True


def _problems(document: Any, validator: Any) -> tuple[FieldProblem, ...]:
    import referencing.exceptions

    jsonschema = _jsonschema()
    problems: list[FieldProblem] = []
    try:
        for error in validator.iter_errors(document):
            path = "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
            problems.append(FieldProblem(path, f"{error.validator} {_short(error.validator_value)}", _short(error.instance)))
            if len(problems) == _MAX_PROBLEMS:
                break
    except TextTooLong as error:
        problems.append(FieldProblem("$", "texts that the schema's patterns can be searched in", str(error)))
    except (UnsupportedPattern, RecursionError, jsonschema.exceptions.UnknownType, referencing.exceptions.Unresolvable) as error:
        problems.append(FieldProblem("$", f"a schema that can be applied ({type(error).__name__}: {error})", "this one"))
    return tuple(problems)


def _jsonschema() -> Any:
    try:
        with import_lock:
            import jsonschema
    except ImportError:
        raise ConfigurationError(
            "response_schema needs the package jsonschema", guidance="Install it: pip install 'llm-sync[schema]'."
        ) from None
    return jsonschema


def _check_size(schema: Any) -> None:
    """Level by level, without recursion: a schema may contain itself."""
    level, size = [schema], 0
    for _ in range(MAX_DEPTH + 1):
        level = [
            item
            for value in level
            if isinstance(value, (Mapping, list, tuple))
            for item in (value.values() if isinstance(value, Mapping) else value)
        ]
        size += len(level)
        if not level:
            return
        if size > MAX_VALUES:
            raise InvalidRequestError(f"response_schema has more than {MAX_VALUES} values", guidance=_NOTHING_SENT)
    raise InvalidRequestError(f"response_schema is nested more than {MAX_DEPTH} deep", guidance=_NOTHING_SENT)


def _parts(node: Any) -> Iterator[Mapping[str, Any]]:
    """Every mapping in a schema, except in values that are data. Recursive; the depth is bounded."""
    if isinstance(node, Mapping):
        yield node
        for key, value in node.items():
            if key not in _DATA:
                yield from _parts(value)
    elif isinstance(node, (list, tuple)):
        for item in node:
            yield from _parts(item)


def _references(schema: Any) -> Iterator[str]:
    for part in _parts(schema):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]


class _Patterns(dict[str, LinearPattern]):
    """The compiled patterns of a schema; one that was overlooked (below a property called enum, say) is compiled on use."""

    def __missing__(self, text: str) -> LinearPattern:
        pattern = self[text] = compile_pattern(text)
        return pattern


def _patterns(schema: Any) -> _Patterns:
    """Every pattern of a schema, compiled. Raises InvalidRequestError."""
    patterns = _Patterns()
    for part in _parts(schema):
        named = part.get("patternProperties")
        if isinstance(named, Mapping) and "unevaluatedProperties" in part:
            raise InvalidRequestError(
                "response_schema has unevaluatedProperties beside patternProperties, which is not supported",
                guidance="Use additionalProperties.",
            )
        for text in [part.get("pattern"), *(named if isinstance(named, Mapping) else ())]:
            if isinstance(text, str) and text not in patterns:
                _compile(text, patterns)
    return patterns


def _compile(text: str, patterns: _Patterns) -> None:
    try:
        patterns[text]
    except UnsupportedPattern as error:
        raise InvalidRequestError(
            f"the pattern {_short(text)} of response_schema {error}",
            guidance="Write it otherwise, or leave it out and check the answer yourself.",
        ) from None


_MISSING = object()


def _resolve(schema: Any, reference: str) -> Any:
    """What a reference within the schema refers to, or _MISSING."""
    if reference == "#":
        return schema
    if not reference.startswith("#/"):
        name = reference[1:] if reference.startswith("#") else None
        return next((part for part in _parts(schema) if name and part.get("$anchor") == name), _MISSING)
    node: Any = schema
    for part in reference[2:].split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(node, Mapping) and key in node:
            node = node[key]
        elif isinstance(node, list) and key.isdigit() and int(key) < len(node):
            node = node[int(key)]
        else:
            return _MISSING
    return node


def _pattern_keyword(patterns: _Patterns) -> Any:
    def check(validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[Any]:
        if validator.is_type(instance, "string") and not patterns[pattern].search(instance):
            yield _jsonschema().ValidationError("does not match")

    return check


def _pattern_properties_keyword(patterns: _Patterns) -> Any:
    def check(validator: Any, named: Mapping[str, Any], instance: Any, _schema: Any) -> Iterator[Any]:
        if validator.is_type(instance, "object"):
            for pattern, part in named.items():
                for name, value in instance.items():
                    if patterns[pattern].search(name):
                        yield from validator.descend(value, part, path=name, schema_path=pattern)

    return check


def _additional_properties_keyword(patterns: _Patterns) -> Any:
    def check(validator: Any, allowed: Any, instance: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
        if not validator.is_type(instance, "object"):
            return
        known, named = schema.get("properties", {}), schema.get("patternProperties", {})
        extra = [name for name in instance if name not in known and not any(patterns[each].search(name) for each in named)]
        if isinstance(allowed, Mapping):
            for name in extra:
                yield from validator.descend(instance[name], allowed, path=name)
        elif allowed is False and extra:
            yield _jsonschema().ValidationError("unexpected properties")

    return check


def _multiple_of(validator: Any, divisor: Any, instance: Any, _schema: Any) -> Iterator[Any]:
    """Decimals as they are written: 0.3 is a multiple of 0.1, although the nearest binary fractions are not."""
    if not validator.is_type(instance, "number"):
        return
    if not _is_finite(instance) or (_fraction(instance) / _fraction(divisor)).denominator != 1:
        yield _jsonschema().ValidationError("is not a multiple")


def _is_finite(number: Any) -> bool:
    return isinstance(number, int) or math.isfinite(number)


def _fraction(number: Any) -> Fraction:
    return Fraction(repr(number)) if isinstance(number, float) else Fraction(number)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "…"
