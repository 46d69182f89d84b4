"""Anthropic's endpoints: ``POST /v1/messages`` and ``/v1/messages/count_tokens``, and the paged ``GET /v1/models``."""

from __future__ import annotations

import dataclasses
import re
import time
import zlib
from collections.abc import Mapping
from typing import Any, NoReturn

from llm_sync.simulator.answers.generated import Answer, ParsedRequest, generate_answer, request_digest
from llm_sync.simulator.answers.tokens import count_json_tokens, count_tokens
from llm_sync.simulator.answers.turns import Turn, anthropic_turns
from llm_sync.simulator.dialects.anthropic import batches, checks
from llm_sync.simulator.dialects.anthropic.documents import check_cache_marks, check_documents
from llm_sync.simulator.dialects.anthropic.messages import read_messages, read_system
from llm_sync.simulator.dialects.anthropic.reply import headers, message, thinking_text
from llm_sync.simulator.dialects.anthropic.tool_turns import check_tool_turns
from llm_sync.simulator.dialects.base import Call, Dialect, random_id
from llm_sync.simulator.dialects.model_catalogue import is_unknown_model, model_limits
from llm_sync.simulator.faults.error_table import ANTHROPIC_TYPES
from llm_sync.simulator.server.response import ListedError, RequestRefused, Response

COUNT_PATH = "/v1/messages/count_tokens"
_COUNTED = frozenset({"model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control"})
_VERSIONS = ("2023-01-01", "2023-06-01")
_FIRST_NEWER = "2026-10-21"  # the first of the newer versions that the official client sends


class Anthropic(Dialect):
    """Anthropic's API. The base URL has no ``/v1``; keys are in ``x-api-key``."""

    name = "anthropic"
    provider = "anthropic"

    def turns(self, call: Call) -> list[Turn]:
        """The turns of ``system`` and ``messages``."""
        return anthropic_turns(call.payload)

    def key_of(self, call: Call) -> str | None:
        """The key in x-api-key, or an OAuth token."""
        return call.headers.get("x-api-key") or super().key_of(call)

    def reply(self, call: Call) -> Response:
        """Answers, or raises RequestRefused; checks path and key first, as the provider does."""
        is_job = call.jobs is not None and call.job_call not in ("", "line")
        if call.path not in ("/v1/messages", COUNT_PATH, "/v1/models") and not call.path.startswith("/v1/models/") and not is_job:
            self.refuse("Not found", 404)
        key = self.key_of(call)
        if key is None:
            self.refuse("x-api-key header is required", 401)
        if not call.accepts(key):
            raise ListedError("auth")
        version = call.headers.get("anthropic-version")
        if not version:
            self.refuse("anthropic-version: header is required")
        if version not in _VERSIONS and not is_newer(version):
            self.refuse(f"anthropic-version: {version[:40]!r} is not a valid version")
        if is_job and call.jobs is not None:
            with call.jobs.lock:
                return batches.reply(call, self, call.jobs, self.refuse)
        if call.path in ("/v1/messages", COUNT_PATH) and call.method != "POST":
            self.refuse("Method Not Allowed", 405)
        if call.path == COUNT_PATH:
            return self._count(call)
        if call.path == "/v1/messages":
            return _with_tier(self._messages(call), "batch" if call.job_call == "line" else call.served_tier or "standard")
        if call.method != "GET":
            self.refuse("Method Not Allowed", 405)
        return self._models(call)

    def job_call(self, call: Call) -> str:
        """Calls under /v1/messages/batches."""
        return batches.job_call(call.method, call.path)

    def model_of(self, call: Call) -> str:
        """The model of a request; of a batch, the one of its first request."""
        if call.job_call != "create" or not isinstance(call.payload, dict):
            return super().model_of(call)
        requests = call.payload.get("requests")
        first = requests[0] if isinstance(requests, list) and requests else None
        params = first.get("params") if isinstance(first, dict) else None
        model = params.get("model") if isinstance(params, dict) else None
        return model if isinstance(model, str) else ""

    def refuse_stream(self, call: Call) -> NoReturn:
        """Raises RequestRefused; the message names the part that asks for a stream."""
        self.refuse(f"The simulator never streams and defers nothing: {call.stream} asked for it.")

    def refuse(self, message: str, status: int = 400) -> NoReturn:
        """Raises RequestRefused with an error in Anthropic's form."""
        raise RequestRefused(self.error(status, message))

    def error(self, status: int, message: str) -> Response:
        """An error in Anthropic's form."""
        request_id = random_id("req_", 24)
        kind = ANTHROPIC_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
        body = {"type": "error", "error": {"type": kind, "message": message, "details": None}, "request_id": request_id}
        retry = "true" if status == 429 or status >= 500 else "false"
        return Response(
            status, body, (("content-type", "application/json"), ("request-id", request_id), ("x-should-retry", retry))
        )

    def _count(self, call: Call) -> Response:
        """The tokens of a request, which costs nothing and takes none of what only concerns the answer."""
        payload = self._payload(call)
        for name in payload:
            if name not in _COUNTED:
                self.refuse(f"{name}: Extra inputs are not permitted")
        limits = model_limits("anthropic", call.model)
        whole = {**payload, "max_tokens": limits.output if limits else 4096}
        _, prompt = self._read(dataclasses.replace(call, payload=whole))
        return Response(200, {"input_tokens": prompt}, headers(0, 0))

    def _payload(self, call: Call) -> dict[str, Any]:
        if call.json_problem:
            self.refuse(f"The request body is not valid JSON: {call.json_problem}")
        if not isinstance(call.payload, dict):
            self.refuse("Input should be a valid dictionary")
        return call.payload

    def _messages(self, call: Call) -> Response:
        payload = self._payload(call)
        replayed = self.replayed(call)
        if replayed:
            return self._message({}, call.model, generate_answer(replayed), replayed.prompt_tokens())
        parsed, prompt = self._read(call)
        if parsed.reasoning_tokens:
            parsed.reasoning_tokens = count_tokens(thinking_text(parsed.must_call_tool)) + request_digest(parsed) % 40
        parsed.canned = self.canned(call)
        return self._message(payload, call.model, generate_answer(parsed), prompt)

    def _read(self, call: Call) -> tuple[ParsedRequest, int]:
        """The checked request, and the tokens of its prompt."""
        payload = call.payload
        betas = call.headers.get("anthropic-beta", "")
        checks.check_keys(payload, betas, self.refuse)
        if is_unknown_model("anthropic", call.model):
            raise ListedError("not_found")
        checks.check_numbers(payload, call.model, self.refuse)
        system, tokens = read_system(payload.get("system"), self.refuse)
        turns, prompt = read_messages(payload["messages"], call.model, betas, self.refuse)
        parsed = ParsedRequest("anthropic", call.model, [*system, *turns], (call.seed, None), max_tokens=payload["max_tokens"])
        parsed.stop_sequences = tuple(payload.get("stop_sequences") or ())
        checks.read_tools(payload, parsed, self.refuse)
        checks.read_thinking(payload, parsed, self.refuse)
        check_tool_turns(payload, call.model, self.refuse)
        check_cache_marks(payload, self.refuse)
        check_documents(payload, self.refuse)
        checks.read_output(payload, parsed, self.refuse)
        prompt += 7 + tokens + count_json_tokens(payload.get("tools")) + count_json_tokens(payload.get("output_config"))
        limits = model_limits("anthropic", call.model)
        if limits and prompt > limits.window:
            raise ListedError("context", requested=prompt, window=limits.window)
        return parsed, prompt

    def _message(self, payload: Mapping[str, Any], model: str, answer: Answer, prompt: int) -> Response:
        body, tokens = message(payload, model, answer, prompt, checks.has_cache_control(payload))
        return Response(200, body, headers(*tokens), tokens)

    def _models(self, call: Call) -> Response:
        """``limit`` 1 to 1000 (20), ``after_id`` or ``before_id``; ``has_more`` says whether another page follows."""
        names = list(call.models)
        wanted = call.path[len("/v1/models/") :]
        if wanted:
            if wanted not in names:
                raise ListedError("not_found", model=wanted)
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
                raise ListedError("not_found", model=cursor)
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


def _with_tier(response: Response, tier: str) -> Response:
    """The response, with the tier that served it."""
    response.body["usage"]["service_tier"] = tier
    return response._replace(tier="default" if tier == "standard" else tier)


def is_newer(version: str) -> bool:
    """Whether this is one of the newer versions, which the official client sends now."""
    return bool(re.fullmatch(r"20\d\d-[01]\d-[0-3]\d", version)) and version >= _FIRST_NEWER


def _item(name: str, call: Call) -> Mapping[str, Any]:
    limits = model_limits("anthropic", name)
    created = time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime(1_710_000_000 + zlib.crc32(name.encode()) % 60_000_000))
    item: dict[str, Any] = {"type": "model", "id": name, "display_name": name.replace("-", " ").title(), "created_at": created}
    if limits:
        item |= {"max_input_tokens": limits.window, "max_tokens": limits.output}
    if is_newer(call.headers.get("anthropic-version", "")):
        line = next((word for word in ("opus", "sonnet", "haiku", "fable", "mythos") if word in name), None)
        item |= {"lifecycle": "active", "line": line, "deprecated_at": None, "retires_at": None, "capabilities": None}
    return item
