"""OpenAI's endpoints: authentication, errors, model listing, and the two APIs."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any, NoReturn

from llm_sync.simulator.answers import turns
from llm_sync.simulator.answers.generated import generate_answer
from llm_sync.simulator.dialects.base import Call, Dialect, random_id
from llm_sync.simulator.dialects.embeddings import openai as embeddings
from llm_sync.simulator.dialects.openai import background, chat_completions, deferred, files, responses, responses_output
from llm_sync.simulator.dialects.openai.batches import Batches, job_call
from llm_sync.simulator.dialects.openai.completion_body import TIERS, completion
from llm_sync.simulator.jobs.store import JobStore
from llm_sync.simulator.server.file_body import FileBody
from llm_sync.simulator.server.response import ListedError, RequestRefused, Response, with_headers

_COUNTED_NAMES = """
    conversation input instructions model parallel_tool_calls previous_response_id reasoning text tool_choice tools truncation
    """
_COUNTED = frozenset(_COUNTED_NAMES.split())
_LIMIT_REQUESTS, _LIMIT_TOKENS = 10_000, 2_000_000


class OpenAI(Dialect):
    """``/chat/completions``, ``/responses``, ``/responses/input_tokens``, ``/models`` and ``/models/ID`` under one base URL."""

    name = "openai"
    provider = "openai"

    def reply(self, call: Call) -> Response:
        """Answers, or raises RequestRefused; checks path and key first, as the provider does."""
        self._authenticate(call)
        if call.jobs is not None and call.job_call not in ("", "line"):
            return self._job(call, call.jobs)
        if call.path == "/models" or call.path.startswith("/models/"):
            return self._models(call)
        if call.path not in ("/chat/completions", "/responses", embeddings.PATH) and not self._counts(call):
            self.refuse(f"Invalid URL ({call.method} /v1{call.path})", status=404)
        if call.method != "POST":
            self.refuse(f"Not allowed to {call.method} on /v1{call.path}.", status=405, code="method_not_supported")
        self._check_json(call)
        if self._counts(call):
            return Response(200, {"object": "response.input_tokens", "input_tokens": self._count(call)}, _headers(0))
        if call.path == embeddings.PATH:
            body, tokens = self._embed(call)
            return Response(200, body, _headers(sum(tokens)), tokens)
        if call.deferred and call.jobs is not None:
            return self._defer(call, call.jobs)
        tier = call.served_tier or self.tier_of(call)
        body, tokens = self._respond(call) if call.path == "/responses" else self._complete(call)
        return Response(200, {**body, "service_tier": tier}, _headers(sum(tokens)), tokens, tier=tier)

    def job_call(self, call: Call) -> str:
        """Calls under /files, /batches and /responses/ID; a response that is to be made in the background."""
        if call.path == "/responses":
            wanted = isinstance(call.payload, dict) and call.payload.get("background") is True
            return "create" if call.method == "POST" and wanted else ""
        return job_call(call.method, call.path)

    def deferring_keys(self, call: Call) -> tuple[str, ...]:
        """The Responses API has background answers."""
        return ("background",) if call.path == "/responses" else ()

    def _job(self, call: Call, jobs: JobStore) -> Response:
        """Answers a call under /files, /batches or /responses."""
        if call.job_call == "create":
            self._check_json(call)
        with jobs.lock:
            if call.path == "/responses":
                return self._defer(call, jobs)
            if call.path.startswith("/responses/"):
                return Response(200, background.reply(call, self, jobs, self.refuse), _headers(0))
            if call.path.startswith("/batches"):
                return Response(200, self._batches().reply(call, jobs), _headers(0))
            body = files.reply(call, self, jobs, self.refuse)
        headers = files.content_headers(call.path) if isinstance(body, FileBody) else {}
        return Response(200, body, with_headers(_headers(0), headers))

    def _batches(self) -> Batches:
        return Batches(self, self.refuse)

    def tier_of(self, call: Call) -> str:
        """The service tier that serves a call."""
        asked = call.payload.get("service_tier")
        return TIERS.get(asked, "default") if isinstance(asked, str) else "default"

    def no_capacity(self, call: Call) -> Response | None:
        """Status 429 for the tier flex, which has no capacity at times."""
        if not isinstance(call.payload, dict) or call.payload.get("service_tier") != "flex":
            return None
        message = "Resource unavailable: there is no capacity for flex processing at the moment. Please try again later."
        return self._error(429, message, None, "resource_unavailable", "resource_unavailable")

    def _defer(self, call: Call, jobs: JobStore) -> Response:
        """Makes the answer later: a background response, or a completion that can be read once."""
        with jobs.lock:
            create = background.create if call.path == "/responses" else deferred.create
            return Response(200, create(call, self, jobs, self.refuse), _headers(0))

    def type_of(self, call: Call) -> str:
        """By the path: the Responses API has a type of its own."""
        return "openai-responses" if call.path == "/responses" else self.name

    def turns(self, call: Call) -> list[turns.Turn]:
        """The turns of either API."""
        return (turns.responses_turns if call.path == "/responses" else turns.chat_turns)(call.payload)

    def _complete(self, call: Call) -> tuple[dict[str, Any], tuple[int, int]]:
        replayed = self.replayed(call)
        if replayed:
            return completion({}, call.model, [generate_answer(replayed)], replayed.prompt_tokens())
        parsed, prompt = chat_completions.read(call, self.refuse)
        parsed.canned = self.canned(call)
        return completion(call.payload, call.model, chat_completions.generate_choices(parsed, call.payload), prompt)

    def _respond(self, call: Call) -> tuple[dict[str, Any], tuple[int, int]]:
        replayed = self.replayed(call)
        if replayed:
            return responses_output.response({}, call.model, generate_answer(replayed), replayed.prompt_tokens())
        parsed, prompt = responses.read(call, self.refuse)
        parsed.canned = self.canned(call)
        return responses_output.response(call.payload, call.model, generate_answer(parsed), prompt)

    def _counts(self, call: Call) -> bool:
        """Whether a call is to OpenAI's own counter of tokens, which those who imitate its API do not have."""
        return call.path == "/responses/input_tokens" and type(self) is OpenAI

    def _count(self, call: Call) -> int:
        """The tokens of a request to the Responses API, which costs nothing and takes none of what only concerns the answer."""
        for name in call.payload:
            if name not in _COUNTED:
                self.refuse(f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
        _, prompt = responses.read(call, self.refuse)
        return prompt

    def _embed(self, call: Call) -> embeddings.Reply:
        return embeddings.embed(call, self.refuse)

    def refuse_stream(self, call: Call) -> NoReturn:
        """Raises RequestRefused; the message names the part that asks for a stream."""
        self.refuse(
            f"The simulator never streams and defers nothing: {call.stream} asked for it.",
            param=call.stream,
            code="unsupported_value",
        )

    def refuse(self, message: str, *, param: str | None = None, code: str | None = None, status: int = 400) -> NoReturn:
        """Raises RequestRefused with an error in OpenAI's form."""
        raise RequestRefused(self._error(status, message, param, code))

    def error(self, status: int, message: str) -> Response:
        """An error in OpenAI's form that concerns no parameter."""
        return self._error(status, message, None, None, "server_error" if status >= 500 else "invalid_request_error")

    def _error(
        self, status: int, message: str, param: str | None, code: str | None, kind: str = "invalid_request_error"
    ) -> Response:
        body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
        return Response(status, body, (("content-type", "application/json"), ("x-request-id", random_id("req_", 32))))

    def _authenticate(self, call: Call) -> None:
        key = self.key_of(call)
        if key is None:
            self.refuse(
                "You didn't provide an API key. Send it in an Authorization header: Authorization: Bearer YOUR_KEY.", status=401
            )
        if not call.accepts(key):
            # the real message shows part of the key, too: clients have to redact it
            shown = f"{key[:8]}{'*' * min(len(key) - 12, 32)}{key[-4:]}" if len(key) > 12 else key
            raise ListedError("auth", key=shown)

    def _check_json(self, call: Call) -> None:
        self._check_content_type(call)
        if call.json_problem:
            self.refuse(f"We could not parse the JSON body of your request: {call.json_problem}.")
        if not isinstance(call.payload, dict):
            self.refuse("The JSON body of your request is not an object.")

    def _check_content_type(self, call: Call) -> None:
        """A Content-Type, if there is one, must be application/json."""
        content_type = call.headers.get("content-type", "application/json")
        if content_type.partition(";")[0].strip().lower() != "application/json":
            self.refuse(
                f"Unsupported content type: '{content_type}'. This API method only accepts 'application/json' requests, but you "
                f"specified the header 'Content-Type: {content_type}'. Please try again with a supported content type.",
                code="unsupported_content_type",
            )

    def _models(self, call: Call) -> Response:
        if call.method != "GET":
            self.refuse(f"Not allowed to {call.method} on /v1{call.path}.", status=405, code="method_not_supported")
        # the order of the real listing has no meaning; neither has the order of a checksum
        names = sorted(call.models, key=lambda name: zlib.crc32(name.encode()))
        wanted = call.path[len("/models/") :]
        if wanted and wanted not in names:
            self.refuse(f"The model '{wanted}' does not exist", param="model", code="model_not_found", status=404)
        if wanted:
            return Response(200, _item(wanted), _headers(0))
        return Response(200, {"object": "list", "data": [_item(name) for name in names]}, _headers(0))


def _item(name: str) -> Mapping[str, Any]:
    return {
        "id": name,
        "object": "model",
        "created": 1_700_000_000 + zlib.crc32(name.encode()) % 60_000_000,
        "owned_by": "system",
    }


def _headers(used: int) -> tuple[tuple[str, str], ...]:
    return (
        ("content-type", "application/json"),
        ("x-request-id", random_id("req_", 32)),
        ("openai-version", "2020-10-01"),
        ("openai-processing-ms", "12"),
        ("x-ratelimit-limit-requests", str(_LIMIT_REQUESTS)),
        ("x-ratelimit-limit-tokens", str(_LIMIT_TOKENS)),
        ("x-ratelimit-remaining-requests", str(_LIMIT_REQUESTS - 1)),
        ("x-ratelimit-remaining-tokens", str(max(0, _LIMIT_TOKENS - used))),
        ("x-ratelimit-reset-requests", "6ms"),
        ("x-ratelimit-reset-tokens", f"{used * 60_000 // _LIMIT_TOKENS}ms" if used > 50 else "0s"),
    )
