"""OpenRouter's door: OpenAI's shape, its own errors, usage and keep-alive blanks; what it does not know it ignores."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any, NoReturn

from llm_sync.simulator.answers.generated import Answer, Asked, answer, draw
from llm_sync.simulator.answers.tokens import weigh
from llm_sync.simulator.answers.turns import Turn, of_chat
from llm_sync.simulator.dialects.base import Call, Dialect, token
from llm_sync.simulator.dialects.model_catalogue import Limits, limits, unknown_model
from llm_sync.simulator.dialects.openai import checks
from llm_sync.simulator.dialects.openai.messages import read_messages
from llm_sync.simulator.dialects.openai.tools import read_schema, read_tools
from llm_sync.simulator.dialects.openrouter.reply import PRICES, completion, padded, upstream_of
from llm_sync.simulator.server.response import KnownError, Refusal, Response

_LEAST_OUTPUT = 16  # of upstreams that are asked through OpenAI's Responses API


class OpenRouter(Dialect):
    """``POST /chat/completions``, and ``GET /models``, which asks for no key."""

    name = "openrouter"
    provider = "openrouter"

    def turns(self, call: Call) -> list[Turn]:
        """As OpenAI's."""
        return of_chat(call.payload)

    def reply(self, call: Call) -> Response:
        """Answers, or raises Refusal: path and key first, as the provider does."""
        if call.path == "/models" and call.method == "GET":
            return self._models(call)
        if call.path not in ("/chat/completions", "/key"):
            self.refuse("Not Found", status=404)
        key = self.key_of(call)
        if key is None:
            self.refuse("Missing Authentication header", status=401)
        if not call.accepts(key):
            raise KnownError("auth")
        if call.path == "/key" and call.method == "GET":
            return Response(
                200, {"data": {"label": "simulated", "limit": None, "usage": 0, "is_free_tier": False}}, self._headers("")
            )
        if call.method != "POST":
            self.refuse("Method Not Allowed", status=405)
        if call.problem or not isinstance(call.payload, dict):
            self.refuse(f"Invalid JSON in the request body: {call.problem or 'it is not an object'}")
        return self._chat(call)

    def refuse_stream(self, call: Call) -> NoReturn:
        """Names the switch."""
        self.refuse(f"The simulator never streams and defers nothing: {call.stream} asked for it.")

    def refuse(self, message: str, *, status: int = 400, metadata: Any = None, **_said_by_openai: str | None) -> NoReturn:
        """Raises the Refusal in OpenRouter's shape, where what OpenAI's checks say beside the message has no place."""
        raise Refusal(self.error(status, message, metadata))

    def error(self, status: int, message: str, metadata: Any = None) -> Response:
        """An error that is about no parameter."""
        error = {"message": message, "code": status}
        if metadata is not None:
            error["metadata"] = metadata
        return Response(status, {"error": error, "user_id": "user_simulated"}, self._headers(""))

    def _refuse_upstream(self, model: str, param: str, said: str, code: str) -> NoReturn:
        """What the upstream refused, handed on as a text."""
        error = {"message": f"Invalid '{param}': {said}", "type": "invalid_request_error", "param": param, "code": code}
        raw = json.dumps({"error": error}, indent=2)
        self.refuse("Provider returned error", metadata={"raw": raw, "provider_name": upstream_of(model)})

    def _chat(self, call: Call) -> Response:
        payload = call.payload
        again = self.recalled(call)
        if again:
            return self._completed({}, call.model, answer(again), again.weight())
        model = self._served(call)
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
        asked = Asked("openrouter", model, turns, (call.seed, payload.get("seed")))
        asked.limit = payload.get("max_completion_tokens") or payload.get("max_tokens")
        if asked.limit is not None and asked.limit < _LEAST_OUTPUT and model.startswith("openai/"):
            said = f"integer below minimum value. Expected a value >= {_LEAST_OUTPUT}, but got {asked.limit} instead."
            self._refuse_upstream(model, "max_output_tokens", said, "integer_below_min_value")
        stop = payload.get("stop")
        stops = stop if isinstance(stop, list) else [stop]
        asked.stops = tuple(entry for entry in stops if isinstance(entry, str) and entry)
        wanted = payload.get("response_format")
        if isinstance(wanted, dict) and wanted.get("type") == "json_schema" and isinstance(wanted.get("json_schema"), dict):
            read_schema(wanted["json_schema"], "response_format.json_schema", asked, self.refuse, lenient=True)
        asked.any_json = isinstance(wanted, dict) and wanted.get("type") == "json_object"
        read_tools(payload, asked, self.refuse, lenient=True)
        prompt += 3 + weigh(payload.get("tools")) + weigh(payload.get("response_format"))
        most = limits("openrouter", model)
        if most and prompt + (asked.limit or 0) > most.window:
            raise KnownError("context", window=most.window, asked=prompt + (asked.limit or 0))
        if self._reasons(call):
            asked.reasoning = 24 * (1 + draw(asked) % 3)
        asked.given = self.told(call)
        return self._completed(call.payload, model, answer(asked), prompt)

    def _completed(self, payload: Mapping[str, Any], model: str, found: Answer, prompt: int) -> Response:
        body, tokens = completion(payload, model, found, prompt)
        return padded(Response(200, body, self._headers(str(body["id"])), tokens), found)

    def _served(self, call: Call) -> str:
        """The model, or the first of ``models`` that there is."""
        fallbacks = call.payload.get("models")
        further = fallbacks if isinstance(fallbacks, list) else []
        names: list[str] = [name for name in (call.model, *further) if isinstance(name, str) and name]
        if not names:
            self.refuse("No models provided")
        found = next((name for name in names if not unknown_model("openrouter", name)), None)
        if found is None:
            raise KnownError("not_found", model=names[0])
        return found

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
        headers = (("content-type", "application/json"), ("cf-ray", token("", 16)), ("x-content-type-options", "nosniff"))
        return (*headers, ("x-generation-id", generation)) if generation else headers

    def _models(self, call: Call) -> Response:
        """The whole list, or ``offset`` and ``limit`` of it."""
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
    most = limits("openrouter", name) or Limits(128_000, 16_384)
    return {
        "id": name,
        "canonical_slug": name,
        "name": name.replace("/", ": "),
        "created": 1_700_000_000 + zlib.crc32(name.encode()) % 60_000_000,
        "description": "A simulated model.",
        "context_length": most.window,
        "architecture": {
            "modality": "text->text",
            "input_modalities": ["text"],
            "output_modalities": ["text"],
            "tokenizer": "Other",
            "instruct_type": None,
        },
        "pricing": {"prompt": f"{PRICES[0]:.8f}", "completion": f"{PRICES[1]:.7f}"},
        "top_provider": {"context_length": most.window, "max_completion_tokens": most.output, "is_moderated": False},
        "per_request_limits": None,
        "supported_parameters": ["max_tokens", "response_format", "seed", "stop", "temperature", "tool_choice", "tools", "top_p"],
    }
