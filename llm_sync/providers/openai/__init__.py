"""OpenAI's chat completions and Responses API."""

from typing import Any

from llm_sync.providers.openai.chat_completions import OpenAIDialect

__all__ = ["OpenAIDialect"]


def __getattr__(name: str) -> Any:
    """``OpenAIProvider``, the former base class of other dialects."""
    if name != "OpenAIProvider":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from llm_sync.providers.factory import ProviderFactory

    return ProviderFactory.provider_class("openai")
