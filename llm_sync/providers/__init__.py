"""The dialects, and what one more of them is written with (docs/providers.md). Names are imported on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llm_sync.providers.answer import Answer, count, tool_call
    from llm_sync.providers.base import LLMProvider
    from llm_sync.providers.error_mapping import Fault, error_class
    from llm_sync.providers.factory import ProviderFactory
    from llm_sync.providers.payload import Changes

_ROOMS = {
    "Answer": "answer",
    "Changes": "payload",
    "Fault": "error_mapping",
    "LLMProvider": "base",
    "ProviderFactory": "factory",
    "count": "answer",
    "error_class": "error_mapping",
    "tool_call": "answer",
}
__all__ = ["Answer", "Changes", "Fault", "LLMProvider", "ProviderFactory", "count", "error_class", "tool_call"]

if not TYPE_CHECKING:  # type checkers would believe in any name, even a misspelt one

    def __getattr__(name: str) -> Any:
        if name not in _ROOMS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
        globals()[name] = value
        return value
