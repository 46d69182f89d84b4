"""Checks of a request's fields. Each raises InvalidRequestError; most return the value in its final form."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from llm_sync.errors import InvalidRequestError
from llm_sync.models import fields, grammar
from llm_sync.models.fields import RequestField


def plain(name: str, value: Any) -> Any:
    """A deep copy of JSON's types: dicts, lists, strings, numbers. Raises InvalidRequestError for what JSON cannot represent."""
    if type(value) is dict and not value:  # provider_specific of most requests
        return {}
    try:
        return _plain(name, value)
    except RecursionError:
        raise InvalidRequestError(f"{name} is nested too deeply, or holds itself", guidance="Give a plain JSON value.") from None


def number_shown(value: float) -> str:
    """A number for a message. Python refuses to convert integers of more than 4,300 digits."""
    return "(a number of many digits)" if isinstance(value, int) and abs(value) >= 10**18 else str(value)


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, str):
        check_text(name, value)
        return value
    value = plain_number(value)
    if value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(name, item) for item in value]
    if isinstance(value, Mapping):
        return {_plain_key(name, key): _plain(name, item) for key, item in value.items()}
    what = str(value) if isinstance(value, float) else grammar.type_name(value)
    raise InvalidRequestError(
        f"{name} holds {what}, which JSON cannot", guidance="Use strings, finite numbers, lists and mappings only."
    )


def _plain_key(name: str, key: Any) -> Any:
    if not isinstance(key, (str, int)):  # whole numbers become strings in JSON (OpenAI's logit_bias is written so)
        raise InvalidRequestError(f"{name} has {grammar.type_name(key)} for a key", guidance="Keys are strings.")
    return _plain(name, key)


def kind(value: object) -> str:
    """A value's type, for a message."""
    return "boolean" if isinstance(value, bool) else type(value).__name__


def check_text(name: str, value: object) -> None:
    """A string that can be encoded."""
    if not isinstance(value, str):
        raise InvalidRequestError(f"{name} is {grammar.type_name(value)}", guidance="Give a string.")
    if value.isascii():
        return
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidRequestError(
            f"{name} holds a lone surrogate (U+{ord(value[error.start]):04X}) at character {error.start + 1}, "
            "which no encoding can send",
            guidance="It usually comes from bytes that were not valid UTF-8: decode them with errors='replace'.",
        ) from None


def check_field(row: RequestField, value: Any) -> Any:
    """The value of a request's field in its final form, as its row of the table says. Raises InvalidRequestError."""
    if row.kind == fields.NUMBER:
        value = plain_number(value)
        check_number(row.name, value, row.low or 0, math.inf if row.high is None else row.high)
    elif row.kind == fields.WHOLE:
        value = whole_number(value)
        check_integer(row.name, value, row.low)
    elif row.kind == fields.TEXT:
        check_text(row.name, value)
    elif row.kind == fields.SWITCH and not isinstance(value, bool):
        raise InvalidRequestError(f"{row.name} is {grammar.type_name(value)}", guidance="Give True or False.")
    elif row.kind == fields.WORD and value not in row.words:
        raise InvalidRequestError(f"{row.name}={value!r} is unknown", guidance=f"Give {' or '.join(row.words)}.")
    elif row.kind == fields.MAPPING:
        mapping(row.name, value)
    elif row.kind == fields.TEXTS:
        return texts(row.name, value)
    return value


def plain_number(value: Any) -> Any:
    """A number of another library (numpy, pandas) as Python's own; everything else, booleans too, as it is."""
    if isinstance(value, (int, float, str, list, tuple, Mapping)) or value is None:
        return value
    import numbers  # costs every start of Python, and hardly a request needs it

    if isinstance(value, numbers.Integral):
        return int(value)
    return float(value) if isinstance(value, numbers.Real) and not isinstance(value, numbers.Rational) else value


def whole_number(value: Any) -> Any:
    """A whole number, also one written as a float (10.0, as pandas writes it), as an int; everything else as it is."""
    value = plain_number(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def check_number(name: str, value: object, low: float, high: float) -> None:
    """A number from ``low`` to ``high``."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidRequestError(f"{name} is {grammar.type_name(value)}", guidance=f"Give a number from {low} to {high}.")
    if not low <= value <= high:  # NaN is in no range
        shown = number_shown(value)
        raise InvalidRequestError(f"{name}={shown} is out of range", guidance=f"Give a number from {low} to {high}.")


def check_integer(name: str, value: object, low: int | None) -> None:
    """A whole number of at least ``low``."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidRequestError(f"{name} is {grammar.type_name(value)}", guidance="Give a whole number.")
    if low is not None and value < low:
        raise InvalidRequestError(f"{name}={number_shown(value)} is too small", guidance=f"Give {low} or more.")


def listed(name: str, value: object) -> tuple[Any, ...]:
    """A tuple of what an iterable gives; () for None."""
    if value is None:
        return ()
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise InvalidRequestError(f"{name} is {grammar.type_name(value)}", guidance="Give a list.")
    return tuple(value)


def images(name: str, value: object) -> tuple[Any, ...]:
    """A tuple of what may be an image."""
    items = listed(name, value)
    for item in items:
        if not isinstance(item, (str, bytes)) and not hasattr(item, "__fspath__") and not hasattr(item, "media_type"):
            raise InvalidRequestError(f"{name} holds {grammar.type_name(item)}", guidance="Give paths, bytes or URLs.")
    return items


def mapping(name: str, value: object) -> Mapping[str, Any]:
    """A mapping with string keys."""
    if not isinstance(value, Mapping):
        raise InvalidRequestError(f"{name} holds {grammar.type_name(value)}", guidance="Give a mapping (a dict).")
    for key in value:
        if not isinstance(key, str):
            raise InvalidRequestError(f"{name} has the key {key!r}", guidance="Keys are strings.")
    return value


def texts(name: str, value: object) -> tuple[str, ...]:
    """A tuple of strings, of one string or several."""
    items = (value,) if isinstance(value, str) else listed(name, value)
    for item in items:
        check_text(name, item)
        if not item:
            raise InvalidRequestError(f"{name} holds an empty string", guidance="Leave it out.")
    return items
