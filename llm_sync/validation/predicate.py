"""Compiles a Cerberus schema to a fast predicate. True means surely valid; for anything else, Cerberus decides.

Checking a valid answer takes Cerberus a few hundred microseconds and the predicate a few. The schema remains the only source
of rules: a rule, or a combination of rules, that the compiler does not know is not compiled, and where the predicate and
Cerberus could differ (NaN, subclasses, tuples) the predicate is False. With a valid configuration Cerberus is not even
imported, which would take a third of the time of ``import requests``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

__all__ = ["compile_rules", "compile_schema"]

Predicate = Callable[[Any], bool]

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "float": (float, int),
    "number": (float, int),
    "boolean": (bool,),
    "dict": (dict,),
    "list": (list,),
}
_RULES = frozenset({"type", "required", "nullable", "schema", "allowed", "min", "max", "minlength", "maxlength", "empty", "meta"})
_CLOSED_RULES = _RULES | {"check_with", "keysrules", "regex", "valuesrules"}  # only configurations use these
_SIZED = frozenset({str, list, dict})
_NUMBERS = frozenset({int, float})
_MISSING = object()


class _Value(NamedTuple):
    """What a value may be: of one of the ``types`` (None: of any), and accepted by all ``checks`` unless it is a None of them."""

    types: frozenset[type] | None
    checks: tuple[Predicate, ...]


_ANYTHING = _Value(None, ())


class _Unsupported(Exception):
    """The schema contains something that this compiler does not support."""


def compile_schema(schema: Mapping[str, Any], *, closed: bool = False) -> Predicate | None:
    """The predicate for a schema, or None if the schema cannot be compiled. Unknown keys are allowed unless ``closed``.

    If it is True, ``Validator(schema, allow_unknown=not closed).validate(document, normalize=False)`` is True. If it is
    False, that says nothing.
    """
    try:
        return _document(schema, closed)
    except _Unsupported:
        return None


def compile_rules(rules: Mapping[str, Any]) -> Predicate | None:
    """The same for one value and one set of rules."""
    try:
        return _field(rules, closed=False)
    except _Unsupported:
        return None


def _document(schema: object, closed: bool) -> Predicate:
    if not isinstance(schema, Mapping):
        raise _Unsupported
    compiled = [(name, _is_required(rules), *_value(rules, closed)) for name, rules in schema.items()]
    fields = [each for each in compiled if each[1] or each[2:] != _ANYTHING]  # the others always fit
    names = frozenset(schema)

    def accept(document: Any) -> bool:
        if type(document) is not dict or (closed and not names.issuperset(document)):
            return False
        for name, required, types, checks in fields:
            value = document.get(name, _MISSING)
            if value is _MISSING:
                if required:
                    return False
            elif types is not None and type(value) not in types:
                return False
            elif value is not None or types is None:
                for check in checks:
                    if not check(value):
                        return False
        return True

    return accept


def _is_required(rules: object) -> bool:
    return isinstance(rules, Mapping) and rules.get("required", False) is not False


def _field(rules: object, closed: bool) -> Predicate:
    """The predicate for one value and one set of rules."""
    types, checks = _value(rules, closed)

    def accept(value: Any) -> bool:
        if types is not None and type(value) not in types:
            return False
        return (value is None and types is not None) or all(check(value) for check in checks)

    return accept


def _value(rules: object, closed: bool) -> _Value:
    if not isinstance(rules, Mapping) or not (_CLOSED_RULES if closed else _RULES).issuperset(rules):
        raise _Unsupported
    nullable = rules.get("nullable", False) is True
    if "type" not in rules:
        if not {"required", "nullable", "meta"}.issuperset(rules):
            raise _Unsupported  # without a type, other rules depend on what the value happens to be
        return _ANYTHING if nullable else _Value(None, (lambda value: value is not None,))
    types = _types(rules["type"])
    checks = [*_comparisons(rules, types), *_lengths(rules, types), *_patterns(rules), *_inner(rules, types, closed)]
    return _Value(types | {type(None)} if nullable else types, tuple(checks))


def _types(names: object) -> frozenset[type]:
    listed = [names] if isinstance(names, str) else names
    if not isinstance(listed, (list, tuple)) or not listed or not all(name in _TYPES for name in listed):
        raise _Unsupported
    return frozenset(kind for name in listed for kind in _TYPES[name])


def _comparisons(rules: Mapping[str, Any], types: frozenset[type]) -> list[Predicate]:
    checks: list[Predicate] = []
    if "allowed" in rules:
        allowed = rules["allowed"]
        if types & {list, dict} or not isinstance(allowed, (list, tuple, set, frozenset)):
            raise _Unsupported
        checks.append(lambda value: value in allowed)
    for name in ("min", "max"):
        if name in rules and (not types & _NUMBERS or bool in types or type(rules[name]) not in _NUMBERS):
            raise _Unsupported
    if "min" in rules:
        least = rules["min"]
        checks.append(
            lambda value: type(value) not in _NUMBERS or value >= least
        )  # False for NaN; Cerberus compares numbers only
    if "max" in rules:
        most = rules["max"]
        checks.append(lambda value: type(value) not in _NUMBERS or value <= most)
    return checks


def _lengths(rules: Mapping[str, Any], types: frozenset[type]) -> list[Predicate]:
    names = [name for name in ("minlength", "maxlength", "empty") if name in rules]
    if not names:
        return []
    if not types <= _SIZED:
        raise _Unsupported
    least = max(rules.get("minlength", 0), 0 if rules.get("empty", True) is True else 1)
    most = rules.get("maxlength")
    if most is None:
        return [lambda value: len(value) >= least]
    return [lambda value: least <= len(value) <= most]


def _patterns(rules: Mapping[str, Any]) -> list[Predicate]:
    checks: list[Predicate] = []
    if "check_with" in rules:
        if rules["check_with"] != "finite":
            raise _Unsupported
        checks.append(lambda value: type(value) is not float or math.isfinite(value))
    if "regex" in rules:
        pattern = rules["regex"]
        if not isinstance(pattern, str):
            raise _Unsupported
        whole = re.compile(pattern if pattern.endswith("$") else f"{pattern}$")  # as Cerberus reads it
        checks.append(lambda value: type(value) is not str or whole.match(value) is not None)
    return checks


def _members(rules: Mapping[str, Any], closed: bool) -> list[Predicate]:
    """The checks of the keys and of the values of a mapping with keys of any name."""
    checks: list[Predicate] = []
    if "keysrules" in rules:
        key = _field(rules["keysrules"], closed)
        checks.append(lambda value: type(value) is not dict or all(map(key, value)))
    if "valuesrules" in rules:
        member = _field(rules["valuesrules"], closed)
        checks.append(lambda value: type(value) is not dict or all(map(member, value.values())))
    return checks


def _inner(rules: Mapping[str, Any], types: frozenset[type], closed: bool) -> list[Predicate]:
    if "valuesrules" in rules or "keysrules" in rules:
        if "schema" in rules or dict not in types:
            raise _Unsupported
        return _members(rules, closed)
    if "schema" not in rules:
        return []
    if (list in types) == (dict in types):  # neither, or a schema that would have to serve both
        raise _Unsupported
    if dict in types:
        document = _document(rules["schema"], closed)
        return [document] if types == {dict} else [lambda value: type(value) is not dict or document(value)]
    allowed, checks = _value(rules["schema"], closed)

    def each(value: Any) -> bool:
        if type(value) is list:
            for member in value:
                if allowed is not None and type(member) not in allowed:
                    return False
                if member is not None or allowed is None:
                    for check in checks:
                        if not check(member):
                            return False
        return True

    return [each]
