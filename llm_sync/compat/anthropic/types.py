"""``anthropic.types``: the classes of answers, and ``dict`` for the shapes of requests, which are typing only."""

from __future__ import annotations

from typing import Any

from llm_sync.compat.answers import AnswerObject
from llm_sync.compat.anthropic import shapes


def __getattr__(name: str) -> Any:
    if name.endswith("Param") and name[:1].isupper():
        return dict
    found = getattr(shapes, name, None)
    if isinstance(found, type) and issubclass(found, AnswerObject):
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
