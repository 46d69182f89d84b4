"""Annotations of Python as forms: what a tool's parameters are, for the model and for reading what it writes."""

from __future__ import annotations

import dataclasses
import enum
import os
import types
import typing
from collections import abc
from typing import Any

from llm_sync.client.tools import forms
from llm_sync.client.tools.forms import Form
from llm_sync.client.tools.misfits import Misfit

Definitions = dict[str, Any]

_ARRAYS: dict[Any, Any] = {list: list, tuple: tuple, set: set, frozenset: frozenset, abc.Set: set, abc.MutableSet: set}
_ARRAYS |= dict.fromkeys((abc.Sequence, abc.MutableSequence, abc.Collection, abc.Iterable), list)
_OBJECTS = (dict, abc.Mapping, abc.MutableMapping)
# Types that JSON has as a string: by module and name, as few programs import them.
_TEXTS = {
    ("datetime", "datetime"): "date-time",
    ("datetime", "date"): "date",
    ("datetime", "time"): "time",
    ("decimal", "Decimal"): None,
    ("uuid", "UUID"): "uuid",
}


class UnsupportedType(Exception):
    """A type that has no form; the message says which."""


def form_of(annotation: Any, definitions: Definitions, within: tuple[Any, ...] = ()) -> Form:
    """The form of an annotation whose names are resolved. Raises UnsupportedType.

    ``definitions`` gets what schemas refer to as ``#/$defs/…``; ``within``: the classes whose fields are being looked at.
    """
    if annotation in (Any, object) or isinstance(annotation, typing.TypeVar):
        return forms.ANYTHING
    if annotation is None:
        annotation = type(None)
    alias = getattr(annotation, "__supertype__", None) or getattr(annotation, "__value__", None)
    if alias is not None and not isinstance(annotation, type):  # of NewType, and of the statement ``type``
        return form_of(alias, definitions, within)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _annotated(form_of(arguments[0], definitions, within), arguments[1:])
    if origin is typing.Literal:
        return _literal(arguments)
    if origin in (typing.Union, types.UnionType):
        return forms.union([form_of(each, definitions, within) for each in arguments])
    kind = origin or annotation
    if not isinstance(kind, type):
        raise UnsupportedType(str(annotation))
    if kind in _ARRAYS or kind in _OBJECTS:
        return _container(kind, arguments, definitions, within)
    return _class(kind, definitions, within)


def hints_of(owner: Any) -> dict[str, Any]:
    """The annotations of a class or of a function's parameters, their names resolved. Raises UnsupportedType."""
    try:
        return typing.get_type_hints(owner, include_extras=True)
    except (NameError, TypeError, AttributeError, SyntaxError) as error:
        if isinstance(owner, type):
            raise UnsupportedType(f"an annotation that cannot be resolved ({error})") from None
    try:  # what a function returns does not matter, and is often imported for type checkers only
        given = {name: hint for name, hint in getattr(owner, "__annotations__", {}).items() if name != "return"}
        names = getattr(owner, "__globals__", {})
        return typing.get_type_hints(types.SimpleNamespace(__annotations__=given), names, include_extras=True)
    except (NameError, TypeError, AttributeError, SyntaxError) as error:
        raise UnsupportedType(f"an annotation that cannot be resolved ({error})") from None


def _container(kind: Any, arguments: tuple[Any, ...], definitions: Definitions, within: tuple[Any, ...]) -> Form:
    if kind is tuple and arguments and arguments[-1] is not ...:
        return forms.fixed_array([form_of(each, definitions, within) for each in arguments])
    if kind in _ARRAYS:
        return forms.array(_ARRAYS[kind], form_of(arguments[0] if arguments else Any, definitions, within))
    if arguments and arguments[0] not in (str, Any):
        raise UnsupportedType(f"a mapping whose keys are {arguments[0]}")
    return forms.mapping(form_of(arguments[1] if arguments else Any, definitions, within))


def _class(kind: type[Any], definitions: Definitions, within: tuple[Any, ...]) -> Form:
    if kind in forms.SCALARS:
        return forms.scalar(kind)
    if issubclass(kind, enum.Enum):
        return forms.enumeration(kind)
    if (kind.__module__, kind.__qualname__) in _TEXTS:
        return forms.text(kind, _TEXTS[kind.__module__, kind.__qualname__])
    if issubclass(kind, os.PathLike):
        return forms.text(kind, None)
    if hasattr(kind, "model_json_schema") and hasattr(kind, "model_validate"):
        return _model(kind, definitions)
    if kind in within:
        raise UnsupportedType(f"{kind.__qualname__}, which contains itself")
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, definitions, (*within, kind))
    if typing.is_typeddict(kind):
        hints = {name: _without_marks(hint) for name, hint in hints_of(kind).items()}
        properties = {name: form_of(hint, definitions, (*within, kind)) for name, hint in hints.items()}
        return forms.fields(properties, getattr(kind, "__required_keys__", ()), dict)
    raise UnsupportedType(kind.__qualname__)


def _dataclass(kind: Any, definitions: Definitions, within: tuple[Any, ...]) -> Form:
    hints, missing = hints_of(kind), dataclasses.MISSING
    given = [field for field in dataclasses.fields(kind) if field.init]
    required = [field.name for field in given if field.default is missing and field.default_factory is missing]
    properties = {field.name: form_of(hints[field.name], definitions, within) for field in given}
    return forms.fields(properties, required, lambda values: kind(**values))


def _without_marks(hint: Any) -> Any:
    """The type within Required[…], NotRequired[…] and ReadOnly[…]."""
    marked = getattr(typing.get_origin(hint), "_name", None) in ("Required", "NotRequired", "ReadOnly")
    return typing.get_args(hint)[0] if marked else hint


def _model(kind: Any, definitions: Definitions) -> Form:
    """A class with pydantic's methods, whose schema is its own."""
    schema = dict(kind.model_json_schema())
    definitions.update(schema.pop("$defs", {}))

    def read(value: Any, path: str) -> Any:
        try:
            return kind.model_validate(value)
        except ValueError as error:
            raise Misfit(path, f"it is no {kind.__name__}: {str(error)[:500]}") from None

    return Form(schema, read)


def _literal(values: tuple[Any, ...]) -> Form:
    pairs = [(value.value if isinstance(value, enum.Enum) else value, value) for value in values]
    if any(type(word) not in forms.SCALARS for word, _ in pairs):
        raise UnsupportedType(f"Literal{list(values)!r}")
    return forms.one_of(pairs)


def _annotated(form: Form, notes: tuple[Any, ...]) -> Form:
    """The form with a description, if a note is a text or has one (as pydantic's Field has)."""
    for note in notes:
        text = note if isinstance(note, str) else getattr(note, "description", None)
        if isinstance(text, str) and text.strip():
            return Form({**form.schema, "description": text.strip()}, form.read)
    return form
