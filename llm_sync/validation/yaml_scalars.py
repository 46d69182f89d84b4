"""Unquoted scalars by the rules of YAML 1.2.

``yes``, ``on``, ``12:30`` and dates are text, and ``1e3`` is a number. PyYAML's own constructor follows YAML 1.1 and reads
``yes`` and ``on`` as booleans, ``12:30`` as 750, dates as dates, and ``1e3`` as text.
"""

from __future__ import annotations

import re
from typing import Any

_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS = ("", "~", "null", "Null", "NULL")
_INTEGER = re.compile(r"[-+]?[0-9]{1,400}")
_BASED = re.compile(r"0(?:o[0-7]{1,64}|x[0-9a-fA-F]{1,64})")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"([-+]?)\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


def plain_value(text: str) -> Any:
    """An unquoted scalar by the core schema of YAML 1.2."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    special = _SPECIAL.fullmatch(text)
    if special:
        return float("nan") if text[1:2].lower() == "n" else float(f"{special[1] or ''}inf")
    return text
