"""``anthropic.types``: the response classes, and ``dict`` for request types, which exist for typing only."""

from __future__ import annotations

from typing import Any

from llm_sync.compat.anthropic import response_objects
from llm_sync.compat.anthropic.exceptions import map_error
from llm_sync.compat.shim.response_objects import by_name
from llm_sync.compat.shim.unsupported import type_named

_SHAPES = by_name(vars(response_objects))


def __getattr__(name: str) -> Any:
    return type_named(__name__, name, _SHAPES, ("Param", "Params"), map_error)
