"""Azure OpenAI: the classic API, with the deployment in the path, and v1, which is OpenAI's with another key header."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from llm_sync.simulator.dialects.base import Call, bearer_token, random_id
from llm_sync.simulator.dialects.model_catalogue import is_unknown_model
from llm_sync.simulator.dialects.openai.endpoint import OpenAI
from llm_sync.simulator.server.http1 import HTTPRequest
from llm_sync.simulator.server.response import JSON_TYPE, RequestRefused, Response, with_headers

_PATHS = ("/chat/completions", "/embeddings")
_HARMLESS = {word: {"filtered": False, "severity": "safe"} for word in ("hate", "self_harm", "sexual", "violence")}


class Azure(OpenAI):
    """``/deployments/NAME/chat/completions?api-version=`` and ``/v1/…``; keys are in ``api-key``, or a bearer token."""

    def parse(self, request: HTTPRequest, path: str, seed: int, accepts: Callable[[str], bool], models: Sequence[str]) -> Call:
        """Takes the model from the deployment in the path, not from the body."""
        parts = path.split("/", 3)
        classic = len(parts) == 4 and parts[1] == "deployments" and bool(parts[2])
        inner = f"/{parts[3]}" if classic else path.removeprefix("/v1") if path.startswith("/v1/") else path
        call = super().parse(request, inner, seed, accepts, models)
        if classic:
            call.deployment = call.model = parts[2]
        elif inner == path:
            call.deployment = ""
        return call

    def key_of(self, call: Call) -> str | None:
        """The key in api-key, or an Entra token."""
        return call.headers.get("api-key") or bearer_token(call.headers)

    def reply(self, call: Call) -> Response:
        """Checks what is specific to Azure, then answers as OpenAI."""
        if call.deployment is not None:
            # without api-version there is no such route
            if not call.deployment or call.path not in _PATHS or not call.query.get("api-version"):
                self._refuse(404, "404", "Resource not found")
            self._authenticate(call)
            if isinstance(call.payload, dict):
                call.payload = {**call.payload, "model": call.deployment}
        if is_unknown_model("openai", call.model):
            self._refuse(404, "DeploymentNotFound", "The API deployment for this resource does not exist.")
        return _with_filter_results(super().reply(call))

    def _authenticate(self, call: Call) -> None:
        if not call.accepts(self.key_of(call) or ""):
            self._refuse(401, "401", "Access denied due to invalid subscription key or wrong API endpoint.")

    def _refuse(self, status: int, code: str, message: str) -> NoReturn:
        raise RequestRefused(Response(status, {"error": {"code": code, "message": message}}, _own_headers(JSON_TYPE)))


def _with_filter_results(response: Response) -> Response:
    """Adds the results of the content filters; rate limits reset in whole seconds."""
    body: Any = response.body
    if response.status == 200 and isinstance(body, dict) and body.get("choices"):
        choices = [{**choice, "content_filter_results": _HARMLESS} for choice in body["choices"]]
        prompts = [{"prompt_index": 0, "content_filter_results": _HARMLESS}]
        body = {**body, "choices": choices, "prompt_filter_results": prompts}
    resets = {name: "0" for name, _ in response.headers if name.startswith("x-ratelimit-reset")}
    return response._replace(body=body, headers=_own_headers(with_headers(response.headers, resets)))


def _own_headers(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    return (*headers, ("apim-request-id", random_id("", 32)), ("x-ms-region", "Simulated"))
