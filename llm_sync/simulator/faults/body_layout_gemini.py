"""Body layout of Gemini's generateContent responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from llm_sync.simulator.faults.body_layout import Body, BodyLayout, truncate_text
from llm_sync.simulator.faults.error_table import spelling_of


class GeminiLayout(BodyLayout):
    """The layout of Gemini's answers. Gemini has no form for a refusal by the model: it appears as prohibited content."""

    wrong_types: ClassVar[Mapping[str, Any]] = {"candidates": {"content": "none"}}
    wrong_listing_types: ClassVar[Mapping[str, Any]] = {"models": "none"}
    listing_key: ClassVar[str] = "models"

    def truncate(self, body: Body, tokens: int) -> int:
        """Finish reason ``MAX_TOKENS``; no parts if no tokens are left."""
        total = 0
        for candidate in body["candidates"]:
            parts = [part for part in candidate["content"].get("parts", ()) if "text" in part and (tokens or part.get("thought"))]
            for part in parts:
                if not part.get("thought"):
                    part["text"], kept = truncate_text(part["text"], tokens)
                    total += kept
            self._set_parts(candidate, parts, "MAX_TOKENS")
        return self._set_usage(body, total)

    def make_empty(self, body: Body) -> int:
        """A content without parts, with finish reason ``STOP``."""
        for candidate in body["candidates"]:
            self._set_parts(candidate, [], "STOP")
        return self._set_usage(body, 0)

    def make_refusal(self, body: Body, text: str) -> int:
        """Finish reason ``PROHIBITED_CONTENT``, with the text in ``finishMessage``."""
        for candidate in body["candidates"]:
            self._set_parts(candidate, [], "PROHIBITED_CONTENT")
            candidate["finishMessage"] = text
        return self._set_usage(body, 0)

    def make_blocked(self, body: Body, reason: str) -> int:
        """The prompt is blocked, so there are no candidates."""
        del body["candidates"]
        body["promptFeedback"] = {"blockReason": reason}
        return self._set_usage(body, 0)

    def make_error(self, body: Body, kind: str) -> None:
        """A google.rpc.Status with HTTP status 200."""
        spelling = spelling_of(kind, "gemini")
        body.clear()
        body["error"] = {"code": spelling.status, "message": spelling.render(), **spelling.members}

    def _set_parts(self, candidate: Body, parts: list[Body], reason: str) -> None:
        candidate["content"] = {"parts": parts, "role": "model"} if parts else {"role": "model"}
        candidate["finishReason"] = reason

    def _set_usage(self, body: Body, tokens: int) -> int:
        usage = body["usageMetadata"]
        usage.pop("candidatesTokenCount", None)  # absent, not 0, if nothing was generated
        if tokens:
            usage["candidatesTokenCount"] = tokens
        thoughts = usage.get("thoughtsTokenCount", 0)
        usage["totalTokenCount"] = usage["promptTokenCount"] + tokens + thoughts
        return int(tokens + thoughts)
