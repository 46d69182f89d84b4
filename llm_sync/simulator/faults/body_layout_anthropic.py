"""Body layout of Anthropic's messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from llm_sync.simulator.answers.tokens import count_tokens
from llm_sync.simulator.faults.body_layout import Body, BodyLayout, frame, truncate_text
from llm_sync.simulator.faults.error_table import spelling_of


class AnthropicLayout(BodyLayout):
    """The layout of Anthropic's messages."""

    wrong_types: ClassVar[Mapping[str, Any]] = {"content": "a text, where blocks belong"}

    def truncate(self, body: Body, tokens: int) -> int:
        """Thinking blocks stay; the input of a tool call becomes empty."""
        total = self._thinking_tokens(body)
        blocks = []
        for block in body["content"]:
            if block["type"] == "text":
                block["text"], kept = truncate_text(block["text"], tokens)
                total += kept
            elif block["type"] == "tool_use":
                block["input"] = {}
                total += tokens
            if tokens or "thinking" in block["type"]:
                blocks.append(block)
        return self._set_content(body, blocks, "max_tokens", total)

    def make_empty(self, body: Body) -> int:
        """No content blocks, with stop reason ``end_turn``; a few output tokens are billed."""
        return self._set_content(body, [], "end_turn", self._thinking_tokens(body) + 3)

    def make_refusal(self, body: Body, text: str) -> int:
        """Stop reason ``refusal``, with the text in the details."""
        details = {"type": "refusal", "category": "general_harms", "explanation": text}
        return self._set_content(body, [], "refusal", self._thinking_tokens(body) + 1, details)

    def make_blocked(self, body: Body, reason: str) -> int:
        """Also stop reason ``refusal``, which Anthropic uses for its filter, too; ``reason`` is the category."""
        details = {"type": "refusal", "category": reason, "explanation": None}
        return self._set_content(body, [], "refusal", self._thinking_tokens(body) + 1, details)

    def make_error(self, body: Body, kind: str) -> None:
        """The body of an error."""
        spelling = spelling_of(kind, "anthropic")
        body.clear()
        body |= {"type": "error", "error": {"message": spelling.render(), **spelling.members}}

    def stream_frames(self, body: Body) -> Iterator[str]:
        """The events from message_start to message_stop."""
        if "content" not in body:
            yield frame(body, "message")
            return
        yield frame({"type": "message_start", "message": {**body, "content": [], "stop_reason": None}}, "message_start")
        for index, block in enumerate(body["content"]):
            event = {"type": "content_block_start", "index": index, "content_block": block}
            yield frame(event, "content_block_start")
            yield frame({"type": "content_block_stop", "index": index}, "content_block_stop")
        yield frame({"type": "message_delta", "delta": {"stop_reason": body["stop_reason"]}}, "message_delta")
        yield frame({"type": "message_stop"}, "message_stop")

    def _thinking_tokens(self, body: Body) -> int:
        texts = [block["text"] for block in body["content"] if block["type"] == "text"]
        thinks = any("thinking" in block["type"] for block in body["content"])
        return max(0, body["usage"]["output_tokens"] - sum(map(count_tokens, texts))) if thinks else 0

    def _set_content(self, body: Body, blocks: list[Body], reason: str, tokens: int, details: Body | None = None) -> int:
        body.update(content=blocks, stop_reason=reason, stop_sequence=None)
        if details is not None:
            body["stop_details"] = details
        body["usage"]["output_tokens"] = tokens
        return tokens
