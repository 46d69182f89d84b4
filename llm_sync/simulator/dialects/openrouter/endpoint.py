"""OpenRouter's endpoints: OpenAI's form, with its own errors, usage and leading white space. Ignores unknown fields."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any, NoReturn

from llm_sync.simulator.answers.generated import Answer, ParsedRequest, generate_answer, request_digest
from llm_sync.simulator.answers.tokens import count_json_tokens
from llm_sync.simulator.answers.turns import Turn, chat_turns
from llm_sync.simulator.dialects.base import Call, Dialect, random_id
from llm_sync.simulator.dialects.embeddings import openai as embeddings
from llm_sync.simulator.dialects.model_catalogue import ModelLimits, is_unknown_model, model_limits
from llm_sync.simulator.dialects.openai import checks
from llm_sync.simulator.dialects.openai.messages import read_messages
from llm_sync.simulator.dialects.openai.tool_turns import check_tool_turns
from llm_sync.simulator.dialects.openai.tools import read_schema, read_tools
from llm_sync.simulator.dialects.openrouter.reply import PRICES, completion, upstream_of, with_leading_whitespace
from llm_sync.simulator.server.response import ListedError, RequestRefused, Response

_MIN_OUTPUT = 16  # for upstream models that OpenRouter calls through OpenAI's Responses API


class OpenRouter(Dialect):
    """``POST /chat/completions``, and ``GET /models``, which needs no key."""

    name = "openrouter"
    provider = "openrouter"

    def turns(self, call: Call) -> list[Turn]:
        """The turns of ``messages``."""
        return chat_turns(call.payload)

    def reply(self, call: Call) -> Response:
        """Answers, or raises RequestRefused; checks path and key first, as the provider does."""
        if call.path == "/models" and call.method == "GET":
            return self._models(call)
        if call.path not in ("/chat/completions", "/key", embeddings.PATH):
            self.refuse("Not Found", status=404)
        key = self.key_of(call)
        if key is None:
            self.refuse("Missing Authentication header", status=401)
        if not call.accepts(key):
            raise ListedError("auth")
        if call.path == "/key" and call.method == "GET":
            return Response(
                200, {"data": {"label": "simulated", "limit": None, "usage": 0, "is_free_tier": False}}, self._headers("")
            )
        if call.method != "POST":
            self.refuse("Method Not Allowed", status=405)
        if call.json_problem or not isinstance(call.payload, dict):
            self.refuse(f"Invalid JSON in the request body: {call.json_problem or 'it is not an object'}")
        if call.path == embeddings.PATH:
            body, tokens = embeddings.embed_by_openrouter(call, self.refuse, upstream_of(call.model))
            return Response(200, body, self._headers(""), tokens)
        return self._chat(call)

    def refuse_stream(self, call: Call) -> NoReturn:
        """Raises RequestRefused; the message names the part that asks for a stream."""
        self.refuse(f"The simulator never streams and defers nothing: {call.stream} asked for it.")

    def refuse(self, message: str, *, status: int = 400, metadata: Any = None, **_openai_details: str | None) -> NoReturn:
        """Raises RequestRefused with an error in OpenRouter's form, which has no place for OpenAI's ``param`` and ``code``."""
        raise RequestRefused(self.error(status, message, metadata))

    def error(self, status: int, message: str, metadata: Any = None) -> Response:
        """An error in OpenRouter's form."""
        error = {"message": message, "code": status}
        if metadata is not None:
            error["metadata"] = metadata
        return Response(status, {"error": error, "user_id": "user_simulated"}, self._headers(""))

    def _refuse_upstream(self, model: str, param: str, reason: str, code: str) -> NoReturn:
        """Refuses with an upstream error, which OpenRouter passes on as text."""
        error = {"message": f"Invalid '{param}': {reason}", "type": "invalid_request_error", "param": param, "code": code}
        raw = json.dumps({"error": error}, indent=2)
        self.refuse("Provider returned error", metadata={"raw": raw, "provider_name": upstream_of(model)})

    def _chat(self, call: Call) -> Response:
        payload = call.payload
        replayed = self.replayed(call)
        if replayed:
            return self._completed({}, call.model, generate_answer(replayed), replayed.prompt_tokens())
        model = self._served_model(call)
        for name, low, high in (
            ("temperature", 0, 2),
            ("top_p", 0, 1),
            ("presence_penalty", -2, 2),
            ("frequency_penalty", -2, 2),
        ):
            checks.check_decimal(payload, name, low, high, self.refuse)
        for name in ("max_completion_tokens", "max_tokens"):
            checks.check_integer(payload, name, 1, None, self.refuse)
        checks.check_integer(payload, "seed", None, None, self.refuse)
        turns, prompt = read_messages(payload.get("messages"), "", self.refuse, lenient=True)
        check_tool_turns(payload["messages"], call.model, self.refuse)
        parsed = ParsedRequest("openrouter", model, turns, (call.seed, payload.get("seed")))
        parsed.max_tokens = payload.get("max_completion_tokens") or payload.get("max_tokens")
        if parsed.max_tokens is not None and parsed.max_tokens < _MIN_OUTPUT and model.startswith("openai/"):
            reason = f"integer below minimum value. Expected a value >= {_MIN_OUTPUT}, but got {parsed.max_tokens} instead."
            self._refuse_upstream(model, "max_output_tokens", reason, "integer_below_min_value")
        stop = payload.get("stop")
        stops = stop if isinstance(stop, list) else [stop]
        parsed.stop_sequences = tuple(entry for entry in stops if isinstance(entry, str) and entry)
        wanted = payload.get("response_format")
        if isinstance(wanted, dict) and wanted.get("type") == "json_schema" and isinstance(wanted.get("json_schema"), dict):
            read_schema(wanted["json_schema"], "response_format.json_schema", parsed, self.refuse, lenient=True)
        parsed.json_mode = isinstance(wanted, dict) and wanted.get("type") == "json_object"
        read_tools(payload, parsed, self.refuse, lenient=True)
        prompt += 3 + count_json_tokens(payload.get("tools")) + count_json_tokens(payload.get("response_format"))
        limits = model_limits("openrouter", model)
        if limits and prompt + (parsed.max_tokens or 0) > limits.window:
            raise ListedError("context", window=limits.window, requested=prompt + (parsed.max_tokens or 0))
        if self._reasons(call):
            parsed.reasoning_tokens = 24 * (1 + request_digest(parsed) % 3)
        parsed.canned = self.canned(call)
        return self._completed(call.payload, model, generate_answer(parsed), prompt)

    def _completed(self, payload: Mapping[str, Any], model: str, answer: Answer, prompt: int) -> Response:
        body, tokens = completion(payload, model, answer, prompt)
        return with_leading_whitespace(Response(200, body, self._headers(str(body["id"])), tokens), answer)

    def _served_model(self, call: Call) -> str:
        """The requested model, or the first known one of ``models``."""
        fallbacks = call.payload.get("models")
        alternatives = fallbacks if isinstance(fallbacks, list) else []
        names: list[str] = [name for name in (call.model, *alternatives) if isinstance(name, str) and name]
        if not names:
            self.refuse("No models provided")
        served = next((name for name in names if not is_unknown_model("openrouter", name)), None)
        if served is None:
            raise ListedError("not_found", model=names[0])
        return served

    def _reasons(self, call: Call) -> bool:
        settings = call.payload.get("reasoning")
        if isinstance(settings, dict):
            if settings.get("enabled") is False or settings.get("effort") == "none":
                return False
            if any(settings.get(key) for key in ("enabled", "effort", "max_tokens")):
                return True
        maker, _, name = call.model.partition("/")
        return (
            (maker == "openai" and checks.reasons(name, None)) or name.startswith(("gemini-2.5-pro", "gemini-3")) or "-r1" in name
        )

    def _headers(self, generation: str) -> tuple[tuple[str, str], ...]:
        headers = (("content-type", "application/json"), ("cf-ray", random_id("", 16)), ("x-content-type-options", "nosniff"))
        return (*headers, ("x-generation-id", generation)) if generation else headers

    def _models(self, call: Call) -> Response:
        """All models, or a page of them with ``offset`` and ``limit``."""
        names = list(call.models)
        try:
            offset, limit = int(call.query.get("offset", "0")), int(call.query.get("limit", "1000"))
        except ValueError:
            self.refuse("offset and limit are whole numbers")
        if offset < 0 or not 1 <= limit <= 1000:
            self.refuse("offset is 0 or more, limit is 1 to 1000")
        paged = "offset" in call.query or "limit" in call.query
        page = names[offset : offset + limit] if paged else names
        more = f"/api/v1/models?offset={offset + limit}&limit={limit}" if paged and offset + limit < len(names) else None
        body = {"data": [_item(name) for name in page], "total_count": len(names), "links": {"next": more}}
        return Response(200, body, self._headers(""))


def _item(name: str) -> dict[str, Any]:
    limits = model_limits("openrouter", name) or ModelLimits(128_000, 16_384)
    return {
        "id": name,
        "canonical_slug": name,
        "name": name.replace("/", ": "),
        "created": 1_700_000_000 + zlib.crc32(name.encode()) % 60_000_000,
        "description": "A simulated model.",
        "context_length": limits.window,
        "architecture": {
            "modality": "text->text",
            "input_modalities": ["text"],
            "output_modalities": ["text"],
            "tokenizer": "Other",
            "instruct_type": None,
        },
        "pricing": {"prompt": f"{PRICES[0]:.8f}", "completion": f"{PRICES[1]:.7f}"},
        "top_provider": {"context_length": limits.window, "max_completion_tokens": limits.output, "is_moderated": False},
        "per_request_limits": None,
        "supported_parameters": ["max_tokens", "response_format", "seed", "stop", "temperature", "tool_choice", "tools", "top_p"],
    }
