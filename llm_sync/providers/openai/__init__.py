"""OpenAI's chat completions and Responses API."""

from llm_sync.providers.openai.chat_completions import OpenAIProvider

__all__ = ["OpenAIProvider"]
