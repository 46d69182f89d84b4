"""Google Cloud's Vertex AI: Gemini, and Anthropic's models by ``rawPredict``, with project and location in the path."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from typing import Any

from llm_sync.simulator.dialects.anthropic.endpoint import COUNT_PATH, Anthropic, is_newer
from llm_sync.simulator.dialects.base import Call, bearer_token
from llm_sync.simulator.dialects.gemini.endpoint import HEADERS, Gemini
from llm_sync.simulator.dialects.model_catalogue import is_unknown_model
from llm_sync.simulator.server.http1 import HTTPRequest
from llm_sync.simulator.server.response import Response

PATH = re.compile(r"/(?:v1|v1beta1)(?:/projects/[^/]+/locations/[^/]+)?/publishers/(google|anthropic)(/models.*)")
_ANTHROPIC_VERSION = "vertex-2023-10-16"


class Vertex(Gemini):
    """Gemini with an access token, or with a key if the path has no project."""

    _on_cloud = True

    def parse(self, request: HTTPRequest, path: str, seed: int, accepts: Callable[[str], bool], models: Sequence[str]) -> Call:
        """Removes everything before ``/models`` from the path."""
        match = PATH.fullmatch(path)
        return super().parse(request, match[2] if match else path, seed, accepts, models)

    def key_of(self, call: Call) -> str | None:
        """The access token, or the key."""
        return bearer_token(call.headers) or super().key_of(call)

    def error(self, status: int, message: str, details: list[Any] | None = None) -> Response:
        """Like Gemini's, always with details."""
        response = super().error(status, message, details)
        response.body["error"].setdefault("details", [])
        return response

    def _authenticate(self, call: Call) -> None:
        if not call.accepts(self.key_of(call) or ""):
            message = "Request had invalid authentication credentials. Expected OAuth 2 access token or other valid credential."
            self.refuse(message, 401)

    def _generate(self, call: Call) -> Response:
        if is_unknown_model("gemini", call.model):
            self.refuse(f"Publisher Model `publishers/google/models/{call.model}` not found.", 404)
        response = super()._generate(call)
        body = {**response.body, "createTime": time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())}
        body["usageMetadata"] = {**body["usageMetadata"], "trafficType": "ON_DEMAND"}
        body["usageMetadata"].pop("serviceTier", None)
        return response._replace(body=body, headers=HEADERS)

    def _models(self, call: Call) -> Response:
        listed = super()._models(call)
        names = [item["name"] for item in listed.body.get("models", [])]
        body: dict[str, Any] = {
            "publisherModels": [{"name": f"publishers/google/{name}", "versionId": "default"} for name in names]
        }
        if "nextPageToken" in listed.body:
            body["nextPageToken"] = listed.body["nextPageToken"]
        return Response(200, body, HEADERS)


class VertexAnthropic(Anthropic):
    """Anthropic's Messages with the model in the path and the version in the body."""

    def parse(self, request: HTTPRequest, path: str, seed: int, accepts: Callable[[str], bool], models: Sequence[str]) -> Call:
        """Takes the model from a path that ends in ``:rawPredict``, the only verb that does not stream."""
        call = super().parse(request, path, seed, accepts, models)
        match = PATH.fullmatch(path)
        name, _, verb = (match[2] if match else "").removeprefix("/models/").rpartition(":")
        if verb == "rawPredict":
            call.path, call.model = "/v1/messages", name.replace("@", "-")
        if verb == "rawPredict" and name == "count-tokens":  # its model is in the body
            call.path, call.model = COUNT_PATH, self.model_of(call)
        return call

    def key_of(self, call: Call) -> str | None:
        """The access token."""
        return bearer_token(call.headers)

    def reply(self, call: Call) -> Response:
        """Checks the version in the body, then answers as Anthropic."""
        if call.path in ("/v1/messages", COUNT_PATH) and isinstance(call.payload, dict):
            version = call.payload.get("anthropic_version")
            if version != _ANTHROPIC_VERSION and not (isinstance(version, str) and is_newer(version)):
                self.refuse(f"anthropic_version: Input should be '{_ANTHROPIC_VERSION}'")
            if "model" in call.payload and call.path != COUNT_PATH:
                self.refuse("model: Extra inputs are not permitted")
            rest = {name: value for name, value in call.payload.items() if name != "anthropic_version"}
            call.payload = {"model": call.model, **rest}
            call.headers = {**call.headers, "anthropic-version": "2023-06-01" if version == _ANTHROPIC_VERSION else version}
        return super().reply(call)
