"""Anthropic's door: ``POST /v1/messages`` and the paged ``GET /v1/models``."""

from __future__ import annotations

import time
import zlib
from collections.abc import Mapping
from typing import Any, NoReturn

from llm_sync.simulator import anthropic_checks as checks
from llm_sync.simulator.answers import Answer, Asked, answer, count, weigh
from llm_sync.simulator.anthropic_messages import read_messages, read_system
from llm_sync.simulator.catalogue import DATED, limits
from llm_sync.simulator.dialect import Call, Dialect, Refusal, Response, token, unknown_model

_KINDS = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_LIMITS = (("requests", 1000, 1), ("input-tokens", 450_000, 0), ("output-tokens", 90_000, 0), ("tokens", 540_000, 0))


class Anthropic(Dialect):
    """Base URL without ``/v1``; keys in ``x-api-key``."""

    name = "anthropic"
    provider = "anthropic"

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
            self.refuse("invalid x-api-key", 401)
        version = call.headers.get("anthropic-version")
        if not version:
            self.refuse("anthropic-version: header is required")
        if version not in ("2023-06-01", "2023-01-01"):
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
        kind = _KINDS.get(status, "api_error" if status >= 500 else "invalid_request_error")
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
        checks.check_keys(payload, call.headers.get("anthropic-beta", ""), self.refuse)
        if unknown_model(call.model):
            self.refuse(f"model: {call.model}", 404)
        checks.check_numbers(payload, call.model, self.refuse)
        system, tokens = read_system(payload.get("system"), self.refuse)
        turns, prompt = read_messages(payload["messages"], call.model, self.refuse)
        asked = Asked("anthropic", call.model, [*system, *turns], (call.seed, None), limit=payload["max_tokens"])
        asked.stops = tuple(payload.get("stop_sequences") or ())
        checks.read_tools(payload, asked, self.refuse)
        checks.read_thinking(payload, asked, self.refuse)
        checks.read_output(payload, asked, self.refuse)
        prompt += 7 + tokens + weigh(payload.get("tools")) + weigh(payload.get("output_config"))
        most = limits("anthropic", call.model)
        if most and prompt > most.window:
            self.refuse(f"prompt is too long: {prompt} tokens > {most.window} maximum")
        found = answer(asked)
        if asked.reasoning:
            asked.reasoning = count(_thought(found)) + found.number % 40
            found = answer(asked)
        return self._message(call, found, prompt)

    def _message(self, call: Call, found: Answer, prompt: int) -> Response:
        content: list[dict[str, Any]] = []
        thinking = call.payload.get("thinking") or {}
        if found.reasoning:
            text = "" if thinking.get("display") == "omitted" else _thought(found)
            content.append({"type": "thinking", "thinking": text, "signature": f"Eq{found.number:016x}Simulated=="})
        if found.tool and not (found.cut and not found.raw_arguments):
            arguments = {} if found.cut else found.arguments
            content.append({"type": "tool_use", "id": token("toolu_01", 22), "name": found.tool, "input": arguments})
        elif found.text:
            content.append({"type": "text", "text": found.text})
        ends = (("max_tokens", found.cut), ("stop_sequence", found.stop), ("tool_use", found.tool), ("end_turn", True))
        reason = next(word for word, holds in ends if holds)
        output = found.tokens + found.reasoning
        # tokens read from or written to the cache stand beside input_tokens, not in them
        cached = prompt * 3 // 4 if checks.has_cache_control(call.payload) and prompt >= 1024 else 0
        read = cached if found.number % 2 else 0
        body = {
            "id": token("msg_01", 22),
            "type": "message",
            "role": "assistant",
            "model": DATED.get(call.model, call.model),
            "content": content,
            "stop_reason": reason,
            "stop_sequence": found.stop,
            "usage": {
                "input_tokens": prompt - cached,
                "cache_creation_input_tokens": cached - read,
                "cache_read_input_tokens": read,
                "cache_creation": {"ephemeral_5m_input_tokens": cached - read, "ephemeral_1h_input_tokens": 0},
                "output_tokens": output,
                "service_tier": "standard",
                "inference_geo": "not_available",
            },
        }
        return Response(200, body, self._headers(prompt, output), (prompt, output))

    def _headers(self, prompt: int, output: int) -> tuple[tuple[str, str], ...]:
        reset = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1))
        headers = [("content-type", "application/json"), ("request-id", token("req_", 24))]
        used = {"input-tokens": prompt, "output-tokens": output, "tokens": prompt + output}
        for name, limit, one in _LIMITS:
            headers += [
                (f"anthropic-ratelimit-{name}-limit", str(limit)),
                (f"anthropic-ratelimit-{name}-remaining", str(max(0, limit - used.get(name, one)))),
                (f"anthropic-ratelimit-{name}-reset", reset),
            ]
        headers.append(("retry-after", "31"))  # there on good answers too, where it means nothing
        return tuple(headers)

    def _models(self, call: Call) -> Response:
        """``limit`` 1 to 1000 (20), ``after_id`` or ``before_id``; ``has_more`` says whether another page follows."""
        names = list(call.models)
        wanted = call.path[len("/v1/models/") :]
        if wanted:
            if wanted not in names:
                self.refuse(f"model: {wanted}", 404)
            return Response(200, _item(wanted), self._headers(0, 0))
        try:
            limit = int(call.query.get("limit", "20"))
        except ValueError:
            self.refuse("limit: Input should be a valid integer, unable to parse string as an integer")
        if not 1 <= limit <= 1000:
            self.refuse("limit: Input should be greater than or equal to 1 and less than or equal to 1000")
        after, before = call.query.get("after_id"), call.query.get("before_id")
        for cursor in (after, before):
            if cursor and cursor not in names:
                self.refuse(f"model: {cursor}", 404)
        if before:
            end = names.index(before)
            page, more = names[max(0, end - limit) : end], end > limit
        else:
            start = names.index(after) + 1 if after else 0
            page, more = names[start : start + limit], start + limit < len(names)
        body = {
            "data": [_item(name) for name in page],
            "has_more": more,
            "first_id": page[0] if page else None,
            "last_id": page[-1] if page else None,
        }
        return Response(200, body, self._headers(0, 0))


def _thought(found: Answer) -> str:
    return "The user wants an answer; " + (
        "a call of the tool gives it." if found.tool else "a short one that names the prompt will do."
    )


def _item(name: str) -> Mapping[str, Any]:
    most = limits("anthropic", name)
    created = time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime(1_710_000_000 + zlib.crc32(name.encode()) % 60_000_000))
    item: dict[str, Any] = {"type": "model", "id": name, "display_name": name.replace("-", " ").title(), "created_at": created}
    if most:
        item |= {"max_input_tokens": most.window, "max_tokens": most.output}
    return item
