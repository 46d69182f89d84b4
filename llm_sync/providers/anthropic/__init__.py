"""Anthropic's Messages API."""

from llm_sync.providers.anthropic.messages import AnthropicProvider

__all__ = ["AnthropicProvider"]
