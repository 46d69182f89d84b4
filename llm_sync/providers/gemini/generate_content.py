"""Google's generateContent, on the Gemini Developer API and on Google Cloud (Vertex AI)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote, urlsplit

from llm_sync import errors
from llm_sync.models import ModelRequest, ToolCall, Usage
from llm_sync.providers.adjustments import Adjustments
from llm_sync.providers.answer import Answer, Blocked, Cut, Malformed, Outcome, count, label, texts_of, tool_call, total
from llm_sync.providers.dialect import Dialect
from llm_sync.providers.error_mapping import ApiError, ErrorClass, error_class
from llm_sync.providers.finish_words import interruption
from llm_sync.providers.gemini import request as gemini_request
from llm_sync.providers.google_cloud import base_url, host, on_google_cloud
from llm_sync.providers.payload import system_texts, tool_choice
from llm_sync.providers.turns import with_accepted_ids, with_unique_ids
from llm_sync.runtime.import_lock import import_lock

if TYPE_CHECKING:
    from llm_sync.providers.service_tier import AskedTier

_TEXT = {"type": "string", "nullable": True}
_WORD = {"type": ["string", "integer"], "nullable": True}  # enums are numbers with $alt=json;enum-encoding=int
_FINISH: dict[Any, str] = {"STOP": "stop", 1: "stop", "MAX_TOKENS": "length", 2: "length"}
_UNNAMED = Cut("the provider, for a reason that it does not name,")
# Words of its own, and their numbers on its two APIs, which differ from 6 on.
_OUTCOMES: dict[Any, Outcome] = {
    "OTHER": _UNNAMED,
    5: _UNNAMED,
    **{number: Blocked(str(number)) for number in (3, 4, 6, 7, 8, 11)},
    **{number: Malformed(str(number)) for number in (9, 10, 12)},  # or blocked for personal data, or by Model Armor
}
_UNBLOCKED = (None, "", 0, "BLOCK_REASON_UNSPECIFIED")
_MAX_STOPS = 5


class GeminiDialect(Dialect):
    """``type: gemini``: POST {base_url}/models/MODEL:generateContent; base_url ends in /v1beta."""

    type = "gemini"
    embeddings = "llm_sync.providers.embeddings.gemini:wire_of"
    default_base_url = "https://generativelanguage.googleapis.com/v1beta"
    listing_query: ClassVar[Mapping[str, str]] = {"pageSize": "1000"}
    key_variables = ("GOOGLE_API_KEY", "GEMINI_API_KEY")
    key_header = "x-goog-api-key"  # never ?key=: URLs are logged
    key_prefix = ""
    keys_page = "https://aistudio.google.com/apikey"
    billing_page = "https://aistudio.google.com/usage"
    forbidden = Dialect.forbidden | {"systemInstruction"}
    part_types = frozenset({"text", "image", "document", "audio"})
    choice_counts: ClassVar[tuple[str, ...]] = ("generationConfig.candidateCount",)
    json_object: ClassVar[Mapping[str, Any]] = {"generationConfig": {"responseMimeType": "application/json"}}
    response_schema: ClassVar[Mapping[str, Any]] = {
        "candidates": {
            "type": "list",
            "nullable": True,
            "schema": {
                "type": "dict",
                "schema": {
                    "content": {
                        "type": "dict",
                        "nullable": True,
                        "schema": {
                            "parts": {
                                "type": "list",
                                "nullable": True,
                                "schema": {
                                    "type": "dict",
                                    "schema": {
                                        "text": _TEXT,
                                        "thought": {"type": "boolean", "nullable": True},
                                        "thoughtSignature": _TEXT,
                                        "functionCall": {
                                            "type": "dict",
                                            "nullable": True,
                                            "schema": {
                                                "name": _TEXT,
                                                "id": {"nullable": True},
                                                "args": {"type": "dict", "nullable": True},
                                            },
                                        },
                                    },
                                },
                            }
                        },
                    },
                    "finishReason": _WORD,
                    "finishMessage": _TEXT,
                },
            },
        },
        "promptFeedback": {"type": "dict", "nullable": True, "schema": {"blockReason": _WORD, "blockReasonMessage": _TEXT}},
        "modelVersion": {"nullable": True},
        "usageMetadata": {"nullable": True},
    }
    answering_schema: ClassVar[Mapping[str, Any]] = {
        **response_schema,
        "candidates": {**response_schema["candidates"], "required": True, "nullable": False, "minlength": 1},
    }
    listing_schema: ClassVar[Mapping[str, Any]] = {
        "models": {
            "type": "list",
            "nullable": True,
            "schema": {
                "type": "dict",
                "schema": {
                    "name": {"type": "string", "required": True},
                    "supportedGenerationMethods": {"type": "list", "nullable": True},
                },
            },
        },
        "publisherModels": {
            "type": "list",
            "nullable": True,
            "schema": {"type": "dict", "schema": {"name": {"type": "string", "required": True}}},
        },
        "nextPageToken": _TEXT,
    }
    some_listing_schema: ClassVar[Mapping[str, Any]] = {
        **listing_schema,
        "models": {**listing_schema["models"], "required": True},
    }

    # Request -------------------------------------------------------------------------------------------------------

    def prepare_request(self, request: ModelRequest, adjustments: Adjustments) -> dict[str, Any]:
        system = system_texts(request, adjustments)
        payload: dict[str, Any] = {"contents": self._contents(request, adjustments)}
        if system:
            payload["systemInstruction"] = {"parts": [{"text": text} for text in system]}
        settings: dict[str, Any] = {
            "temperature": request.temperature,
            "topP": request.top_p,
            "maxOutputTokens": request.max_tokens,
            "seed": request.seed,
        }
        if request.seed is not None and not -(2**31) <= request.seed < 2**31:
            settings["seed"] = request.seed % 2**31
            adjustments.lose("seed", request.seed, settings["seed"], "Gemini's seed has 32 bits")
        if request.stop_sequences:
            settings["stopSequences"] = list(request.stop_sequences[:_MAX_STOPS])
            if len(request.stop_sequences) > _MAX_STOPS:
                adjustments.lose(
                    "stop_sequences", list(request.stop_sequences), settings["stopSequences"], "Gemini takes five at most"
                )
        if request.response_schema is not None:
            settings["responseMimeType"] = "application/json"
            settings["responseJsonSchema"] = request.response_schema
        settings = {name: value for name, value in settings.items() if value is not None}
        if settings:
            payload["generationConfig"] = settings
        if request.tools:
            payload["tools"] = gemini_request.tools(request.tools, adjustments)
        choice = tool_choice(request)
        if choice is not None:
            calling: dict[str, Any] = {"mode": {"auto": "AUTO", "none": "NONE"}.get(choice[0], "ANY")}
            if choice[1]:
                calling["allowedFunctionNames"] = [choice[1]]
            payload["toolConfig"] = {"functionCallingConfig": calling}
        return payload

    def _contents(self, request: ModelRequest, adjustments: Adjustments) -> list[dict[str, Any]]:
        origin = self.origin(request.model or "")
        turns = with_accepted_ids(gemini_request.with_former_signatures(request.conversation(), origin), self.tool_call_ids)
        ids = not on_google_cloud(self.config)  # there the order tells which result belongs to which call
        return gemini_request.Conversation(origin, adjustments, ids=ids).contents(turns)

    def service_tier(self, tier: str, model: str) -> AskedTier | None:
        with import_lock:
            from llm_sync.providers.service_tier import gemini_tier

        return gemini_tier(tier, on_google_cloud=on_google_cloud(self.config))

    def normalize_extras(self, extras: Mapping[str, Any]) -> Mapping[str, Any]:
        """camelCase throughout: the API also accepts snake_case, and the same field must not be sent twice."""
        out = gemini_request.camels(extras)
        settings = out.get("generationConfig")
        if isinstance(settings, Mapping):
            out["generationConfig"] = gemini_request.camels(settings)
        return out

    def base_url(self) -> str:
        return base_url(self.config) if on_google_cloud(self.config) else super().base_url()

    def path_for(self, model: str) -> str:
        name = quote(model.removeprefix("models/"), safe="/@")
        if on_google_cloud(self.config):
            return f"/publishers/google/models/{name}:generateContent"
        return f"/{name}:generateContent" if name.startswith("tunedModels/") else f"/models/{name}:generateContent"

    def listing_url(self, query: Mapping[str, str]) -> str:
        """As for every dialect, but on Google Cloud the listing's URL has no project."""
        url = super().listing_url(query)
        if on_google_cloud(self.config):
            origin = urlsplit(self.config.base_url or host(self.config.location or "global"))
            return urlsplit(url)._replace(netloc=origin.netloc, path="/v1beta1/publishers/google/models").geturl()
        return url

    # Reply ---------------------------------------------------------------------------------------------------------

    def schema_for(self, body: Any) -> Mapping[str, Any]:
        feedback = body.get("promptFeedback") if isinstance(body, dict) else None
        blocked = isinstance(feedback, dict) and feedback.get("blockReason") not in _UNBLOCKED
        return self.response_schema if blocked else self.answering_schema  # a blocked prompt has no candidates

    def listing_schema_for(self, body: Any) -> Mapping[str, Any]:
        # an empty list is left out, so {} is a listing; anything else has at least one of its keys
        foreign = isinstance(body, dict) and body and not body.keys() & self.listing_schema.keys()
        return self.some_listing_schema if foreign else self.listing_schema

    def read_answer(self, body: Any) -> Answer:
        candidate = (body.get("candidates") or [{}])[0]
        parts = (candidate.get("content") or {}).get("parts") or []
        word = candidate.get("finishReason")
        calls = with_unique_ids(tuple(_call(part, number) for number, part in enumerate(parts) if part.get("functionCall")))
        block = _block(body, candidate)
        return Answer(
            text="".join(part.get("text") or "" for part in parts if not part.get("thought")),
            finish_reason=_FINISH.get(word, "other"),
            finish_reason_raw=word,
            usage=self.read_usage(body),
            model=label(body.get("modelVersion")),
            tool_calls=calls,
            thinking="".join(part.get("text") or "" for part in parts if part.get("thought")) or None,
            outcome=Blocked(block) if block is not None else _OUTCOMES.get(word) or interruption(word),
            state=gemini_request.state_of(parts),
        )

    def other_content(self, body: Any) -> list[str]:
        candidate = (body.get("candidates") or [{}])[0]
        parts = (candidate.get("content") or {}).get("parts") or []
        return [kind for part in parts if not part.get("thought") for kind in gemini_request.other_kinds(part)]

    def read_usage(self, body: Any) -> Usage:
        usage = body.get("usageMetadata") if isinstance(body, dict) else None
        sent = count(usage, "promptTokenCount")
        thought = count(usage, "thoughtsTokenCount")
        made = count(usage, "candidatesTokenCount")
        if made is None and sent is not None:
            made = 0  # absent, not 0, if nothing was generated
        used = total(sent, count(usage, "toolUsePromptTokenCount")) if sent is not None else None
        return Usage(used, total(made, thought), count(usage, "cachedContentTokenCount"), thought)

    def partial_text(self, body: Any) -> str:
        candidates = body.get("candidates") if isinstance(body, dict) else None
        first = candidates[0] if isinstance(candidates, list) and candidates else None
        content = first.get("content") if isinstance(first, dict) else None
        parts = content.get("parts") if isinstance(content, dict) else None
        return texts_of(parts, lambda part: not part.get("thought"))

    def read_listing(self, body: Any) -> tuple[list[str], dict[str, str] | None]:
        models = body.get("models") or body.get("publisherModels") or []
        ids = [
            model["name"].rpartition("models/")[2]
            for model in models
            if "generateContent" in (model.get("supportedGenerationMethods") or ["generateContent"])
        ]
        token = body.get("nextPageToken")
        return ids, {**self.listing_query, "pageToken": token} if token else None

    def request_id(self, reply: Any, body: Any) -> str | None:
        response_id = body.get("responseId") if isinstance(body, dict) else None
        return response_id if isinstance(response_id, str) else super().request_id(reply, body)

    def classify(self, error: ApiError, headers: Mapping[str, str]) -> ErrorClass:
        if error.status == 429 and error.per_day:
            return errors.QuotaExceededError
        return error_class(error, self.error_words, dialect="gemini")


def _call(part: Mapping[str, Any], number: int) -> ToolCall:
    """A call with an id. Gemini 3 requires each call to be sent back with its signature."""
    call = part["functionCall"]
    signature = part.get("thoughtSignature")
    made = tool_call(call.get("id") or f"call_{number}", call.get("name"), call.get("args") or {})
    return dataclasses.replace(made, state={"thoughtSignature": signature}) if signature else made


def _block(body: Mapping[str, Any], candidate: Mapping[str, Any]) -> str | None:
    feedback = body.get("promptFeedback") or {}
    if feedback.get("blockReason") not in _UNBLOCKED:
        return _with_message(f"prompt: {feedback['blockReason']}", feedback.get("blockReasonMessage"))
    word = candidate.get("finishReason")
    blocked = isinstance(_OUTCOMES.get(word) or interruption(word), Blocked)
    return _with_message(str(word), candidate.get("finishMessage")) if blocked else None


def _with_message(word: str, message: str | None) -> str:
    return f"{word}: {message}" if message else word
