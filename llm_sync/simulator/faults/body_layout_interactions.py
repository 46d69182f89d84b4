"""Body layout of Google's Interactions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from llm_sync.simulator.dialects.interactions.reply import usage
from llm_sync.simulator.faults.body_layout import Body, BodyLayout, truncate_text
from llm_sync.simulator.faults.error_table import spelling_of


class InteractionsLayout(BodyLayout):
    """The layout of interactions. What a filter removes is an interaction that failed."""

    wrong_types: ClassVar[Mapping[str, Any]] = {"steps": "none"}
    wrong_listing_types: ClassVar[Mapping[str, Any]] = {"models": "none"}
    listing_key: ClassVar[str] = "models"

    def truncate(self, body: Body, tokens: int) -> int:
        """Status ``incomplete``; thoughts stay, calls go."""
        total, steps = 0, []
        for step in body["steps"]:
            if step["type"] == "model_output" and tokens:
                for content in step["content"]:
                    content["text"], kept = truncate_text(content["text"], tokens)
                    total += kept
            if step["type"] == "thought" or (step["type"] == "model_output" and tokens):
                steps.append(step)
        return self._set(body, steps, "incomplete", total)

    def make_empty(self, body: Body) -> int:
        """No steps but thoughts, with status ``completed``."""
        return self._set(body, [step for step in body["steps"] if step["type"] == "thought"], "completed", 0)

    def make_refusal(self, body: Body, text: str) -> int:
        """Status ``failed``, with the text in the error."""
        body["errors"] = [{"code": "prohibited_content", "message": text}]
        return self._set(body, [], "failed", 0)

    def make_blocked(self, body: Body, reason: str) -> int:
        """Status ``failed``, with the reason as the error's code."""
        body["errors"] = [{"code": (reason or "safety").lower(), "message": ""}]
        return self._set(body, [], "failed", 0)

    def make_error(self, body: Body, kind: str) -> None:
        """The body of an error."""
        spelling = spelling_of(kind, "gemini-interactions")
        body.clear()
        body["error"] = {"message": spelling.render(), **spelling.members}

    def _set(self, body: Body, steps: list[Body], status: str, tokens: int) -> int:
        counts = body["usage"]
        thoughts = counts["total_thought_tokens"]
        body.update(steps=steps, status=status)
        body["usage"] = usage(counts["total_input_tokens"], tokens, thoughts, counts["total_cached_tokens"])
        return int(tokens + thoughts)
