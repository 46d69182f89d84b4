"""Where things are in the answers of OpenAI's two APIs and of OpenRouter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from llm_sync.simulator.answers.tokens import count
from llm_sync.simulator.faults.body_layout import Anatomy, Body, cut_text, frame
from llm_sync.simulator.faults.error_table import said


class Chat(Anatomy):
    """OpenAI's chat completions."""

    wrong: ClassVar[Mapping[str, Any]] = {"choices[0].message.content": 42}

    def cut(self, body: Body, tokens: int) -> int:
        """The finish reason is ``length``; a call keeps the beginning of its arguments."""
        total = 0
        for choice in body["choices"]:
            message = choice["message"]
            for call in message.get("tool_calls") or ():
                call["function"]["arguments"], kept = cut_text(call["function"]["arguments"], tokens)
                total += kept
            if not tokens:
                message.pop("tool_calls", None)
            message["content"], kept = cut_text(message.get("content") or "", tokens)
            total += kept
            self.finish(choice, "length")
        return self.charge(body, total)

    def silence(self, body: Body) -> int:
        """Content is an empty text, finished with ``stop``."""
        self.say(body, {"content": ""}, "stop")
        return self.charge(body, 0)

    def refuse(self, body: Body, text: str) -> int:
        """``message.refusal``, finished with ``stop``: as recorded, it is not content_filter."""
        self.say(body, {"content": None, "refusal": text}, "stop")
        return self.charge(body, count(text))

    def block(self, body: Body, reason: str) -> int:
        """The finish reason is content_filter."""
        self.say(body, {"content": ""}, "content_filter")
        return self.charge(body, 0)

    def frames(self, body: Body) -> Iterator[str]:
        """Chunks, and the word that ends them."""
        head = {name: body[name] for name in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
        for choice in body["choices"]:
            yield frame({**head, "choices": [{"index": 0, "delta": choice["message"], "finish_reason": None}]})
            yield frame({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]})
        yield "data: [DONE]\n\n"

    def say(self, body: Body, members: Mapping[str, Any], finish: str) -> None:
        """Every choice says this and nothing else."""
        for choice in body["choices"]:
            choice["message"].pop("tool_calls", None)
            choice["message"].update(members)
            self.finish(choice, finish)

    def finish(self, choice: Body, word: str) -> None:
        """Why it ended."""
        choice["finish_reason"] = word

    def charge(self, body: Body, tokens: int) -> int:
        """Counts ``tokens`` beside the reasoning."""
        usage = body["usage"]
        reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
        usage["completion_tokens"] = tokens + reasoning
        usage["total_tokens"] = usage["prompt_tokens"] + usage["completion_tokens"]
        return int(usage["completion_tokens"])


class Router(Chat):
    """OpenRouter's: OpenAI's chat, with the upstream's own finish reason and errors within choices."""

    def refuse(self, body: Body, text: str) -> int:
        """Its choices have a place for a refusal, and the upstream's word says so."""
        tokens = super().refuse(body, text)
        for choice in body["choices"]:
            choice["native_finish_reason"] = "refusal"
        return tokens

    def fail(self, body: Body, word: str) -> None:
        """In the choice, beside the part of the text that had come."""
        found = said(word, "openrouter")
        metadata = found.members["metadata"]
        error = {"code": found.status, "message": found.text(model=body.get("model")), "metadata": metadata}
        if "choices" not in body:
            body.clear()
            body["error"] = error
            return
        for choice in body["choices"]:
            choice["message"].pop("tool_calls", None)
            text = choice["message"].get("content") or ""
            choice["message"]["content"] = text[: len(text) // 2]
            self.finish(choice, "error")
            choice["error"] = error

    def frames(self, body: Body) -> Iterator[str]:
        """A comment comes first, which keeps the connection alive."""
        yield ": OPENROUTER PROCESSING\n\n"
        yield from super().frames(body)

    def finish(self, choice: Body, word: str) -> None:
        """In both its words."""
        choice["finish_reason"] = choice["native_finish_reason"] = word

    def charge(self, body: Body, tokens: int) -> int:
        """Cost follows."""
        usage = body["usage"]
        before = usage["total_tokens"]
        output = super().charge(body, tokens)
        usage["cost"] = usage["cost"] * usage["total_tokens"] / before if before else 0.0
        return output


class Responses(Anatomy):
    """OpenAI's Responses."""

    wrong: ClassVar[Mapping[str, Any]] = {"output": "none"}

    def cut(self, body: Body, tokens: int) -> int:
        """The status is incomplete; reasoning items stay."""
        items, total = [], 0
        for item in body["output"]:
            kept = 0
            if item["type"] == "message":
                for part in item["content"]:
                    part["text"], kept = cut_text(part["text"], tokens)
            elif item["type"] == "function_call":
                item["arguments"], kept = cut_text(item["arguments"], tokens)
            total += kept
            if item["type"] == "reasoning" or tokens:
                items.append({**item, "status": "incomplete"} if "status" in item else item)
        self._end(body, items, "max_output_tokens")
        return self._charge(body, total)

    def silence(self, body: Body) -> int:
        """Completed, without an item."""
        self._end(body, [], None)
        return self._charge(body, 0)

    def refuse(self, body: Body, text: str) -> int:
        """A refusal where the text would be."""
        part = {"type": "refusal", "refusal": text}
        self._end(body, [{"id": "msg_refused", "type": "message", "status": "completed", "role": "assistant", "content": [part]}])
        return self._charge(body, count(text))

    def block(self, body: Body, reason: str) -> int:
        """Incomplete, for the content filter's reason."""
        self._end(body, [], "content_filter")
        return self._charge(body, 0)

    def fail(self, body: Body, word: str) -> None:
        """The status is failed."""
        if "output" not in body:
            super().fail(body, word)
            return
        found = said(word, "openai-responses")
        code = {"rate_limit": "rate_limit_exceeded"}.get(word, found.members.get("code") or "server_error")
        self._end(body, [], None)
        message = found.text(model=body.get("model"))
        body.update(status="failed", completed_at=None, error={"code": code, "message": message})

    def frames(self, body: Body) -> Iterator[str]:
        """Each event names itself and what it carries."""
        for name, status in (("created", "in_progress"), ("completed", body.get("status"))):
            kind = f"response.{name}"
            yield frame({"type": kind, "response": {**body, "status": status}}, kind)

    def _end(self, body: Body, items: list[Body], reason: str | None = None) -> None:
        body["output"] = items
        body["status"] = "incomplete" if reason else "completed"
        body["incomplete_details"] = {"reason": reason} if reason else None
        if reason:
            body["completed_at"] = None

    def _charge(self, body: Body, tokens: int) -> int:
        usage = body["usage"]
        reasoning = (usage.get("output_tokens_details") or {}).get("reasoning_tokens") or 0
        usage["output_tokens"] = tokens + reasoning
        usage["total_tokens"] = usage["input_tokens"] + usage["output_tokens"]
        return int(usage["output_tokens"])
