"""OpenRouter's chat completions."""

from typing import Any

from llm_sync.providers.openrouter.chat_completions import OpenRouterDialect

__all__ = ["OpenRouterDialect"]


def __getattr__(name: str) -> Any:
    """``OpenRouterProvider``, the former base class of other dialects."""
    if name != "OpenRouterProvider":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from llm_sync.providers.factory import ProviderFactory

    return ProviderFactory.provider_class("openrouter")
