"""Anthropic's Messages API."""

from typing import Any

from llm_sync.providers.anthropic.messages import AnthropicDialect

__all__ = ["AnthropicDialect"]


def __getattr__(name: str) -> Any:
    """``AnthropicProvider``, the former base class of other dialects."""
    if name != "AnthropicProvider":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from llm_sync.providers.factory import ProviderFactory

    return ProviderFactory.provider_class("anthropic")
