"""The same text as ``json.JSONEncoder(ensure_ascii=False, default=repr)`` makes, for single values.

``JSONEncoder.encode`` makes an encoder for each call, which takes longer than to write a number.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from json.encoder import encode_basestring
from typing import Any

_CONSTANTS = {True: "true", False: "false"}
strictly = json.JSONEncoder(ensure_ascii=False).encode  # raises TypeError for what JSON does not have
encoded = json.JSONEncoder(ensure_ascii=False, default=repr).encode
string_text = encode_basestring


def value_text(value: Any, otherwise: Callable[[Any], str] = encoded) -> str:
    """Any value as JSON; ``otherwise`` encodes what is no plain value. Raises what it raises."""
    if value is None:
        return "null"
    kind = type(value)
    if kind is str:
        return encode_basestring(value)
    if kind is int or (kind is float and math.isfinite(value)):
        return repr(value)
    return _CONSTANTS[value] if kind is bool else otherwise(value)


def object_text(values: Mapping[Any, Any]) -> str:
    """A mapping as JSON. Raises what cannot be encoded."""
    try:
        members = [f"{encode_basestring(name)}: {value_text(value)}" for name, value in values.items()]
    except TypeError:  # a name that is no string
        return encoded(dict(values))
    return "{" + ", ".join(members) + "}"
