"""Google's generateContent."""

from typing import Any

from llm_sync.providers.gemini.generate_content import GeminiDialect

__all__ = ["GeminiDialect"]


def __getattr__(name: str) -> Any:
    """``GeminiProvider``, the former base class of other dialects."""
    if name != "GeminiProvider":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from llm_sync.providers.factory import ProviderFactory

    return ProviderFactory.provider_class("gemini")
