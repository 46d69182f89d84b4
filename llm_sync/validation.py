"""Documents held against Cerberus schemas: configurations (every problem, with hints) and answers (quickly, most are good).

The only user of cerberus, which is imported on first use. Schemas are plain data. A rule may carry ``meta``, which Cerberus
ignores and the messages use: ``expected`` (words for what belongs there) and ``hint`` (what to do).
"""

from __future__ import annotations

import difflib
import math
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

from llm_sync.errors import FieldProblem
from llm_sync.predicates import compile_rules, compile_schema

__all__ = ["ResponseValidator", "SchemaProblem", "closest", "field_path", "problems", "shown"]

MOST_FIELDS = 20  # problems reported of one answer

_LENGTHS = ("empty", "minlength", "maxlength")
_WORDS = {
    "string": "string",
    "integer": "integer",
    "float": "number",
    "number": "number",
    "boolean": "boolean",
    "dict": "object",
    "list": "list",
}
# Texts that may be shown in a message: numbers and words of the kind YAML mistakes come in. Any other may be a secret.
_HARMLESS = re.compile(
    r"[-+]?[0-9][0-9.,:_eE+%-]{0,11}|[0-9.]{1,8} ?[a-zA-Z]{1,4}|yes|no|on|off|y|n|true|false|none|null", re.IGNORECASE
)
_KEYLIKE = re.compile(r"(?=.*\d)[A-Za-z0-9+/=_]{32,}$|(?:sk|pk|rk|gsk|xai|hf|r8|ya29|AIza|AKIA|eyJ)[-_.A-Za-z0-9]{12,}")


class SchemaProblem(NamedTuple):
    """One thing wrong with a document: the path of the field, what is wrong in words, and what to do if that is known."""

    path: tuple[str | int, ...]
    message: str
    hint: str | None


def problems(document: object, schema: Mapping[str, Any]) -> list[SchemaProblem]:
    """Everything in ``document`` that the schema forbids, unknown keys too (with "did you mean"); ``[]`` when all is well.

    For configurations: texts of the document are never shown, as any may be a secret; numbers and the like are.
    """
    if not isinstance(document, Mapping):
        return [SchemaProblem((), f"expected a mapping, found {_kind(document)}", None)]
    accepts = compile_schema(schema, closed=True)
    if accepts is not None and accepts(document):
        return []
    validator = _validator_class()(schema, allow_unknown=False)
    validator.validate(document, normalize=False)
    return [_explained(error, schema) for error in _leaves(validator._errors)]  # noqa: SLF001  .errors has texts only


class ResponseValidator:
    """Holds answers of one kind against a Cerberus schema (plain data; unknown keys pass at every level).

    Cheap to construct: the schema is compiled on the first check, and a Cerberus validator is built, once per thread, only
    for an answer the compiled form is not sure of. May be shared between threads.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema
        self._accepts: Callable[[object], bool] | None = None
        self._compiled = False
        self._local = threading.local()  # one Validator per thread: shared ones give wrong verdicts

    def check(self, body: object) -> tuple[FieldProblem, ...]:
        """``()`` when the answer is of this shape, else its wrong fields, the first 20; never shows any text of it.

        Raises nothing, for any JSON value, where the schema gives its fields types. Takes time in proportion to the answer.
        """
        if not self._compiled:  # two threads may both compile: the results are equal
            self._accepts = compile_schema(self._schema)
            self._compiled = True
        if self._accepts is not None and self._accepts(body):
            return ()
        if not isinstance(body, Mapping):
            return (FieldProblem("body", "object", _kind(body)),)
        validator = getattr(self._local, "validator", None)
        if validator is None:
            validator = self._local.validator = _validator_class()(self._schema, allow_unknown=True)
            validator.most = MOST_FIELDS if _each_leaf_counts(self._schema) else None
        try:
            validator.validate(body, normalize=False)
            errors = _leaves(validator._errors)  # noqa: SLF001
        except _Enough as enough:
            errors = iter(enough.leaves)
        found = [_field_problem(error, self._schema) for _, error in zip(range(MOST_FIELDS), errors, strict=False)]
        return tuple(found)


class _Enough(Exception):
    """As many wrong fields are known as will be reported."""

    def __init__(self, leaves: list[Any]) -> None:
        super().__init__()
        self.leaves = leaves


@lru_cache(maxsize=1)
def _validator_class() -> Any:
    from cerberus import TypeDefinition, Validator

    class Diagnosis(Validator):  # type: ignore[misc]
        """Collects errors in order, in linear time, and knows that a boolean is no number.

        Cerberus sorts all errors and files them in two trees on each one found, which takes the square of their number;
        nothing here reads those trees.
        """

        types_mapping: ClassVar[dict[str, Any]] = {
            **Validator.types_mapping,
            "integer": TypeDefinition("integer", (int,), (bool,)),
            "float": TypeDefinition("float", (float, int), (bool,)),
        }
        most: int | None = None
        leaves: list[Any]

        def validate(self, document: Any, *args: Any, **kwargs: Any) -> bool:
            if not self.is_child:
                self.leaves = []
            elif self.allow_unknown is True and len(document) > MOST_FIELDS and isinstance(next(iter(document)), int):
                document = _doubtful(document, self.schema)  # the members of a list, by index
            return bool(super().validate(document, *args, **kwargs))

        __call__ = validate

        def _get_child_validator(self, *args: Any, **kwargs: Any) -> Any:
            child = super()._get_child_validator(*args, **kwargs)
            child.most, child.leaves = self.most, self.leaves
            return child

        def _error(self, *args: Any) -> None:
            if len(args) != 1:
                super()._error(*args)
                return
            self._errors.extend(args[0])
            if self.most is not None:
                self.leaves.extend(error for error in args[0] if not error.is_group_error)
                if len(self.leaves) >= self.most:
                    raise _Enough(self.leaves)

        def _check_with_finite(self, field: str, value: Any) -> None:
            if isinstance(value, float) and not math.isfinite(value):
                self._error(field, "finite")

    return Diagnosis


def _doubtful(items: Mapping[int, Any], schema: Mapping[int, Any]) -> Mapping[int, Any]:
    """Those a look is worth: a child validator costs Cerberus 80 microseconds, and one there is for every member.

    Left out are members the predicate is sure of, and those the schema does not speak of (an alternative of anyof is held
    against the whole list with a schema for one member).
    """
    if len(schema) < len(items):
        return {index: items[index] for index in schema if index in items}
    rules = schema[0]  # all members have the same
    accepts = None if rules.get("required") else compile_rules(rules)
    return items if accepts is None else {index: item for index, item in items.items() if not accepts(item)}


def _each_leaf_counts(rules: object) -> bool:
    """Whether every single error is a verdict: not so below anyof and its like, where an alternative may fail."""
    if isinstance(rules, Mapping):
        return not any(str(name).partition("_")[0] in ("anyof", "allof", "noneof", "oneof") for name in rules) and all(
            _each_leaf_counts(value) for value in rules.values()
        )
    return True


def _leaves(errors: Iterable[Any]) -> Iterator[Any]:
    for error in errors:
        if error.is_group_error and not error.is_logic_error:
            yield from _leaves(error.child_errors)
        else:
            yield error


def _rules_at(schema: Any, path: tuple[Any, ...]) -> Mapping[str, Any]:
    """The rules of the field at ``path``; empty where the schema does not name it."""
    fields: Any = schema
    rules: Any = {}
    for depth, step in enumerate(path):
        if depth:
            inner = rules.get("schema")
            if "valuesrules" in rules and inner is None:
                rules = rules["valuesrules"]
                continue
            if isinstance(step, int):
                rules = inner if isinstance(inner, Mapping) else {}
                continue
            fields = inner
        rules = fields.get(step, {}) if isinstance(fields, Mapping) else {}
        if not isinstance(rules, Mapping):
            return {}
    return dict(rules)


def _explained(error: Any, schema: Mapping[str, Any]) -> SchemaProblem:
    path = tuple(error.document_path)
    rules = _rules_at(schema, path)
    meta = rules.get("meta", {})
    hint = meta.get("hint")
    if error.rule is None and error.code == 0x03:
        parent = _rules_at(schema, path[:-1]) if len(path) > 1 else {"schema": schema}
        known = parent.get("schema", {})
        near = closest(str(path[-1]), known)
        fallback = parent.get("meta", {}).get("unknown")
        hints = [f"did you mean {near}?" if near else None, fallback]
        return SchemaProblem(path, "unknown key", " ".join(filter(None, hints)) or None)
    if error.rule == "required":
        return SchemaProblem(path, "is missing", hint)
    expected = meta.get("expected") or _expected(error, rules)
    return SchemaProblem(path, f"expected {expected}, found {_found(error.value, error.rule)}", hint)


def _field_problem(error: Any, schema: Mapping[str, Any]) -> FieldProblem:
    path = tuple(error.document_path)
    found = "nothing" if error.rule == "required" else _kind(error.value)
    telling = error.rule in ("min", "max", "allowed") and isinstance(error.value, (int, float))
    if telling or error.rule in _LENGTHS:
        found = _found(error.value, error.rule)
    return FieldProblem(field_path(path), _expected(error, _rules_at(schema, path)), found)


def _expected(error: Any, rules: Mapping[str, Any]) -> str:
    """What the schema wants of a field, in the words of JSON."""
    types = rules.get("type") or ()
    names = list(dict.fromkeys(_WORDS.get(name, name) for name in ([types] if isinstance(types, str) else types)))
    if rules.get("nullable"):
        names.append("null")
    kind = " or ".join(names) or ("anything but null" if error.rule in ("nullable", "required") else "object")
    rule, constraint = error.rule, error.constraint
    if rule in ("min", "max", "minlength", "maxlength"):
        length = "length " if rule in _LENGTHS else ""
        return f"{kind} of {length}{constraint} or {'more' if rule.startswith('min') else 'less'}"
    if rule == "empty":
        return f"non-empty {kind}"
    if rule == "allowed":
        return _cut("one of " + ", ".join(str(item) for item in constraint), 80)
    if rule in ("type", "required", "nullable", "schema") or rule is None:
        return kind
    return _cut(f"{kind} ({rule})", 80)


def _found(value: object, rule: str | None) -> str:
    if rule in _LENGTHS and isinstance(value, (str, list, dict)):
        return f"empty {_kind(value)}" if not value else f"{_kind(value)} of length {len(value)}"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return f"{value:.12g}" if isinstance(value, float) else str(value) if abs(value) < 10**15 else "a huge number"
    if isinstance(value, str) and _HARMLESS.fullmatch(value):
        return f"text {value!r}"
    return {"string": "text", "object": "a mapping", "list": "a list", "null": "nothing"}.get(_kind(value), _kind(value))


def _kind(value: object) -> str:
    """The JSON name of a value's type."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    for kind, name in ((str, "string"), (int, "integer"), (float, "number"), (Mapping, "object"), ((list, tuple), "list")):
        if isinstance(value, kind):
            return name
    return type(value).__name__


def field_path(path: Iterable[str | int]) -> str:
    """``("choices", 0, "message")`` as ``choices[0].message``; a step that is long or looks like a key is cut."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{shown(step)}"
    return text.removeprefix(".")


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant, or None."""
    names = {item.lower(): item for item in known}
    near = difflib.get_close_matches(shown(name).lower().replace("-", "_"), names, 1, 0.6)
    return names[near[0]] if near else None


def shown(name: object) -> str:
    """A name out of a document as messages show it: at most 60 characters, control characters escaped, and no key."""
    text = str(name)
    if _KEYLIKE.match(text):
        return f"{text[:3]}…"
    return _cut(text if text.isprintable() else repr(text)[1:-1], 60)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
