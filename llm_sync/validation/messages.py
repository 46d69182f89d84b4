"""Messages about invalid documents: path, expected, found, and what to do. They never show a text that may be a key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from llm_sync.errors import FieldProblem

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
# Texts that may be shown in a message: numbers, and words that are typical mistakes in YAML. Any other may be a secret.
_HARMLESS = re.compile(
    r"[-+]?[0-9][0-9.,:_eE+%-]{0,11}|[0-9.]{1,8} ?[a-zA-Z]{1,4}|yes|no|on|off|y|n|true|false|none|null", re.IGNORECASE
)
_KEYLIKE = re.compile(r"(?=.*\d)[A-Za-z0-9+/=_]{32,}$|(?:sk|pk|rk|gsk|xai|hf|r8|ya29|AIza|AKIA|eyJ)[-_.A-Za-z0-9]{12,}")


class SchemaProblem(NamedTuple):
    """A problem with a document: the path of the field, a message, and a hint if there is one."""

    path: tuple[str | int, ...]
    message: str
    hint: str | None


def _rules_at(schema: Any, path: tuple[Any, ...]) -> Mapping[str, Any]:
    """The rules of the field at ``path``; empty if the schema does not have it."""
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


def schema_problem(error: Any, schema: Mapping[str, Any]) -> SchemaProblem:
    """The problem for an error of Cerberus in a configuration."""
    path = tuple(error.document_path)
    rules = _rules_at(schema, path)
    meta = rules.get("meta", {})
    hint = meta.get("hint")
    if error.rule is None and error.code == 0x03:
        parent = _rules_at(schema, path[:-1]) if len(path) > 1 else {"schema": schema}
        known = parent.get("schema", {})
        near = closest(str(path[-1]), known)
        fallback = parent.get("meta", {}).get("unknown")
        suggestions = [f"did you mean {near}?" if near else None, fallback]
        return SchemaProblem(path, "unknown key", " ".join(filter(None, suggestions)) or None)
    if error.rule == "required":
        return SchemaProblem(path, "is missing", hint)
    expected = meta.get("expected") or _expected(error, rules)
    return SchemaProblem(path, f"expected {expected}, found {_found(error.value, error.rule)}", hint)


def field_problem(error: Any, schema: Mapping[str, Any]) -> FieldProblem:
    """The problem for an error of Cerberus in an answer, whose texts are never shown."""
    path = tuple(error.document_path)
    actual = "nothing" if error.rule == "required" else json_kind(error.value)
    shows_number = error.rule in ("min", "max", "allowed") and isinstance(error.value, (int, float))
    if shows_number or error.rule in _LENGTHS:
        actual = _found(error.value, error.rule)
    return FieldProblem(field_path(path), _expected(error, _rules_at(schema, path)), actual)


def _expected(error: Any, rules: Mapping[str, Any]) -> str:
    """What the schema expects of a field, in JSON's names for types."""
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
        return f"empty {json_kind(value)}" if not value else f"{json_kind(value)} of length {len(value)}"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return f"{value:.12g}" if isinstance(value, float) else str(value) if abs(value) < 10**15 else "a huge number"
    if isinstance(value, str) and _HARMLESS.fullmatch(value):
        return f"text {value!r}"
    return {"string": "text", "object": "a mapping", "list": "a list", "null": "nothing"}.get(json_kind(value), json_kind(value))


def json_kind(value: object) -> str:
    """The JSON name of a value's type."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    for kind, name in ((str, "string"), (int, "integer"), (float, "number"), (Mapping, "object"), ((list, tuple), "list")):
        if isinstance(value, kind):
            return name
    return type(value).__name__


def field_path(path: Iterable[str | int]) -> str:
    """``("choices", 0, "message")`` as ``choices[0].message``; a step that is long or looks like a key is shortened."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{shown(step)}"
    return text.removeprefix(".")


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most similar to ``name``, or None."""
    names = {item.lower(): item for item in known}
    near = difflib.get_close_matches(shown(name).lower().replace("-", "_"), names, 1, 0.6)
    return names[near[0]] if near else None


def shown(name: object) -> str:
    """A name for a message: at most 60 characters, control characters escaped, and shortened if it looks like a key."""
    text = str(name)
    if _KEYLIKE.match(text):
        return f"{text[:3]}…"
    return _cut(text if text.isprintable() else repr(text)[1:-1], 60)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
