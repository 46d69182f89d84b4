"""Forms: what a value of JSON must be like, as a JSON Schema and as a function that reads it."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from llm_sync.client.tools.misfits import Misfit, below
from llm_sync.models.grammar import with_article

Read = Callable[[Any, str], Any]

SCALARS: Mapping[Any, str] = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


class Form(NamedTuple):
    """``schema`` of the values, and ``read(value, path)``, which returns one as Python has it, or raises Misfit."""

    schema: dict[str, Any]
    read: Read


ANYTHING = Form({}, lambda value, _path: value)


def scalar(kind: type[Any]) -> Form:
    """A string, a boolean, a number or null; True is no number, and 3.0 is a whole one."""
    name = SCALARS[kind]
    expected = name if name == "null" else with_article(name)

    def read(value: Any, path: str) -> Any:
        if kind is float and type(value) is int:
            value = _as_float(value, path)
        elif kind is int and isinstance(value, float) and value.is_integer():
            value = int(value)
        if type(value) is not kind:
            raise Misfit(path, expected, value)
        return value

    return Form({"type": name}, read)


def _as_float(value: int, path: str) -> float:
    try:
        return float(value)
    except OverflowError:
        raise Misfit(path, "a number of fewer digits is needed") from None


def text(kind: Callable[[str], Any], form: str | None) -> Form:
    """A string that ``kind`` reads; ``form``: its name in JSON Schema, None where it has none."""
    parse = getattr(kind, "fromisoformat", kind)

    def read(value: Any, path: str) -> Any:
        if not isinstance(value, str):
            raise Misfit(path, "a string", value)
        try:  # Python 3.10 does not know Z
            return parse(f"{value[:-1]}+00:00" if form == "date-time" and value[-1:] in ("Z", "z") else value)
        except (ValueError, ArithmeticError):
            raise Misfit(path, f"a {form or getattr(kind, '__name__', 'text')} as a string", value) from None

    return Form({"type": "string", **({"format": form} if form else {})}, read)


def one_of(words: Mapping[Any, Any] | Sequence[tuple[Any, Any]]) -> Form:
    """One of several values of JSON, each with what it stands for; True is not 1."""
    pairs = list(words.items()) if isinstance(words, Mapping) else list(words)
    kinds = {SCALARS[type(word)] for word, _ in pairs}
    listed = ", ".join(repr(word) for word, _ in pairs)

    def read(value: Any, path: str) -> Any:
        for word, meaning in pairs:
            if type(word) is type(value) and word == value:
                return meaning
        raise Misfit(path, f"one of {listed}", value)

    return Form({**({"type": kinds.pop()} if len(kinds) == 1 else {}), "enum": [word for word, _ in pairs]}, read)


def enumeration(kind: type[enum.Enum]) -> Form:
    """A member by its value, or by its name if not all values are strings and whole numbers."""
    by_value = all(type(member.value) in (str, int) for member in kind)
    return one_of([(member.value if by_value else member.name, member) for member in kind])


def union(forms: Sequence[Form]) -> Form:
    """The first of several forms that fits."""

    def read(value: Any, path: str) -> Any:
        misfits: list[Misfit] = []
        for form in forms:
            read_value = _attempt(form, value, path, misfits)
            if read_value is not _MISFIT:
                return read_value
        deepest = max(misfits, key=lambda misfit: len(misfit.path))
        if deepest.path != path:
            raise deepest
        raise Misfit(path, " or ".join(dict.fromkeys(misfit.expected for misfit in misfits)), value)

    return Form({"anyOf": [form.schema for form in forms]}, read)


_MISFIT = object()


def _attempt(form: Form, value: Any, path: str, misfits: list[Misfit]) -> Any:
    """The value in a form; _MISFIT, which is noted, if it does not fit."""
    try:
        return form.read(value, path)
    except Misfit as misfit:
        misfits.append(misfit)
        return _MISFIT


def array(make: Callable[[list[Any]], Any], item: Form) -> Form:
    """An array of any length, of which ``make`` makes a list, a tuple or a set."""

    def read(value: Any, path: str) -> Any:
        if not isinstance(value, list):
            raise Misfit(path, "an array", value)
        items = [item.read(each, f"{path}[{index}]") for index, each in enumerate(value)]
        try:
            return make(items)
        except TypeError:  # objects are no members of a set
            raise Misfit(path, "an array of strings, numbers or booleans", value) from None

    return Form({"type": "array", "items": item.schema}, read)


def fixed_array(items: Sequence[Form]) -> Form:
    """An array of so many values, each of its own form, as a tuple."""

    def read(value: Any, path: str) -> Any:
        if not isinstance(value, list) or len(value) != len(items):
            raise Misfit(path, f"an array of {len(items)} values", value)
        return tuple(form.read(each, f"{path}[{index}]") for index, (form, each) in enumerate(zip(items, value, strict=True)))

    kinds = [form.schema for form in items]
    item = kinds[0] if all(kind == kinds[0] for kind in kinds) else {"anyOf": kinds}
    return Form({"type": "array", "items": item, "minItems": len(items), "maxItems": len(items)}, read)


def mapping(item: Form) -> Form:
    """An object with any names."""

    def read(value: Any, path: str) -> Any:
        if not isinstance(value, dict):
            raise Misfit(path, "an object", value)
        return {key: item.read(each, below(path, key)) for key, each in value.items()}

    return Form({"type": "object", **({"additionalProperties": item.schema} if item.schema else {})}, read)


def fields(properties: Mapping[str, Form], required: Iterable[str], make: Callable[[dict[str, Any]], Any]) -> Form:
    """An object with these properties and no others, of which ``make`` makes something; its TypeError and ValueError are
    misfits, too."""
    needed = [name for name in properties if name in set(required)]

    def read(value: Any, path: str) -> Any:
        values = read_fields(value, path, properties, needed)
        try:
            return make(values)
        except (TypeError, ValueError) as error:  # a check of its own
            raise Misfit(path, f"the object is not accepted: {error}") from None

    schema = {"type": "object", "properties": {name: form.schema for name, form in properties.items()}}
    return Form({**schema, **({"required": needed} if needed else {}), "additionalProperties": False}, read)


def read_fields(value: Any, path: str, properties: Mapping[str, Form], required: Iterable[str]) -> dict[str, Any]:
    """The values of an object, each in its form. Raises Misfit for one that is missing, unknown or of another form."""
    if not isinstance(value, dict):
        raise Misfit(path, "an object", value)
    for name in value:
        if name not in properties:
            known = f"the names are: {', '.join(properties)}" if properties else "there are none"
            raise Misfit(below(path, name), f"there is no such name; {known}")
    for name in required:
        if name not in value:
            raise Misfit(below(path, name), "it is required, and missing")
    return {name: properties[name].read(each, below(path, name)) for name, each in value.items()}
