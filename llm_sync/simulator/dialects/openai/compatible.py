"""The OpenAI-compatible endpoints of Google and Anthropic, with their differences from OpenAI."""

from __future__ import annotations

from typing import Any

from llm_sync.simulator.dialects.base import Call
from llm_sync.simulator.dialects.embeddings import openai as embeddings
from llm_sync.simulator.dialects.openai.chat_completions import KEYS
from llm_sync.simulator.dialects.openai.endpoint import OpenAI
from llm_sync.simulator.faults.error_table import GEMINI_STATUSES
from llm_sync.simulator.server.response import JSON_TYPE, Response

_OMITTED = ("refusal", "annotations")


class Compatible(OpenAI):
    """Chat completions and the model listing, with a bearer key; no Responses API."""

    _paths: tuple[str, ...] = ("/chat/completions", "/models")

    def reply(self, call: Call) -> Response:
        """Answers as OpenAI, without the fields that only OpenAI sends."""
        if call.path not in self._paths:
            self.refuse(f"Invalid URL ({call.method} {call.path})", status=404)
        response = super().reply(call)
        return self._reduce(response) if response.status == 200 and call.path == "/chat/completions" else response

    def _reduce(self, response: Response) -> Response:
        body: dict[str, Any] = {name: response.body[name] for name in ("id", "object", "created", "model", "choices")}
        body["choices"] = [_reduce_choice(choice) for choice in body["choices"]]
        usage = response.body["usage"]
        body["usage"] = {name: usage[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
        return response._replace(body=body, headers=JSON_TYPE)


class GeminiCompatible(Compatible):
    """Google's, under ``/v1beta/openai``: an error is Google's, in a list."""

    provider = "gemini"
    _paths = ("/chat/completions", "/models", embeddings.PATH)

    def _embed(self, call: Call) -> embeddings.Reply:
        return embeddings.embed(call, self.refuse, max_texts=100, provider=self.provider)

    def _error(self, status: int, message: str, param: str | None, code: str | None, _kind: str = "") -> Response:
        if code == "unknown_parameter":
            message = f'Invalid JSON payload received. Unknown name "{param}": Cannot find field.'
        word = GEMINI_STATUSES.get(status, "INTERNAL" if status >= 500 else "INVALID_ARGUMENT")
        return Response(status, [{"error": {"code": status, "message": message, "status": word}}], JSON_TYPE)

    def _models(self, call: Call) -> Response:
        items = [{"id": f"models/{name}", "object": "model", "owned_by": "google"} for name in call.models]
        return Response(200, {"object": "list", "data": items})


class AnthropicCompatible(Compatible):
    """Anthropic's, under ``/v1``: ignores unknown fields, and the limits of OpenAI's models."""

    provider = "anthropic"

    def reply(self, call: Call) -> Response:
        """Drops unknown fields, then answers as OpenAI."""
        if isinstance(call.payload, dict):
            call.payload = {name: value for name, value in call.payload.items() if name in KEYS}
        return super().reply(call)


def _reduce_choice(choice: dict[str, Any]) -> dict[str, Any]:
    message = {name: value for name, value in choice["message"].items() if name not in _OMITTED}
    if message.get("tool_calls") and not message.get("content"):
        message.pop("content", None)
    return {"finish_reason": choice["finish_reason"], "index": choice["index"], "message": message}
