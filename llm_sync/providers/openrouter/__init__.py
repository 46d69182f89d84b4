"""OpenRouter's chat completions."""

from llm_sync.providers.openrouter.chat_completions import OpenRouterProvider

__all__ = ["OpenRouterProvider"]
