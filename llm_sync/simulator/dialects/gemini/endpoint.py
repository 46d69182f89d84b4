"""Gemini's endpoints: ``POST /models/MODEL:generateContent`` and ``:countTokens``, and the paged ``GET /models``."""

from __future__ import annotations

import base64
from typing import Any, NoReturn

from llm_sync.simulator.answers.generated import Answer, ParsedRequest, generate_answer, request_digest
from llm_sync.simulator.answers.tokens import count_json_tokens
from llm_sync.simulator.answers.turns import Turn, gemini_turns
from llm_sync.simulator.dialects.base import Call, Dialect
from llm_sync.simulator.dialects.embeddings import gemini as embeddings
from llm_sync.simulator.dialects.gemini import batches, checks, counts, files
from llm_sync.simulator.dialects.gemini.contents import read_contents
from llm_sync.simulator.dialects.gemini.job_calls import job_call
from llm_sync.simulator.dialects.gemini.reply import content
from llm_sync.simulator.dialects.gemini.tool_turns import check_tool_turns
from llm_sync.simulator.dialects.model_catalogue import ModelLimits, is_unknown_model, model_limits
from llm_sync.simulator.faults.error_table import GEMINI_STATUSES
from llm_sync.simulator.jobs.store import JobStore
from llm_sync.simulator.server.response import ListedError, RequestRefused, Response

HEADERS = (
    ("content-type", "application/json; charset=UTF-8"),
    ("server", "scaffolding on HTTPServer2"),
    ("server-timing", "gfet4t7; dur=12"),
    ("vary", "Origin, X-Origin, Referer"),
    ("x-content-type-options", "nosniff"),
)
_SUFFIX, _COUNT = ":generateContent", ":countTokens"
_PARAMETER_NAMES = """
    $.xgafv $alt $callback $fields $key $prettyPrint $quotaUser $userIp $userProject access_token alt callback fields key
    oauth_token prettyPrint quotaUser uploadType upload_protocol userIp
    """
_PARAMETERS = frozenset(_PARAMETER_NAMES.split())
_PAGING = frozenset({"pageSize", "page_size", "pageToken", "page_token"})
_NOT_FOUND_PAGE = (
    b"<!DOCTYPE html>\n<html lang=en>\n<title>Error 404 (Not Found)</title>\n<p>The requested URL was not found on this server.\n"
)


class Gemini(Dialect):
    """One version of the API; the base URL ends in its name. Keys are in ``x-goog-api-key``, or in the query."""

    name = "gemini"
    provider = "gemini"
    _on_cloud = False

    def __init__(self, version: str, prefix: str = "") -> None:
        self._version = version
        self._prefix = prefix  # upload or download, which stand before the version in a path

    def turns(self, call: Call) -> list[Turn]:
        """The turns of ``systemInstruction`` and ``contents``."""
        return gemini_turns(call.payload)

    def key_of(self, call: Call) -> str | None:
        """The key in x-goog-api-key or in the query."""
        return call.headers.get("x-goog-api-key") or call.query.get("key") or None

    def model_of(self, call: Call) -> str:
        """The model in the path, without a repeated ``models/``."""
        name, colon, _ = call.path.removeprefix("/models/").rpartition(":")
        return name.removeprefix("models/") if colon and call.path.startswith("/models/") else ""

    def reply(self, call: Call) -> Response:
        """Answers, or raises RequestRefused; checks path and key first, as the provider does."""
        if call.jobs is not None and call.job_call not in ("", "line"):
            if "upload_id" not in call.query:  # the URL of an upload is its own credential
                self._authenticate(call)
            with call.jobs.lock:
                return self._job(call, call.jobs)
        if call.path == "/models" or (call.path.startswith("/models/") and ":" not in call.path):
            wanted = "GET"
        elif call.path.startswith("/models/") and call.path.endswith((_SUFFIX, _COUNT, *embeddings.VERBS)):
            wanted = "POST"
        else:
            wanted = ""
        if call.method != wanted:  # Google's front end answers unknown routes with an HTML page
            raise RequestRefused(Response(404, _NOT_FOUND_PAGE, (("content-type", "text/html; charset=UTF-8"),)))
        self._authenticate(call)
        self._check_query(call)
        if call.path.endswith(_COUNT):
            return self._count(call)
        if call.path.endswith(embeddings.VERBS):
            return embeddings.embed(call, self.refuse, HEADERS, on_cloud=self._on_cloud)
        return self._generate(call) if wanted == "POST" else self._models(call)

    def job_call(self, call: Call) -> str:
        """Calls under /batches and /files, uploads and downloads, and the creation of a batch."""
        return job_call(self._prefix, call.method, call.path)

    def no_capacity(self, call: Call) -> Response | None:
        """Status 503 for the tier flex, whose requests are dropped first."""
        if _asked_tier(call) != "flex":
            return None
        return self.error(503, "The service is currently unavailable.")

    def _job(self, call: Call, jobs: JobStore) -> Response:
        """Answers a call to the API of batches or of files."""
        if call.job_call == "upload":
            return files.upload(call, self, jobs, self.refuse, HEADERS)
        if call.path.startswith("/files"):
            return files.reply(call, self, jobs, self.refuse, HEADERS)
        if call.job_call != "create":
            return Response(200, batches.reply(call, self, jobs, self.refuse), HEADERS)
        if call.json_problem:
            self.refuse(f"Invalid JSON payload received. {call.json_problem}")
        if is_unknown_model("gemini", call.model) or not checks.generates(call.model):
            raise ListedError("not_found", version=self._version)
        return Response(200, batches.create(call, self, jobs, self.refuse), HEADERS)

    def refuse_stream(self, call: Call) -> NoReturn:
        """Raises RequestRefused; the message names the part that asks for a stream."""
        self.refuse(f"The simulator never streams and defers nothing: {call.stream} asked for it.")

    def refuse(self, message: str, status: int = 400, details: list[Any] | None = None) -> NoReturn:
        """Raises RequestRefused with an error in the form of google.rpc.Status."""
        raise RequestRefused(self.error(status, message, details))

    def error(self, status: int, message: str, details: list[Any] | None = None) -> Response:
        """An error in the form of google.rpc.Status."""
        error: dict[str, Any] = {
            "code": status,
            "message": message,
            "status": GEMINI_STATUSES.get(status, "INTERNAL" if status >= 500 else "INVALID_ARGUMENT"),
        }
        if details:
            error["details"] = details
        return Response(status, {"error": error}, HEADERS)

    def _check_query(self, call: Call) -> None:
        """Refuses unknown query parameters; a form body counts as one."""
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
            raise ListedError("auth")

    def _check_payload(self, call: Call) -> None:
        if call.json_problem:
            self.refuse(f"Invalid JSON payload received. {call.json_problem}")
        if not isinstance(call.payload, dict):
            self.refuse('Invalid JSON payload received. Unknown name "": Root element must be a message.')

    def _count(self, call: Call) -> Response:
        """The tokens of a request, which costs nothing."""
        self._check_payload(call)
        if is_unknown_model("gemini", call.model):
            raise ListedError("not_found", version=self._version)
        body = {"totalTokens": counts.tokens(call, self.refuse, on_cloud=self._on_cloud)}
        return Response(200, {**body, "totalBillableCharacters": len(call.body)} if self._on_cloud else body, HEADERS)

    def _generate(self, call: Call) -> Response:
        self._check_payload(call)
        replayed = self.replayed(call)
        if replayed:
            return self._response(call, generate_answer(replayed), replayed.prompt_tokens(), False)
        if is_unknown_model("gemini", call.model) or not checks.generates(call.model):
            raise ListedError("not_found", version=self._version)
        request = checks.read_request(call.payload, call.model, self.refuse)
        turns, prompt = read_contents(request, self.refuse)
        check_tool_turns(call.payload, call.model, self.refuse)
        config = request["generation_config"]
        parsed = ParsedRequest(
            "gemini", call.model, turns, (call.seed, config.get("seed")), max_tokens=config.get("max_output_tokens")
        )
        parsed.stop_sequences = tuple(config.get("stop_sequences") or ())
        checks.read_format(config, parsed, self.refuse)
        checks.read_tools(request, parsed, self.refuse)
        prompt += count_json_tokens(call.payload.get("tools"))
        limits = model_limits("gemini", call.model)
        if limits and prompt > limits.window:
            raise ListedError("context", requested=prompt, window=limits.window)
        if checks.thinks(call.model, config.get("thinking_config") or {}):
            parsed.reasoning_tokens = 20 + request_digest(parsed) % 61
        parsed.canned = self.canned(call)
        return self._response(
            call, generate_answer(parsed), prompt, bool((config.get("thinking_config") or {}).get("include_thoughts"))
        )

    def _response(self, call: Call, answer: Answer, prompt: int, show_thoughts: bool) -> Response:
        body, tokens = content(
            call.model,
            answer,
            prompt,
            show_thoughts=show_thoughts,
            whole_numbers="enum-encoding=int" in call.query.get("$alt", ""),
        )
        tier = call.served_tier or ("standard" if call.job_call == "line" else _asked_tier(call))
        body["usageMetadata"]["serviceTier"] = tier
        billed = "default" if tier == "standard" else tier
        return Response(200, body, (*HEADERS, ("x-gemini-service-tier", tier)), tokens, tier=billed)

    def _models(self, call: Call) -> Response:
        """``pageSize`` (50, at most 1000) and ``pageToken``; the last page has no ``nextPageToken``."""
        names = list(call.models)
        wanted = call.path[len("/models/") :]
        if wanted:
            if wanted not in names:
                self.refuse(f"Model is not found: models/{wanted} for api version {self._version}", 404)
            return Response(200, _item(wanted), HEADERS)
        page_size = call.query.get("pageSize") or call.query.get("page_size") or "50"
        page_token = call.query.get("pageToken") or call.query.get("page_token")
        try:
            size = int(page_size) or 50
        except ValueError:
            self.refuse(f"Invalid value at 'page_size' (TYPE_INT32), \"{page_size[:40]}\"")
        if size < 0:
            self.refuse("* ListModelsRequest.page_size: page_size must not be negative")
        size = min(size, 1000)
        start = _page_start(page_token, len(names)) if page_token else 0
        if start is None:
            self.refuse("* ListModelsRequest.page_token: page_token is invalid")
        body: dict[str, Any] = {"models": [_item(name) for name in names[start : start + size]]}
        if start + size < len(names):
            body["nextPageToken"] = _page_token(start + size)
        return Response(200, body, HEADERS)


def _asked_tier(call: Call) -> str:
    """The service tier of a request, in lower case and without its prefix; standard unless another is asked for."""
    payload = call.payload if isinstance(call.payload, dict) else {}
    tier = payload.get("serviceTier") or payload.get("service_tier")
    word = tier.lower().removeprefix("service_tier_") if isinstance(tier, str) else ""
    return word if word in ("flex", "priority") else "standard"


def _page_token(start: int) -> str:
    return base64.urlsafe_b64encode(f"simulated:{start}".encode()).decode()


def _page_start(page_token: str, count: int) -> int | None:
    return next((start for start in range(count) if _page_token(start) == page_token), None)


def _item(name: str) -> dict[str, Any]:
    limits = model_limits("gemini", name) or ModelLimits(2_048, 1)
    item: dict[str, Any] = {
        "name": f"models/{name}",
        "version": "001",
        "displayName": name.replace("-", " ").title(),
        "description": "A simulated model.",
        "inputTokenLimit": limits.window,
        "outputTokenLimit": limits.output,
        "supportedGenerationMethods": checks.methods(name),
    }
    if checks.generates(name):
        item |= {"temperature": 1, "maxTemperature": 2, "topP": 0.95, "topK": 64}
        if checks.thinks(name, {}):
            item["thinking"] = True
    return item
