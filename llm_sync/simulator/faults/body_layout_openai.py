"""Body layouts of OpenAI's two APIs and of OpenRouter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from llm_sync.simulator.answers.tokens import count_tokens
from llm_sync.simulator.faults.body_layout import Body, BodyLayout, frame, truncate_text
from llm_sync.simulator.faults.error_table import spelling_of


class ChatLayout(BodyLayout):
    """The layout of OpenAI's chat completions."""

    wrong_types: ClassVar[Mapping[str, Any]] = {"choices[0].message.content": 42}

    def truncate(self, body: Body, tokens: int) -> int:
        """Finish reason ``length``; a tool call keeps the beginning of its arguments."""
        total = 0
        for choice in body["choices"]:
            message = choice["message"]
            for call in message.get("tool_calls") or ():
                call["function"]["arguments"], kept = truncate_text(call["function"]["arguments"], tokens)
                total += kept
            if not tokens:
                message.pop("tool_calls", None)
            message["content"], kept = truncate_text(message.get("content") or "", tokens)
            total += kept
            self.set_finish_reason(choice, "length")
        return self.set_usage(body, total)

    def make_empty(self, body: Body) -> int:
        """The content is an empty text, with finish reason ``stop``."""
        self.replace_messages(body, {"content": ""}, "stop")
        return self.set_usage(body, 0)

    def make_refusal(self, body: Body, text: str) -> int:
        """``message.refusal``, with finish reason ``stop``, as recorded from OpenAI."""
        self.replace_messages(body, {"content": None, "refusal": text}, "stop")
        return self.set_usage(body, count_tokens(text))

    def make_blocked(self, body: Body, reason: str) -> int:
        """Finish reason ``content_filter``."""
        self.replace_messages(body, {"content": ""}, "content_filter")
        return self.set_usage(body, 0)

    def stream_frames(self, body: Body) -> Iterator[str]:
        """Chunks, then ``[DONE]``."""
        head = {name: body[name] for name in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
        for choice in body["choices"]:
            yield frame({**head, "choices": [{"index": 0, "delta": choice["message"], "finish_reason": None}]})
            yield frame({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]})
        yield "data: [DONE]\n\n"

    def replace_messages(self, body: Body, members: Mapping[str, Any], finish: str) -> None:
        """Sets the members of every choice's message, without tool calls, and the finish reason."""
        for choice in body["choices"]:
            choice["message"].pop("tool_calls", None)
            choice["message"].update(members)
            self.set_finish_reason(choice, finish)

    def set_finish_reason(self, choice: Body, kind: str) -> None:
        """Sets the finish reason of a choice."""
        choice["finish_reason"] = kind

    def set_usage(self, body: Body, tokens: int) -> int:
        """Sets the usage to ``tokens`` and the reasoning tokens; returns their sum."""
        usage = body["usage"]
        reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
        usage["completion_tokens"] = tokens + reasoning
        usage["total_tokens"] = usage["prompt_tokens"] + usage["completion_tokens"]
        return int(usage["completion_tokens"])


class OpenRouterLayout(ChatLayout):
    """The layout of OpenRouter: OpenAI's, with the upstream's finish reason, and with errors within choices."""

    def make_refusal(self, body: Body, text: str) -> int:
        """Also sets the upstream's finish reason to ``refusal``."""
        tokens = super().make_refusal(body, text)
        for choice in body["choices"]:
            choice["native_finish_reason"] = "refusal"
        return tokens

    def make_error(self, body: Body, kind: str) -> None:
        """The error is in the choice, beside the first half of its text."""
        spelling = spelling_of(kind, "openrouter")
        metadata = spelling.members["metadata"]
        error = {"code": spelling.status, "message": spelling.render(model=body.get("model")), "metadata": metadata}
        if "choices" not in body:
            body.clear()
            body["error"] = error
            return
        for choice in body["choices"]:
            choice["message"].pop("tool_calls", None)
            text = choice["message"].get("content") or ""
            choice["message"]["content"] = text[: len(text) // 2]
            self.set_finish_reason(choice, "error")
            choice["error"] = error

    def stream_frames(self, body: Body) -> Iterator[str]:
        """A keep-alive comment comes first."""
        yield ": OPENROUTER PROCESSING\n\n"
        yield from super().stream_frames(body)

    def set_finish_reason(self, choice: Body, kind: str) -> None:
        """Sets both finish reasons."""
        choice["finish_reason"] = choice["native_finish_reason"] = kind

    def set_usage(self, body: Body, tokens: int) -> int:
        """Also scales the cost."""
        usage = body["usage"]
        before = usage["total_tokens"]
        output = super().set_usage(body, tokens)
        usage["cost"] = usage["cost"] * usage["total_tokens"] / before if before else 0.0
        return output


class ResponsesLayout(BodyLayout):
    """The layout of OpenAI's Responses API."""

    wrong_types: ClassVar[Mapping[str, Any]] = {"output": "none"}

    def truncate(self, body: Body, tokens: int) -> int:
        """Status ``incomplete``; reasoning items stay."""
        items, total = [], 0
        for item in body["output"]:
            kept = 0
            if item["type"] == "message":
                for part in item["content"]:
                    part["text"], kept = truncate_text(part["text"], tokens)
            elif item["type"] == "function_call":
                item["arguments"], kept = truncate_text(item["arguments"], tokens)
            total += kept
            if item["type"] == "reasoning" or tokens:
                items.append({**item, "status": "incomplete"} if "status" in item else item)
        self._set_output(body, items, "max_output_tokens")
        return self._set_usage(body, total)

    def make_empty(self, body: Body) -> int:
        """Completed, without output items."""
        self._set_output(body, [], None)
        return self._set_usage(body, 0)

    def make_refusal(self, body: Body, text: str) -> int:
        """A refusal part instead of the text."""
        part = {"type": "refusal", "refusal": text}
        self._set_output(
            body, [{"id": "msg_refused", "type": "message", "status": "completed", "role": "assistant", "content": [part]}]
        )
        return self._set_usage(body, count_tokens(text))

    def make_blocked(self, body: Body, reason: str) -> int:
        """Incomplete, with the reason ``content_filter``."""
        self._set_output(body, [], "content_filter")
        return self._set_usage(body, 0)

    def make_error(self, body: Body, kind: str) -> None:
        """Status ``failed``."""
        if "output" not in body:
            super().make_error(body, kind)
            return
        spelling = spelling_of(kind, "openai-responses")
        code = {"rate_limit": "rate_limit_exceeded"}.get(kind, spelling.members.get("code") or "server_error")
        self._set_output(body, [], None)
        message = spelling.render(model=body.get("model"))
        body.update(status="failed", completed_at=None, error={"code": code, "message": message})

    def stream_frames(self, body: Body) -> Iterator[str]:
        """Named events, each with its type and the response."""
        for name, status in (("created", "in_progress"), ("completed", body.get("status"))):
            kind = f"response.{name}"
            yield frame({"type": kind, "response": {**body, "status": status}}, kind)

    def _set_output(self, body: Body, items: list[Body], reason: str | None = None) -> None:
        body["output"] = items
        body["status"] = "incomplete" if reason else "completed"
        body["incomplete_details"] = {"reason": reason} if reason else None
        if reason:
            body["completed_at"] = None

    def _set_usage(self, body: Body, tokens: int) -> int:
        usage = body["usage"]
        reasoning = (usage.get("output_tokens_details") or {}).get("reasoning_tokens") or 0
        usage["output_tokens"] = tokens + reasoning
        usage["total_tokens"] = usage["input_tokens"] + usage["output_tokens"]
        return int(usage["output_tokens"])
