"""The entry point of the library: ``LLMClient``, and what prepares requests and queues them for their providers.

``LLMClient`` is imported on first use: the command line imports single modules of this room without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm_sync.client.client import LLMClient as LLMClient

__all__ = ["LLMClient"]


def __getattr__(name: str) -> object:
    if name != "LLMClient":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from llm_sync.client.client import LLMClient

    globals()[name] = LLMClient
    return LLMClient
