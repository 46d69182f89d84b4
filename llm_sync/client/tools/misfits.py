"""What in the arguments of a call is not as the tool's parameters say, in words for the model."""

from __future__ import annotations

import json
from typing import Any

MAX_SHOWN = 80  # characters of a value
_NOTHING = object()


class Misfit(Exception):
    """A value that does not fit. ``path``: where it is, as ``a.b[0]``; "" is the whole; ``expected``: what should be there."""

    def __init__(self, path: str, expected: str, found: Any = _NOTHING) -> None:
        where = f"{path}: " if path else ""
        super().__init__(f"{where}{expected}" if found is _NOTHING else f"{where}expected {expected}, found {shown(found)}")
        self.path = path
        self.expected = expected


def shown(value: Any) -> str:
    """A value of JSON, cut if it is long."""
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def below(path: str, name: str) -> str:
    """The path of a property."""
    return f"{path}.{name}" if path else name
