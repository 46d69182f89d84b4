"""Interactions: ``POST /interactions``, and ``/interactions/ID`` of those in the background, beside Gemini's other endpoints."""

from __future__ import annotations

from typing import Any, NoReturn

from llm_sync.simulator.answers.generated import ParsedRequest, generate_answer, request_digest
from llm_sync.simulator.answers.interactions_turns import interactions_turns
from llm_sync.simulator.answers.tokens import count_json_tokens
from llm_sync.simulator.answers.turns import Turn
from llm_sync.simulator.dialects.base import Call, Dialect
from llm_sync.simulator.dialects.gemini.checks import generates, thinks
from llm_sync.simulator.dialects.gemini.endpoint import HEADERS
from llm_sync.simulator.dialects.interactions import background, checks
from llm_sync.simulator.dialects.interactions.reply import interaction
from llm_sync.simulator.dialects.model_catalogue import is_unknown_model, model_limits
from llm_sync.simulator.faults.error_spellings_interactions import INTERACTIONS_CODES
from llm_sync.simulator.jobs.store import JobStore
from llm_sync.simulator.server.response import ListedError, RequestRefused, Response

_FILE_TOKENS = 258


class Interactions(Dialect):
    """The API under /interactions; the models are listed by Gemini's. Only interactions in the background are stored."""

    name = "gemini-interactions"
    provider = "gemini"

    def turns(self, call: Call) -> list[Turn]:
        """The turns of ``system_instruction`` and ``input``."""
        return interactions_turns(call.payload)

    def key_of(self, call: Call) -> str | None:
        """The key in x-goog-api-key or in the query."""
        return call.headers.get("x-goog-api-key") or call.query.get("key") or None

    def model_of(self, call: Call) -> str:
        """The model, or the agent."""
        payload = call.payload if isinstance(call.payload, dict) else {}
        model = payload.get("model") or payload.get("agent")
        return model if isinstance(model, str) else ""

    def reply(self, call: Call) -> Response:
        """Answers, or raises RequestRefused; checks the key first, as the provider does."""
        self._authenticate(call)
        if call.jobs is not None and (call.path != "/" or call.deferred or call.job_call == "create"):
            return self._job(call, call.jobs)
        if call.method != "POST":
            self.refuse("Method not allowed.", 405)
        return self._interact(call)

    def job_call(self, call: Call) -> str:
        """Calls under /interactions/ID, and an interaction that is to be made in the background."""
        return background.job_call(call)

    def deferring_keys(self, call: Call) -> tuple[str, ...]:
        """An interaction may be made in the background."""
        return ("background",) if call.path == "/" else ()

    def _job(self, call: Call, jobs: JobStore) -> Response:
        with jobs.lock:
            if call.path != "/":
                return Response(200, background.reply(call, self, jobs, self.refuse), HEADERS)
            self._check_body(call)
            return Response(200, background.create(call, self, jobs, self.refuse), HEADERS)

    def refuse_stream(self, call: Call) -> NoReturn:
        """Raises RequestRefused; the message names the part that asks for a stream."""
        self.refuse(f"The simulator never streams and defers nothing: {call.stream} asked for it.")

    def refuse(self, message: str, status: int = 400) -> NoReturn:
        """Raises RequestRefused with an error whose code is a word."""
        raise RequestRefused(self.error(status, message))

    def error(self, status: int, message: str) -> Response:
        """An error whose code is a word."""
        code = INTERACTIONS_CODES.get(status, "internal" if status >= 500 else "invalid_request")
        return Response(status, {"error": {"message": message, "code": code}}, HEADERS)

    def _authenticate(self, call: Call) -> None:
        key = self.key_of(call)
        if key is None:
            self.refuse(
                "Method doesn't allow unregistered callers. Please use API Key or other form of API consumer identity.", 403
            )
        if not call.accepts(key):
            raise ListedError("auth")

    def _check_body(self, call: Call) -> None:
        if call.json_problem:
            self.refuse(f"Invalid JSON payload received. {call.json_problem}")
        if not isinstance(call.payload, dict):
            self.refuse("Invalid JSON payload received. The body must be an object.")

    def _interact(self, call: Call) -> Response:
        self._check_body(call)
        replayed = self.replayed(call)
        if replayed:
            return self._response(call, generate_answer(replayed), replayed.prompt_tokens(), False)
        payload = {name: value for name, value in call.payload.items() if value is not None}
        checks.check_members(payload, self.refuse)
        is_agent = "agent" in payload
        if is_agent and call.job_call != "line":
            self.refuse("Agents require 'background' to be true.")
        if is_agent and payload.get("generation_config"):
            self.refuse("'generation_config' cannot be set together with 'agent'.")
        if not is_agent and (is_unknown_model("gemini", call.model) or not generates(call.model)):
            raise ListedError("not_found")
        if payload.get("previous_interaction_id") is not None:
            self.refuse(f"Interaction {payload['previous_interaction_id'][:60]} not found.", 404)
        config = payload.get("generation_config") or {}
        checks.check_settings(config, call.model, self.refuse)
        files = checks.check_input(payload.get("input"), call.model, self.refuse)
        seed = (call.seed, config.get("seed"))
        parsed = ParsedRequest(self.name, call.model, self.turns(call), seed, max_tokens=config.get("max_output_tokens"))
        parsed.stop_sequences = tuple(config.get("stop_sequences") or ())
        checks.read_tools(payload, config, parsed, self.refuse)
        checks.read_format(payload.get("response_format"), parsed, self.refuse)
        prompt = parsed.prompt_tokens() + count_json_tokens(payload.get("tools")) + _FILE_TOKENS * files
        limits = model_limits("gemini", call.model)
        if limits and prompt > limits.window:
            raise ListedError("context", requested=prompt, window=limits.window)
        if thinks(call.model, {"thinking_level": config["thinking_level"]} if config.get("thinking_level") else {}):
            parsed.reasoning_tokens = 20 + request_digest(parsed) % 61
        parsed.canned = self.canned(call)
        return self._response(call, generate_answer(parsed), prompt, config.get("thinking_summaries") == "auto")

    def _response(self, call: Call, answer: Any, prompt: int, show_thoughts: bool) -> Response:
        asked = call.payload.get("service_tier")
        tier = asked if asked in ("flex", "priority") else "standard"
        body, tokens = interaction(call.model, answer, prompt, show_thoughts=show_thoughts, tier=tier)
        return Response(200, body, HEADERS, tokens, tier="default" if tier == "standard" else tier)
