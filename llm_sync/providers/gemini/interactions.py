"""Google's Interactions, its API since June 2026, on the Gemini Developer API and on Google Cloud."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from llm_sync import errors
from llm_sync.models import ModelRequest, Usage
from llm_sync.providers.adjustments import Adjustments
from llm_sync.providers.answer import Answer, Blocked, Cut, Deferred, Failed, Outcome, count, label, texts_of, tool_call, total
from llm_sync.providers.dialect import Dialect
from llm_sync.providers.error_mapping import ApiError, ErrorClass
from llm_sync.providers.finish_words import interruption
from llm_sync.providers.gemini import steps as interaction_steps
from llm_sync.providers.gemini.generate_content import GeminiDialect
from llm_sync.providers.google_cloud import on_google_cloud
from llm_sync.providers.payload import system_texts, tool_choice
from llm_sync.providers.turns import with_unique_ids
from llm_sync.runtime.import_lock import import_lock

if TYPE_CHECKING:
    from llm_sync.providers.background_wire import BackgroundWire
    from llm_sync.providers.service_tier import AskedTier

_TEXT = {"type": "string", "nullable": True}
_CONTENTS = {
    "type": "list",
    "nullable": True,
    "schema": {"type": "dict", "schema": {"type": {"type": "string", "required": True}, "text": _TEXT}},
}
_FINISH = {"completed": "stop", "requires_action": "tool_calls", "incomplete": "length"}
_DEFERRED = ("in_progress", "queued")
_BUDGET = Cut("the budget of the interaction")
_AGENTS = re.compile(r"agents/|deep-research|antigravity")  # asked by ``agent``, not by ``model``
_VERSION = re.compile(r"gemini-(\d+)(?:\.(\d+))?")
_LAST_SAMPLED = (3, 5)  # the last version that takes temperature and top_p: 3.6 ignores them, later ones refuse them
_MAX_SEED = 2**31
_SPENT = re.compile(r"per day|daily|spend|billing|credit", re.IGNORECASE)  # of a quota that no wait of minutes refills
# What codes of errors mean where no status says more: in an interaction that failed.
_CODES: Mapping[str, ErrorClass] = {
    **dict.fromkeys(("3", "5", "9", "11"), errors.InvalidRequestError),  # the same as numbers of google.rpc
    "4": errors.RequestTimeoutError,
    "7": errors.PermissionDeniedError,
    "8": errors.RateLimitError,
    **dict.fromkeys(("2", "10", "13", "14"), errors.ProviderUnavailableError),
    "invalid_request": errors.InvalidRequestError,
    "invalid_argument": errors.InvalidRequestError,
    "failed_precondition": errors.InvalidRequestError,
    "not_found": errors.ModelNotFoundError,
    "resource_exhausted": errors.RateLimitError,
    "deadline_exceeded": errors.RequestTimeoutError,
    **dict.fromkeys(("internal", "unavailable", "aborted", "unknown"), errors.ProviderUnavailableError),
}


class InteractionsDialect(GeminiDialect):
    """``type: gemini-interactions``: POST {base_url}/interactions; base_url ends in /v1beta. Models are listed as for gemini."""

    type = "gemini-interactions"
    path = "/interactions"
    forbidden = Dialect.forbidden | {"system_instruction", "agent"}
    choice_counts: ClassVar[tuple[str, ...]] = ()
    image_details = True
    json_object: ClassVar[Mapping[str, Any]] = {"response_format": {"type": "text", "mime_type": "application/json"}}
    response_schema: ClassVar[Mapping[str, Any]] = {
        "status": {"type": "string", "required": True, "nullable": True},
        "steps": {
            "type": "list",
            "nullable": True,
            "schema": {
                "type": "dict",
                "schema": {
                    "type": {"type": "string", "required": True},
                    "content": _CONTENTS,
                    "summary": _CONTENTS,
                    "id": {"nullable": True},
                    "name": _TEXT,
                    "arguments": {"type": "dict", "nullable": True},
                },
            },
        },
        "model": {"nullable": True},
        "agent": {"nullable": True},
        "usage": {"nullable": True},
    }

    # Request -------------------------------------------------------------------------------------------------------

    def prepare_request(self, request: ModelRequest, adjustments: Adjustments) -> dict[str, Any]:
        model = (request.model or "").removeprefix("models/")
        is_agent = _AGENTS.match(model) is not None
        payload: dict[str, Any] = {"agent" if is_agent else "model": model.removeprefix("agents/")}
        payload["input"] = self._input(request, adjustments)
        system = system_texts(request, adjustments)
        if system:
            payload["system_instruction"] = "\n\n".join(system)
        settings = self._settings(request, model, adjustments)
        if settings and is_agent:
            adjustments.lose("generation_config", settings, None, "agents take no settings of a model")
        elif settings:
            payload["generation_config"] = settings
        if request.tools:
            payload["tools"] = [interaction_steps.tool(tool, adjustments) for tool in request.tools]
        if request.response_schema is not None:
            payload["response_format"] = {**self.json_object["response_format"], "schema": request.response_schema}
        payload["store"] = False  # the API keeps every interaction unless it is told not to
        return payload

    def _input(self, request: ModelRequest, adjustments: Adjustments) -> str | list[dict[str, Any]]:
        turns = self.turns(request)
        plain = len(turns) == 1 and turns[0].role == "user" and not (turns[0].parts or turns[0].images)
        if plain and turns[0].content:
            return turns[0].content
        return interaction_steps.Conversation(self.origin(request.model or ""), adjustments).steps(turns)

    def _settings(self, request: ModelRequest, model: str, adjustments: Adjustments) -> dict[str, Any]:
        settings: dict[str, Any] = {"max_output_tokens": request.max_tokens}
        for name, value in (("temperature", request.temperature), ("top_p", request.top_p)):
            if value is not None and _takes_sampling(model):
                settings[name] = value
            elif value is not None:
                adjustments.lose(name, value, None, f"{model} takes no sampling parameters")
        if request.seed is not None:
            settings["seed"] = request.seed
            if not -_MAX_SEED <= request.seed < _MAX_SEED:
                settings["seed"] = request.seed % _MAX_SEED
                adjustments.lose("seed", request.seed, settings["seed"], "Gemini's seed has 32 bits")
        if request.stop_sequences:
            settings["stop_sequences"] = list(request.stop_sequences)
        choice = tool_choice(request)
        if choice is not None and choice[1]:
            settings["tool_choice"] = {"allowed_tools": {"mode": "any", "tools": [choice[1]]}}
        elif choice is not None:
            settings["tool_choice"] = {"required": "any"}.get(choice[0], choice[0])
        return {name: value for name, value in settings.items() if value is not None}

    def normalize_extras(self, extras: Mapping[str, Any]) -> Mapping[str, Any]:
        """As written: this API has one spelling."""
        return extras

    def service_tier(self, tier: str, model: str) -> AskedTier | None:
        with import_lock:
            from llm_sync.providers.service_tier import AskedTier

        return AskedTier({"service_tier": {"default": "standard"}.get(tier, tier)})

    def background(self, model: str) -> BackgroundWire:
        with import_lock:
            from llm_sync.providers.gemini.interactions_background import InteractionsBackground

        return InteractionsBackground()

    def base_url(self) -> str:
        url = super().base_url()
        generated = on_google_cloud(self.config) and not self.config.base_url
        return url.replace("/v1/projects/", "/v1beta1/projects/", 1) if generated else url

    def path_for(self, model: str) -> str:
        return self.path

    # Reply ---------------------------------------------------------------------------------------------------------

    def schema_for(self, body: Any) -> Mapping[str, Any]:
        return self.response_schema

    def error_in(self, body: Any) -> Any:
        """As for every dialect; and an interaction that failed, with the first of its errors."""
        if isinstance(body, dict) and body.get("status") == "failed" and _block(body) is None:
            listed = body.get("errors")
            first = listed[0] if isinstance(listed, list) and listed else body.get("error")
            return {
                "error": first if isinstance(first, dict) and first else {"message": "the interaction failed", "code": "internal"}
            }
        if isinstance(body, dict) and isinstance(body.get("steps"), list):
            return None
        return super().error_in(body)

    def read_answer(self, body: Any) -> Answer:
        steps, word = body.get("steps") or [], body.get("status")
        calls = [step for step in steps if step["type"] == "function_call"]
        thoughts = [text for step in steps if step["type"] == "thought" for text in step.get("summary") or ()]
        return Answer(
            text=interaction_steps.text_of(steps),
            finish_reason=_FINISH.get(word or "", "other"),
            finish_reason_raw=word,
            usage=self.read_usage(body),
            model=label(body.get("model")) or label(body.get("agent")),
            tool_calls=with_unique_ids(
                tuple(tool_call(call.get("id"), call.get("name"), call.get("arguments") or {}) for call in calls)
            ),
            thinking="".join(text.get("text") or "" for text in thoughts) or None,
            outcome=_outcome(word, steps, body),
            state=interaction_steps.state_of(steps),
        )

    def other_content(self, body: Any) -> list[str]:
        return interaction_steps.other_kinds(body.get("steps") or [])

    def read_usage(self, body: Any) -> Usage:
        usage = body.get("usage") if isinstance(body, dict) else None
        sent = count(usage, "total_input_tokens")
        made = count(usage, "total_output_tokens")  # without thoughts
        thought = count(usage, "total_thought_tokens")
        used = total(sent, count(usage, "total_tool_use_tokens")) if sent is not None else None
        return Usage(used, total(made, thought) if made is not None else None, count(usage, "total_cached_tokens"), thought)

    def partial_text(self, body: Any) -> str:
        steps = body.get("steps") if isinstance(body, dict) else None
        spoken = [step for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []
        return "".join(texts_of(step.get("content"), _is_text) for step in spoken if step.get("type") == "model_output")

    def classify(self, error: ApiError, headers: Mapping[str, str]) -> ErrorClass:
        coded = next((_CODES[word.lower()] for word in error.words if word.lower() in _CODES), None)
        if error.status >= 400 or coded is None or (coded is errors.RateLimitError and _SPENT.search(error.message)):
            return super().classify(error, headers)
        return coded

    def request_id(self, reply: Any, body: Any) -> str | None:
        interaction = body.get("id") if isinstance(body, dict) else None
        return interaction if isinstance(interaction, str) else Dialect.request_id(self, reply, body)


def _block(body: Mapping[str, Any]) -> str | None:
    """Why a filter stopped an interaction that failed; None for every other failure."""
    listed = body.get("errors")
    first = listed[0] if isinstance(listed, list) and listed else body.get("error")
    code = first.get("code") if isinstance(first, Mapping) else None
    if not isinstance(first, Mapping) or not isinstance(interruption(code), Blocked):
        return None
    message = first.get("message")
    return message if isinstance(message, str) and message.strip() else str(code)


def _is_text(content: Mapping[str, Any]) -> bool:
    return content.get("type") == "text"


def _takes_sampling(model: str) -> bool:
    version = _VERSION.match(model)
    return version is None or (int(version[1]), int(version[2] or 0)) <= _LAST_SAMPLED


def _outcome(word: Any, steps: list[dict[str, Any]], body: Mapping[str, Any]) -> Outcome | None:
    if word in _DEFERRED:
        return Deferred(word)
    block = _block(body) if word == "failed" else None
    if block is not None:
        return Blocked(block)
    if word == "budget_exceeded":
        return _BUDGET
    broken = next((step["error"] for step in steps if isinstance(step.get("error"), dict) and step["error"]), None)
    if broken is not None:
        return Failed(str(broken.get("message") or broken.get("code") or "no reason given"))
    return interruption(word)
