"""The dialects, and what one more of them is written with (docs/providers.md). Names are imported on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llm_sync.providers.adjustments import Adjustments
    from llm_sync.providers.answer import (
        Answer,
        Blocked,
        Completed,
        Cut,
        Deferred,
        Failed,
        Malformed,
        count,
        tool_call,
    )
    from llm_sync.providers.base import LLMProvider
    from llm_sync.providers.dialect import Dialect
    from llm_sync.providers.error_mapping import ApiError, error_class
    from llm_sync.providers.factory import ProviderFactory

    # Former names; type checkers take an assignment, not an import under another name, for part of a package.
    Changes = Adjustments
    Fault = ApiError

_HOME = {
    "Adjustments": "adjustments",
    "Answer": "answer",
    "ApiError": "error_mapping",
    "Blocked": "answer",
    "Completed": "answer",
    "Cut": "answer",
    "Deferred": "answer",
    "Dialect": "dialect",
    "Failed": "answer",
    "LLMProvider": "base",
    "Malformed": "answer",
    "ProviderFactory": "factory",
    "count": "answer",
    "error_class": "error_mapping",
    "tool_call": "answer",
}
_FORMER = {"Changes": "Adjustments", "Fault": "ApiError"}
__all__ = [
    "Adjustments",
    "Answer",
    "ApiError",
    "Blocked",
    "Completed",
    "Cut",
    "Deferred",
    "Dialect",
    "Failed",
    "LLMProvider",
    "Malformed",
    "ProviderFactory",
    "count",
    "error_class",
    "tool_call",
]

if not TYPE_CHECKING:  # type checkers would believe in any name, even a misspelt one

    def __getattr__(name: str) -> Any:
        if name in _FORMER:
            from warnings import warn

            warn(f"llm_sync.providers.{name} is now called {_FORMER[name]}", DeprecationWarning, stacklevel=2)
            name = _FORMER[name]
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
        globals()[name] = value
        return value
