"""The response objects of anthropic: messages, their blocks, models. Fields are named as on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from llm_sync.compat.shim.response_objects import AnswerObject, Page


def _none(names: str) -> dict[str, Any]:
    return dict.fromkeys(names.split())


class ContentBlock(AnswerObject):
    """One block of a message's content; ``type`` tells which."""

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Any:
        """The block as an object of the class for its type."""
        kind = _BLOCKS.get(str(body.get("type")), ContentBlock) if cls is ContentBlock else cls
        return kind(body)


class TextBlock(ContentBlock):
    """Text."""

    absent = _none("citations")


class ToolUseBlock(ContentBlock):
    """A tool call: ``id``, ``name`` and ``input`` (a plain dict)."""

    absent = _none("caller")


class ThinkingBlock(ContentBlock):
    """The model's reasoning."""


class RedactedThinkingBlock(ContentBlock):
    """The model's reasoning, encrypted by the provider."""


_BLOCKS: dict[str, type[ContentBlock]] = {
    "text": TextBlock,
    "tool_use": ToolUseBlock,
    "thinking": ThinkingBlock,
    "redacted_thinking": RedactedThinkingBlock,
}


class Usage(AnswerObject):
    """Token counts; ``input_tokens`` excludes tokens read from or written to the cache."""

    absent = _none(
        "cache_creation cache_creation_input_tokens cache_read_input_tokens inference_geo server_tool_use service_tier"
    )
    parts: ClassVar = {"cache_creation": AnswerObject, "server_tool_use": AnswerObject, "output_tokens_details": AnswerObject}


class Message(AnswerObject):
    """A message of the model."""

    absent = _none("container diagnostics stop_details stop_reason stop_sequence")
    parts: ClassVar = {"content": ContentBlock, "usage": Usage, "stop_details": AnswerObject}


class ModelInfo(AnswerObject):
    """One model of a listing."""

    absent = _none("capabilities max_input_tokens max_tokens")


class SyncPage(Page):
    """The result of ``models.list()``."""

    parts: ClassVar = {"data": ModelInfo}
