"""Google's generateContent."""

from llm_sync.providers.gemini.generate_content import GeminiProvider

__all__ = ["GeminiProvider"]
