"""Gemini's door: ``POST /models/MODEL:generateContent`` and the paged ``GET /models``."""

from __future__ import annotations

import base64
from typing import Any, NoReturn

from llm_sync.simulator.answers.generated import Answer, Asked, answer, draw
from llm_sync.simulator.answers.tokens import weigh
from llm_sync.simulator.answers.turns import Turn, of_contents
from llm_sync.simulator.dialects.base import Call, Dialect
from llm_sync.simulator.dialects.gemini import checks
from llm_sync.simulator.dialects.gemini.contents import read_contents
from llm_sync.simulator.dialects.gemini.reply import content
from llm_sync.simulator.dialects.model_catalogue import Limits, limits, unknown_model
from llm_sync.simulator.faults.error_table import GEMINI_STATUSES
from llm_sync.simulator.server.response import KnownError, Refusal, Response

HEADERS = (
    ("content-type", "application/json; charset=UTF-8"),
    ("server", "scaffolding on HTTPServer2"),
    ("server-timing", "gfet4t7; dur=12"),
    ("vary", "Origin, X-Origin, Referer"),
    ("x-content-type-options", "nosniff"),
)
_SUFFIX = ":generateContent"
_PARAMETER_NAMES = """
    $.xgafv $alt $callback $fields $key $prettyPrint $quotaUser $userIp $userProject access_token alt callback fields key
    oauth_token prettyPrint quotaUser uploadType upload_protocol userIp
    """
_PARAMETERS = frozenset(_PARAMETER_NAMES.split())
_PAGING = frozenset({"pageSize", "page_size", "pageToken", "page_token"})
_NO_PAGE = (
    b"<!DOCTYPE html>\n<html lang=en>\n<title>Error 404 (Not Found)</title>\n<p>The requested URL was not found on this server.\n"
)


class Gemini(Dialect):
    """One version of the API, whose name ends the base URL; keys in ``x-goog-api-key`` (or, as the real one takes it, in the
    query).
    """

    name = "gemini"
    provider = "gemini"

    def __init__(self, version: str) -> None:
        self._version = version

    def turns(self, call: Call) -> list[Turn]:
        """System instruction and contents."""
        return of_contents(call.payload)

    def key_of(self, call: Call) -> str | None:
        """From x-goog-api-key or the query."""
        return call.headers.get("x-goog-api-key") or call.query.get("key") or None

    def model_of(self, call: Call) -> str:
        """From the path, with or without its second models/."""
        name, colon, _ = call.path.removeprefix("/models/").rpartition(":")
        return name.removeprefix("models/") if colon and call.path.startswith("/models/") else ""

    def reply(self, call: Call) -> Response:
        """Answers, or raises Refusal: path and key first, as the provider does."""
        if call.path == "/models" or (call.path.startswith("/models/") and ":" not in call.path):
            wanted = "GET"
        elif call.path.startswith("/models/") and call.path.endswith(_SUFFIX):
            wanted = "POST"
        else:
            wanted = ""
        if call.method != wanted:  # Google's front end knows no such route and answers with a page
            raise Refusal(Response(404, _NO_PAGE, (("content-type", "text/html; charset=UTF-8"),)))
        self._authenticate(call)
        self._check_query(call)
        return self._generate(call) if wanted == "POST" else self._models(call)

    def refuse_stream(self, call: Call) -> NoReturn:
        """Names the switch."""
        self.refuse(f"The simulator never streams and defers nothing: {call.stream} asked for it.")

    def refuse(self, message: str, status: int = 400, details: list[Any] | None = None) -> NoReturn:
        """Raises the Refusal in the shape of google.rpc.Status."""
        raise Refusal(self.error(status, message, details))

    def error(self, status: int, message: str, details: list[Any] | None = None) -> Response:
        """An error that is about no parameter."""
        error: dict[str, Any] = {
            "code": status,
            "message": message,
            "status": GEMINI_STATUSES.get(status, "INTERNAL" if status >= 500 else "INVALID_ARGUMENT"),
        }
        if details:
            error["details"] = details
        return Response(status, {"error": error}, HEADERS)

    def _check_query(self, call: Call) -> None:
        """Whatever stands in the query is bound to a field of the request, or is an error; a form's body stands there too."""
        known = _PARAMETERS if call.method == "POST" else _PARAMETERS | _PAGING
        names = [name for name in call.query if name not in known]
        if call.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            names.append("the body")
        for name in names:
            self.refuse(
                f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query parameter. '
                f"Field '{name}' could not be found in request message."
            )

    def _authenticate(self, call: Call) -> None:
        key = self.key_of(call)
        if key and call.headers.get("authorization"):
            self.refuse("Multiple authentication credentials received. Please pass only one.")
        if key is None:
            if call.headers.get("authorization"):
                self.refuse("Request had invalid authentication credentials. Expected OAuth 2 access token.", 401)
            self.refuse(
                "Method doesn't allow unregistered callers. Please use API Key or other form of API consumer identity.", 403
            )
        if not call.accepts(key):
            raise KnownError("auth")

    def _generate(self, call: Call) -> Response:
        if call.problem:
            self.refuse(f"Invalid JSON payload received. {call.problem}")
        if not isinstance(call.payload, dict):
            self.refuse('Invalid JSON payload received. Unknown name "": Root element must be a message.')
        again = self.recalled(call)
        if again:
            return self._response(call, answer(again), again.weight(), False)
        if unknown_model("gemini", call.model) or not checks.generates(call.model):
            raise KnownError("not_found", version=self._version)
        request = checks.read_request(call.payload, call.model, self.refuse)
        turns, prompt = read_contents(request, self.refuse)
        config = request["generation_config"]
        asked = Asked("gemini", call.model, turns, (call.seed, config.get("seed")), limit=config.get("max_output_tokens"))
        asked.stops = tuple(config.get("stop_sequences") or ())
        checks.read_format(config, asked, self.refuse)
        checks.read_tools(request, asked, self.refuse)
        prompt += weigh(call.payload.get("tools"))
        most = limits("gemini", call.model)
        if most and prompt > most.window:
            raise KnownError("context", asked=prompt, window=most.window)
        if checks.thinks(call.model, config.get("thinking_config") or {}):
            asked.reasoning = 20 + draw(asked) % 61
        asked.given = self.told(call)
        return self._response(call, answer(asked), prompt, bool((config.get("thinking_config") or {}).get("include_thoughts")))

    def _response(self, call: Call, found: Answer, prompt: int, show_thoughts: bool) -> Response:
        body, tokens = content(
            call.model,
            found,
            prompt,
            show_thoughts=show_thoughts,
            whole_numbers="enum-encoding=int" in call.query.get("$alt", ""),
        )
        return Response(200, body, (*HEADERS, ("x-gemini-service-tier", "standard")), tokens)

    def _models(self, call: Call) -> Response:
        """``pageSize`` (50, at most 1000) and ``pageToken``; the last page has no ``nextPageToken``."""
        names = list(call.models)
        wanted = call.path[len("/models/") :]
        if wanted:
            if wanted not in names:
                self.refuse(f"Model is not found: models/{wanted} for api version {self._version}", 404)
            return Response(200, _item(wanted), HEADERS)
        asked = call.query.get("pageSize") or call.query.get("page_size") or "50"
        page_token = call.query.get("pageToken") or call.query.get("page_token")
        try:
            size = int(asked) or 50
        except ValueError:
            self.refuse(f"Invalid value at 'page_size' (TYPE_INT32), \"{asked[:40]}\"")
        if size < 0:
            self.refuse("* ListModelsRequest.page_size: page_size must not be negative")
        size = min(size, 1000)
        start = _start(page_token, len(names)) if page_token else 0
        if start is None:
            self.refuse("* ListModelsRequest.page_token: page_token is invalid")
        body: dict[str, Any] = {"models": [_item(name) for name in names[start : start + size]]}
        if start + size < len(names):
            body["nextPageToken"] = _page_token(start + size)
        return Response(200, body, HEADERS)


def _page_token(start: int) -> str:
    return base64.urlsafe_b64encode(f"simulated:{start}".encode()).decode()


def _start(page_token: str, count: int) -> int | None:
    return next((start for start in range(count) if _page_token(start) == page_token), None)


def _item(name: str) -> dict[str, Any]:
    most = limits("gemini", name) or Limits(2_048, 1)
    item: dict[str, Any] = {
        "name": f"models/{name}",
        "version": "001",
        "displayName": name.replace("-", " ").title(),
        "description": "A simulated model.",
        "inputTokenLimit": most.window,
        "outputTokenLimit": most.output,
        "supportedGenerationMethods": checks.methods(name),
    }
    if checks.generates(name):
        item |= {"temperature": 1, "maxTemperature": 2, "topP": 0.95, "topK": 64}
        if checks.thinks(name, {}):
            item["thinking"] = True
    return item
