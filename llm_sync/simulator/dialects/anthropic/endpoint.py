"""Anthropic's door: ``POST /v1/messages`` and the paged ``GET /v1/models``."""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Mapping
from typing import Any, NoReturn

from llm_sync.simulator.answers.generated import Answer, Asked, answer, draw
from llm_sync.simulator.answers.tokens import count, weigh
from llm_sync.simulator.answers.turns import Turn, of_messages
from llm_sync.simulator.dialects.anthropic import checks
from llm_sync.simulator.dialects.anthropic.messages import read_messages, read_system
from llm_sync.simulator.dialects.anthropic.reply import headers, message, thought
from llm_sync.simulator.dialects.base import Call, Dialect, token
from llm_sync.simulator.dialects.model_catalogue import limits, unknown_model
from llm_sync.simulator.faults.error_table import ANTHROPIC_TYPES
from llm_sync.simulator.server.response import KnownError, Refusal, Response

_VERSIONS = ("2023-01-01", "2023-06-01")
_FIRST_NEWER = "2026-10-21"  # of those that the official client has sent since


class Anthropic(Dialect):
    """Base URL without ``/v1``; keys in ``x-api-key``."""

    name = "anthropic"
    provider = "anthropic"

    def turns(self, call: Call) -> list[Turn]:
        """System prompt and messages."""
        return of_messages(call.payload)

    def key_of(self, call: Call) -> str | None:
        """From x-api-key, or an OAuth token."""
        return call.headers.get("x-api-key") or super().key_of(call)

    def reply(self, call: Call) -> Response:
        """Answers, or raises Refusal: path and key first, as the provider does."""
        if call.path not in ("/v1/messages", "/v1/models") and not call.path.startswith("/v1/models/"):
            self.refuse("Not found", 404)
        key = self.key_of(call)
        if key is None:
            self.refuse("x-api-key header is required", 401)
        if not call.accepts(key):
            raise KnownError("auth")
        version = call.headers.get("anthropic-version")
        if not version:
            self.refuse("anthropic-version: header is required")
        if version not in _VERSIONS and not is_newer(version):
            self.refuse(f"anthropic-version: {version[:40]!r} is not a valid version")
        if call.path == "/v1/messages":
            if call.method != "POST":
                self.refuse("Method Not Allowed", 405)
            return self._messages(call)
        if call.method != "GET":
            self.refuse("Method Not Allowed", 405)
        return self._models(call)

    def refuse_stream(self, call: Call) -> NoReturn:
        """Names the switch."""
        self.refuse(f"The simulator never streams and defers nothing: {call.stream} asked for it.")

    def refuse(self, message: str, status: int = 400) -> NoReturn:
        """Raises the Refusal in Anthropic's error shape."""
        raise Refusal(self.error(status, message))

    def error(self, status: int, message: str) -> Response:
        """An error that is about no parameter."""
        request_id = token("req_", 24)
        kind = ANTHROPIC_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
        body = {"type": "error", "error": {"type": kind, "message": message, "details": None}, "request_id": request_id}
        retry = "true" if status == 429 or status >= 500 else "false"
        return Response(
            status, body, (("content-type", "application/json"), ("request-id", request_id), ("x-should-retry", retry))
        )

    def _messages(self, call: Call) -> Response:
        if call.problem:
            self.refuse(f"The request body is not valid JSON: {call.problem}")
        payload = call.payload
        if not isinstance(payload, dict):
            self.refuse("Input should be a valid dictionary")
        again = self.recalled(call)
        if again:
            return self._message({}, call.model, answer(again), again.weight())
        betas = call.headers.get("anthropic-beta", "")
        checks.check_keys(payload, betas, self.refuse)
        if unknown_model("anthropic", call.model):
            raise KnownError("not_found")
        checks.check_numbers(payload, call.model, self.refuse)
        system, tokens = read_system(payload.get("system"), self.refuse)
        turns, prompt = read_messages(payload["messages"], call.model, betas, self.refuse)
        asked = Asked("anthropic", call.model, [*system, *turns], (call.seed, None), limit=payload["max_tokens"])
        asked.stops = tuple(payload.get("stop_sequences") or ())
        checks.read_tools(payload, asked, self.refuse)
        checks.read_thinking(payload, asked, self.refuse)
        checks.read_output(payload, asked, self.refuse)
        prompt += 7 + tokens + weigh(payload.get("tools")) + weigh(payload.get("output_config"))
        most = limits("anthropic", call.model)
        if most and prompt > most.window:
            raise KnownError("context", asked=prompt, window=most.window)
        if asked.reasoning:
            asked.reasoning = count(thought(asked.forced)) + draw(asked) % 40
        asked.given = self.told(call)
        return self._message(payload, call.model, answer(asked), prompt)

    def _message(self, payload: Mapping[str, Any], model: str, found: Answer, prompt: int) -> Response:
        body, tokens = message(payload, model, found, prompt, checks.has_cache_control(payload))
        return Response(200, body, headers(*tokens), tokens)

    def _models(self, call: Call) -> Response:
        """``limit`` 1 to 1000 (20), ``after_id`` or ``before_id``; ``has_more`` says whether another page follows."""
        names = list(call.models)
        wanted = call.path[len("/v1/models/") :]
        if wanted:
            if wanted not in names:
                raise KnownError("not_found", model=wanted)
            return Response(200, _item(wanted, call), headers(0, 0))
        try:
            limit = int(call.query.get("limit", "20"))
        except ValueError:
            self.refuse("limit: Input should be a valid integer, unable to parse string as an integer")
        if not 1 <= limit <= 1000:
            self.refuse("limit: Input should be greater than or equal to 1 and less than or equal to 1000")
        after, before = call.query.get("after_id"), call.query.get("before_id")
        for cursor in (after, before):
            if cursor and cursor not in names:
                raise KnownError("not_found", model=cursor)
        if before:
            end = names.index(before)
            page, more = names[max(0, end - limit) : end], end > limit
        else:
            start = names.index(after) + 1 if after else 0
            page, more = names[start : start + limit], start + limit < len(names)
        body = {
            "data": [_item(name, call) for name in page],
            "has_more": more,
            "first_id": page[0] if page else None,
            "last_id": page[-1] if page else None,
        }
        return Response(200, body, headers(0, 0))


def is_newer(version: str) -> bool:
    """Whether it is a version of those that the official client sends by now."""
    return bool(re.fullmatch(r"20\d\d-[01]\d-[0-3]\d", version)) and version >= _FIRST_NEWER


def _item(name: str, call: Call) -> Mapping[str, Any]:
    most = limits("anthropic", name)
    created = time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime(1_710_000_000 + zlib.crc32(name.encode()) % 60_000_000))
    item: dict[str, Any] = {"type": "model", "id": name, "display_name": name.replace("-", " ").title(), "created_at": created}
    if most:
        item |= {"max_input_tokens": most.window, "max_tokens": most.output}
    if is_newer(call.headers.get("anthropic-version", "")):
        line = next((word for word in ("opus", "sonnet", "haiku", "fable", "mythos") if word in name), None)
        item |= {"lifecycle": "active", "line": line, "deprecated_at": None, "retires_at": None, "capabilities": None}
    return item
