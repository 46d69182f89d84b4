"""Body layout of Bedrock's Converse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from llm_sync.simulator.answers.tokens import count_tokens
from llm_sync.simulator.dialects.bedrock.reply import TOPIC, blocked_trace
from llm_sync.simulator.faults.body_layout import Body, BodyLayout, truncate_text
from llm_sync.simulator.faults.error_table import spelling_of


class BedrockLayout(BodyLayout):
    """The layout of Converse's answers."""

    wrong_types: ClassVar[Mapping[str, Any]] = {"output": {"message": {"content": "a text, where blocks belong"}}}
    wrong_listing_types: ClassVar[Mapping[str, Any]] = {"inferenceProfileSummaries": "none", "modelSummaries": "none"}
    listing_key: ClassVar[str] = "modelSummaries"

    def truncate(self, body: Body, tokens: int) -> int:
        """Reasoning stays; the input of a tool call becomes empty."""
        total = self._reasoning_tokens(body)
        blocks = []
        for block in self._content(body):
            if "text" in block:
                block["text"], kept = truncate_text(block["text"], tokens)
                total += kept
            elif "toolUse" in block:
                block["toolUse"]["input"] = {}
                total += tokens
            if tokens or "reasoningContent" in block:
                blocks.append(block)
        return self._set_content(body, blocks, "max_tokens", total)

    def make_empty(self, body: Body) -> int:
        """No content blocks, with stop reason ``end_turn``; a few output tokens are billed."""
        return self._set_content(body, [], "end_turn", self._reasoning_tokens(body) + 3)

    def make_refusal(self, body: Body, text: str) -> int:
        """As a guardrail's block: Converse has no form for a refusal by the model."""
        return self._block(body, TOPIC, text)

    def make_blocked(self, body: Body, reason: str) -> int:
        """A guardrail blocks the answer: its own text stands in the place; ``reason`` is the denied topic."""
        return self._block(body, reason or TOPIC, "Sorry, the model cannot answer this question.")

    def make_error(self, body: Body, kind: str) -> None:
        """The body of an error; its type stands in it, as there is no header that names it."""
        spelling = spelling_of(kind, "bedrock")
        body.clear()
        body |= {"__type": spelling.headers["x-amzn-errortype"].partition(":")[0], "message": spelling.render()}

    def _block(self, body: Body, topic: str, text: str) -> int:
        body["trace"] = blocked_trace(topic)
        return self._set_content(body, [{"text": text}], "guardrail_intervened", 0)

    def _content(self, body: Body) -> list[Body]:
        content: list[Body] = body["output"]["message"]["content"]
        return content

    def _reasoning_tokens(self, body: Body) -> int:
        texts = [block["text"] for block in self._content(body) if "text" in block]
        reasons = any("reasoningContent" in block for block in self._content(body))
        return max(0, body["usage"]["outputTokens"] - sum(map(count_tokens, texts))) if reasons else 0

    def _set_content(self, body: Body, blocks: list[Body], reason: str, tokens: int) -> int:
        body["output"]["message"]["content"] = blocks
        body["stopReason"] = reason
        usage = body["usage"]
        usage["totalTokens"] += tokens - usage["outputTokens"]
        usage["outputTokens"] = tokens
        return tokens
