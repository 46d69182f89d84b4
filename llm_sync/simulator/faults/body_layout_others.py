"""Where things are in the answers of Anthropic and Gemini."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from llm_sync.simulator.answers.tokens import count
from llm_sync.simulator.faults.body_layout import Anatomy, Body, cut_text, frame
from llm_sync.simulator.faults.error_table import said


class Messages(Anatomy):
    """Anthropic's."""

    wrong: ClassVar[Mapping[str, Any]] = {"content": "a text, where blocks belong"}

    def cut(self, body: Body, tokens: int) -> int:
        """Thinking stays; a tool's input is what there was of it."""
        total = self._thought(body)
        blocks = []
        for block in body["content"]:
            if block["type"] == "text":
                block["text"], kept = cut_text(block["text"], tokens)
                total += kept
            elif block["type"] == "tool_use":
                block["input"] = {}
                total += tokens
            if tokens or "thinking" in block["type"]:
                blocks.append(block)
        return self._end(body, blocks, "max_tokens", total)

    def silence(self, body: Body) -> int:
        """No block at all, and a turn that ended; what was generated is billed."""
        return self._end(body, [], "end_turn", self._thought(body) + 3)

    def refuse(self, body: Body, text: str) -> int:
        """A stop reason of its own, with details."""
        details = {"type": "refusal", "category": "general_harms", "explanation": text}
        return self._end(body, [], "refusal", self._thought(body) + 1, details)

    def block(self, body: Body, reason: str) -> int:
        """The same stop reason: Anthropic's filter speaks for the model. ``reason`` is its category."""
        details = {"type": "refusal", "category": reason, "explanation": None}
        return self._end(body, [], "refusal", self._thought(body) + 1, details)

    def fail(self, body: Body, word: str) -> None:
        """The envelope of an error."""
        found = said(word, "anthropic")
        body.clear()
        body |= {"type": "error", "error": {"message": found.text(), **found.members}}

    def frames(self, body: Body) -> Iterator[str]:
        """From message_start to message_stop."""
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

    def _thought(self, body: Body) -> int:
        texts = [block["text"] for block in body["content"] if block["type"] == "text"]
        thinks = any("thinking" in block["type"] for block in body["content"])
        return max(0, body["usage"]["output_tokens"] - sum(map(count, texts))) if thinks else 0

    def _end(self, body: Body, blocks: list[Body], reason: str, tokens: int, details: Body | None = None) -> int:
        body.update(content=blocks, stop_reason=reason, stop_sequence=None)
        if details is not None:
            body["stop_details"] = details
        body["usage"]["output_tokens"] = tokens
        return tokens


class Contents(Anatomy):
    """Gemini's. It has no refusal of the model's own: one shows as a candidate its policies forbid."""

    wrong: ClassVar[Mapping[str, Any]] = {"candidates": {"content": "none"}}
    wrong_listing: ClassVar[Mapping[str, Any]] = {"models": "none"}
    listed: ClassVar[str] = "models"

    def cut(self, body: Body, tokens: int) -> int:
        """Without parts where nothing was left to say."""
        total = 0
        for candidate in body["candidates"]:
            parts = [part for part in candidate["content"].get("parts", ()) if "text" in part and (tokens or part.get("thought"))]
            for part in parts:
                if not part.get("thought"):
                    part["text"], kept = cut_text(part["text"], tokens)
                    total += kept
            self._end(candidate, parts, "MAX_TOKENS")
        return self._charge(body, total)

    def silence(self, body: Body) -> int:
        """A content without parts, finished with STOP."""
        for candidate in body["candidates"]:
            self._end(candidate, [], "STOP")
        return self._charge(body, 0)

    def refuse(self, body: Body, text: str) -> int:
        """PROHIBITED_CONTENT, with the words in finishMessage."""
        for candidate in body["candidates"]:
            self._end(candidate, [], "PROHIBITED_CONTENT")
            candidate["finishMessage"] = text
        return self._charge(body, 0)

    def block(self, body: Body, reason: str) -> int:
        """The prompt is blocked: no candidates at all."""
        del body["candidates"]
        body["promptFeedback"] = {"blockReason": reason}
        return self._charge(body, 0)

    def fail(self, body: Body, word: str) -> None:
        """google.rpc.Status, under a 200."""
        found = said(word, "gemini")
        body.clear()
        body["error"] = {"code": found.status, "message": found.text(), **found.members}

    def _end(self, candidate: Body, parts: list[Body], reason: str) -> None:
        candidate["content"] = {"parts": parts, "role": "model"} if parts else {"role": "model"}
        candidate["finishReason"] = reason

    def _charge(self, body: Body, tokens: int) -> int:
        usage = body["usageMetadata"]
        usage.pop("candidatesTokenCount", None)  # absent, not 0, when nothing was generated
        if tokens:
            usage["candidatesTokenCount"] = tokens
        thoughts = usage.get("thoughtsTokenCount", 0)
        usage["totalTokenCount"] = usage["promptTokenCount"] + tokens + thoughts
        return int(tokens + thoughts)
