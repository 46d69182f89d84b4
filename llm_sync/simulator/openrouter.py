"""OpenRouter's door: OpenAI's shape, its own errors, usage and keep-alive blanks; what it does not know it ignores."""

from __future__ import annotations

import time
import zlib
from typing import Any, NoReturn

from llm_sync.simulator import openai_checks as checks
from llm_sync.simulator.answers import Answer, Asked, answer, weigh
from llm_sync.simulator.catalogue import Limits, limits
from llm_sync.simulator.dialect import Call, Dialect, Refusal, Response, token, unknown_model
from llm_sync.simulator.openai_messages import read_messages
from llm_sync.simulator.openai_tools import read_schema, read_tools

_BLANKS = b"\n         \n"  # sent while the real service waits for its upstream: nearly every body begins with some
_PRICES = (0.00000015, 0.0000006)  # USD per token, input and output
_UPSTREAMS = {"openai": "OpenAI", "anthropic": "Anthropic", "google": "Google", "deepseek": "DeepSeek", "mistralai": "Mistral"}
_NATIVE = {
    "anthropic": {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"},
    "google": {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP"},
}


class OpenRouter(Dialect):
    """``POST /chat/completions``, and ``GET /models``, which asks for no key."""

    name = "openrouter"
    provider = "openrouter"

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
            self.refuse("No cookie auth credentials found", status=401)
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

    def _chat(self, call: Call) -> Response:
        payload = call.payload
        if not call.model:
            self.refuse("No models provided")
        if unknown_model(call.model):
            self.refuse(f"No endpoints found for {call.model}.", status=404, metadata={"error_type": "not_found"})
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
        turns, prompt = read_messages(payload.get("messages"), "", self.refuse)
        asked = Asked("openrouter", call.model, turns, (call.seed, payload.get("seed")))
        asked.limit = payload.get("max_completion_tokens") or payload.get("max_tokens")
        stop = payload.get("stop")
        stops = stop if isinstance(stop, list) else [stop]
        asked.stops = tuple(entry for entry in stops if isinstance(entry, str) and entry)
        wanted = payload.get("response_format")
        if isinstance(wanted, dict) and wanted.get("type") == "json_schema" and isinstance(wanted.get("json_schema"), dict):
            read_schema(wanted["json_schema"], "response_format.json_schema", asked, self.refuse)
        asked.any_json = isinstance(wanted, dict) and wanted.get("type") == "json_object"
        read_tools(payload, asked, self.refuse)
        prompt += 3 + weigh(payload.get("tools")) + weigh(payload.get("response_format"))
        most = limits("openrouter", call.model)
        if most and prompt + (asked.limit or 0) > most.window:
            self.refuse(
                f"This endpoint's maximum context length is {most.window} tokens. "
                f"However, you requested about {prompt + (asked.limit or 0)} tokens.",
                metadata={"error_type": "context_length_exceeded"},
            )
        found = answer(asked)
        if self._reasons(call):
            asked.reasoning = 24 * (1 + found.number % 3)
            found = answer(asked)
        return self._completion(call, found, prompt)

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

    def _completion(self, call: Call, found: Answer, prompt: int) -> Response:
        maker = call.model.partition("/")[0]
        finish = "length" if found.cut else "tool_calls" if found.tool else "stop"
        message: dict[str, Any] = {"role": "assistant", "content": found.text, "refusal": None, "reasoning": None}
        settings = call.payload.get("reasoning")
        if found.reasoning and not (isinstance(settings, dict) and settings.get("exclude")):
            message["reasoning"] = "A short answer that names the prompt will do."
            detail = {"type": "reasoning.text", "text": message["reasoning"], "format": "unknown", "index": 0}
            message["reasoning_details"] = [detail]
        if found.tool and (found.raw_arguments or not found.cut):
            function = {"name": found.tool, "arguments": found.raw_arguments}
            message["tool_calls"] = [{"id": token("call_", 24), "index": 0, "type": "function", "function": function}]
        output = found.tokens + found.reasoning
        costs = prompt * _PRICES[0], output * _PRICES[1]
        now = int(time.time())
        body = {
            "id": token(f"gen-{now}-", 20),
            "provider": _UPSTREAMS.get(maker, "Simulated"),
            "model": call.model,
            "object": "chat.completion",
            "created": now,
            "choices": [
                {
                    "logprobs": None,
                    "finish_reason": finish,
                    "native_finish_reason": _NATIVE.get(maker, {}).get(finish, finish),
                    "index": 0,
                    "message": message,
                }
            ],
            "system_fingerprint": None,
            "usage": {
                "prompt_tokens": prompt,
                "completion_tokens": output,
                "total_tokens": prompt + output,
                "cost": sum(costs),
                "is_byok": False,
                "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                "cost_details": {
                    "upstream_inference_cost": None,
                    "upstream_inference_prompt_cost": costs[0],
                    "upstream_inference_completions_cost": costs[1],
                },
                "completion_tokens_details": {"reasoning_tokens": found.reasoning, "image_tokens": 0},
            },
        }
        answered = Response(200, body, self._headers(str(body["id"])), (prompt, output))
        return answered._replace(body=_BLANKS * (1 + found.number % 4) + answered.content())

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
        "pricing": {"prompt": f"{_PRICES[0]:.8f}", "completion": f"{_PRICES[1]:.7f}"},
        "top_provider": {"context_length": most.window, "max_completion_tokens": most.output, "is_moderated": False},
        "per_request_limits": None,
        "supported_parameters": ["max_tokens", "response_format", "seed", "stop", "temperature", "tool_choice", "tools", "top_p"],
    }
