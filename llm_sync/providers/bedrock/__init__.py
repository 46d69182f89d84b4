"""Amazon Bedrock's Converse API."""

from llm_sync.providers.bedrock.converse import BedrockDialect

__all__ = ["BedrockDialect"]
