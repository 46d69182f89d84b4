"""Hints for values of the wrong type: common mistakes in YAML, and units where plain numbers are expected."""

from __future__ import annotations

import re
from typing import Any

_YES = ("yes", "on", "y", "true", "1", "enabled")
_NO = ("no", "off", "n", "false", "0", "disabled")
_CLOCK = re.compile(r"\d{1,4}(:[0-5]?\d){1,2}")
_UNIT = re.compile(r"(\d+(?:\.\d+)?) ?([a-zA-Z]+)")
_SECONDS = {"ms": 0.001, "s": 1, "sec": 1, "secs": 1, "m": 60, "min": 60, "mins": 60, "h": 3600, "hr": 3600}
_COUNTS = {"k": 1_000, "kb": 1_000, "kib": 1024, "mb": 10**6, "mib": 2**20, "gb": 10**9, "gib": 2**30}


def hint_for(value: Any, expected: str) -> str | None:
    """A hint for a value that is not what the message says is ``expected``, or None. Never shows a text of the file."""
    if "true or false" in expected:
        word = str(value).lower()
        return "write true" if word in _YES else "write false" if word in _NO else None
    number = any(word in expected for word in ("number", "seconds", "dollars"))
    if number and isinstance(value, bool):
        return "yes, no, on and off are not numbers; leave the key out for the default"
    if number and isinstance(value, float) and "whole" in expected and value.is_integer() and abs(value) < 1e15:
        return f"write {int(value)}"
    if number and isinstance(value, str):
        return _number(value, "seconds" in expected)
    if ("text" in expected or "name" in expected) and isinstance(value, (bool, int, float)):
        return "put it in quotes"
    return None


def _number(text: str, seconds: bool) -> str | None:
    if text.lower() in _YES + _NO and not text.isdigit():
        return "yes, no, on and off are not numbers; leave the key out for the default"
    if _CLOCK.fullmatch(text):
        total = 0
        for part in text.split(":"):
            total = total * 60 + int(part)
        return f"times are in seconds: write {total}" if seconds else "write a plain number"
    plain = text.replace("_", "")
    if plain != text and plain.isdigit():
        return f"write {plain}"
    if re.fullmatch(r"\d+,\d+", text):
        return f"write {text.replace(',', '.')}"
    unit = _UNIT.fullmatch(text)
    if unit:
        factor = (_SECONDS if seconds else _COUNTS).get(unit[2].lower())
        return f"write {float(unit[1]) * factor:g}" if factor else "write a number without a unit"
    if re.fullmatch(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?", text):
        return "write it without quotes"
    return None
