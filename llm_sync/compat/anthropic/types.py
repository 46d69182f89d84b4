"""``anthropic.types``: the classes of answers, and ``dict`` for the shapes of requests, which are typing only."""

from __future__ import annotations

from typing import Any

from llm_sync.compat.answers import by_name
from llm_sync.compat.anthropic import shapes
from llm_sync.compat.anthropic.exceptions import shim_error
from llm_sync.compat.refusals import type_named

_SHAPES = by_name(vars(shapes))


def __getattr__(name: str) -> Any:
    return type_named(__name__, name, _SHAPES, ("Param", "Params"), shim_error)
