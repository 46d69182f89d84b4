"""Anthropic's Messages API, on its own host, behind a gateway of the same shape, or on Google Cloud."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from llm_sync import errors
from llm_sync.models import ModelRequest, Usage
from llm_sync.providers.adjustments import Adjustments
from llm_sync.providers.answer import Answer, Blocked, count, label, texts_of, tool_call, total
from llm_sync.providers.anthropic import request as anthropic_request
from llm_sync.providers.cache_marks import cache_control, limit_cache_marks
from llm_sync.providers.dialect import Dialect
from llm_sync.providers.error_mapping import ApiError, ErrorClass, error_class
from llm_sync.providers.finish_words import interruption
from llm_sync.providers.google_cloud import base_url, on_google_cloud
from llm_sync.providers.message_parts import mark_of
from llm_sync.providers.payload import system_parts, tool_choice
from llm_sync.providers.turns import with_unique_ids
from llm_sync.runtime.import_lock import import_lock

if TYPE_CHECKING:
    from llm_sync.providers.service_tier import AskedTier

DEFAULT_MAX_TOKENS = 4096  # the API requires a number
_TEXT = {"type": "string", "nullable": True}
_ANYTHING = {"nullable": True}
_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "length": "length",  # from a gateway that passes on another dialect's word
}


class AnthropicDialect(Dialect):
    """``type: anthropic``: POST {base_url}/v1/messages; base_url is the bare host."""

    type = "anthropic"
    default_base_url = "https://api.anthropic.com"
    key_variables = ("ANTHROPIC_API_KEY",)
    key_header = "x-api-key"
    key_prefix = ""
    fixed_headers: ClassVar[Mapping[str, str]] = {"anthropic-version": "2023-06-01"}
    path = "/v1/messages"
    listing_path = "/v1/models"
    listing_query: ClassVar[Mapping[str, str]] = {"limit": "1000"}
    keys_page = "https://console.anthropic.com/settings/keys"
    billing_page = "https://console.anthropic.com/settings/billing"
    part_types = frozenset({"text", "image", "document"})
    tool_call_ids = re.compile(r"[a-zA-Z0-9_-]{1,64}")
    request_id_headers = ("request-id", "x-request-id")
    response_schema: ClassVar[Mapping[str, Any]] = {
        "model": _ANYTHING,
        "stop_reason": {"type": ["string", "number"], "nullable": True},
        "content": {
            "type": "list",
            "required": True,
            "schema": {
                "type": "dict",
                "schema": {
                    "type": {"type": "string", "required": True},
                    "text": _TEXT,
                    "thinking": _TEXT,
                    "id": _ANYTHING,
                    "name": _TEXT,
                    "input": {"type": "dict", "nullable": True},
                    "caller": {"type": "dict", "nullable": True},
                },
            },
        },
        "stop_details": {"type": "dict", "nullable": True, "schema": {"category": _TEXT, "explanation": _TEXT}},
        "usage": _ANYTHING,
    }
    listing_schema: ClassVar[Mapping[str, Any]] = {
        "data": {
            "type": "list",
            "required": True,
            "schema": {"type": "dict", "schema": {"id": {"type": "string", "required": True}}},
        },
        "has_more": {"type": "boolean", "nullable": True},
        "last_id": _TEXT,
    }

    # Request -------------------------------------------------------------------------------------------------------

    def prepare_request(self, request: ModelRequest, adjustments: Adjustments) -> dict[str, Any]:
        system = system_parts(request, adjustments)
        payload: dict[str, Any] = {"model": request.model, "messages": self._messages(request, adjustments), "stream": False}
        if any(part.cache for part in system):
            payload["system"] = [{"type": "text", "text": part.text, **mark_of(part, request, self)} for part in system]
        elif system:
            payload["system"] = "\n\n".join(part.text or "" for part in system)
        payload["max_tokens"] = self._max_tokens(request, adjustments)
        self._add_sampling(payload, request, adjustments)
        if request.stop_sequences:
            payload["stop_sequences"] = list(request.stop_sequences)
        if request.seed is not None:
            adjustments.lose("seed", request.seed, None, "Anthropic has no seed")
        if request.response_schema is not None:
            schema, refused = anthropic_request.accepted_schema(request.response_schema)
            payload["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
            if refused:
                adjustments.note(
                    "response_schema",
                    sorted(refused),
                    "the schema without them",
                    "Anthropic refuses these keywords (oneOf becomes anyOf); the answer is held against them here",
                )
        if request.tools:
            payload["tools"] = [anthropic_request.tool(tool, adjustments) for tool in request.tools]
        choice = tool_choice(request)
        if choice is not None and choice[0] in ("required", "named") and not anthropic_request.takes_forced_tools(request):
            adjustments.lose("tool_choice", request.tool_choice, "auto", "no tool can be forced while the model thinks")
            choice = ("auto", None)
        if choice is not None:
            kind = {"required": "any", "named": "tool"}.get(choice[0], choice[0])
            payload["tool_choice"] = {"type": kind, "name": choice[1]} if choice[1] else {"type": kind}
        limit_cache_marks(payload, adjustments)
        if on_google_cloud(self.config):
            del payload["model"]  # it is in the URL
            payload["anthropic_version"] = "vertex-2023-10-16"
        return payload

    def _messages(self, request: ModelRequest, adjustments: Adjustments) -> list[dict[str, Any]]:
        conversation = anthropic_request.Conversation(request, self, adjustments)
        return conversation.messages(self.turns(request))

    def cache_mark(self, model: str, ttl: str | None) -> Mapping[str, Any]:
        """``cache_control``, on a content block or a tool."""
        return cache_control(ttl)

    def service_tier(self, tier: str, model: str) -> AskedTier | None:
        if on_google_cloud(self.config):
            return None
        with import_lock:
            from llm_sync.providers.service_tier import anthropic_tier

        return anthropic_tier(tier)

    def extras_for(self, request: ModelRequest, adjustments: Adjustments) -> Mapping[str, Any]:
        """As for every dialect. ``thinking`` is not sent with results of calls that were made without it, or elsewhere."""
        extras = self.normalize_extras(request.provider_specific)
        thinking = extras.get("thinking")
        if not isinstance(thinking, Mapping) or thinking.get("type") != "enabled":
            return extras
        if anthropic_request.thinks_on(self.turns(request), self.origin(request.model or "")):
            return extras
        adjustments.lose("thinking", dict(thinking), None, "the turn that calls the tools has no thinking blocks of this model")
        return {name: value for name, value in extras.items() if name != "thinking"}

    def _max_tokens(self, request: ModelRequest, adjustments: Adjustments) -> int:
        if request.max_tokens is not None:
            return request.max_tokens
        thinking = request.provider_specific.get("thinking")
        budget = count(thinking, "budget_tokens") or 0
        if "max_tokens" not in request.provider_specific:
            adjustments.note("max_tokens", None, DEFAULT_MAX_TOKENS + budget, "Anthropic requires it and none was given")
        return DEFAULT_MAX_TOKENS + budget

    def _add_sampling(self, payload: dict[str, Any], request: ModelRequest, adjustments: Adjustments) -> None:
        temperature, top_p, model = request.temperature, request.top_p, request.model or ""
        if not anthropic_request.takes_sampling(model):
            for name, value in (("temperature", temperature), ("top_p", top_p)):
                if value is not None:
                    adjustments.lose(name, value, None, f"{model} takes no sampling parameters")
            return
        if temperature is not None:
            payload["temperature"] = min(temperature, 1.0) if temperature > 1 else temperature
            if temperature > 1:
                adjustments.lose("temperature", temperature, 1.0, "Anthropic's range is 0 to 1")
        if top_p is not None and temperature is not None and anthropic_request.takes_only_one(model):
            adjustments.lose("top_p", top_p, None, f"{model} takes temperature or top_p, not both")
        elif top_p is not None:
            payload["top_p"] = top_p

    def base_url(self) -> str:
        return base_url(self.config) if on_google_cloud(self.config) else super().base_url()

    def path_for(self, model: str) -> str:
        if on_google_cloud(self.config):
            return f"/publishers/anthropic/models/{quote(model, safe='@')}:rawPredict"
        return self.path

    def listing_url(self, query: Mapping[str, str]) -> str:
        """As for every dialect, but Google Cloud has no listing: InvalidRequestError."""
        if on_google_cloud(self.config):
            raise errors.InvalidRequestError(
                "Google Cloud lists no Anthropic models",
                guidance="See the model garden for their names and write them under models.",
            )
        return super().listing_url(query)

    # Reply ---------------------------------------------------------------------------------------------------------

    def read_answer(self, body: Any) -> Answer:
        blocks = body["content"]
        word = label(body.get("stop_reason"))
        finish = _FINISH.get(word or "", "other")
        uses = [b for b in blocks if b["type"] == "tool_use"]
        if finish == "stop":  # calls of Anthropic's own code execution were answered within the turn
            uses = [b for b in uses if ((b.get("caller") or {}).get("type") or "direct") == "direct"]
        calls = with_unique_ids(tuple(tool_call(b.get("id"), b.get("name"), b.get("input") or {}) for b in uses))
        outcome = interruption(word)
        if isinstance(outcome, Blocked):
            outcome = Blocked(_refusal(body))
        return Answer(
            text="".join(b.get("text") or "" for b in blocks if b["type"] == "text"),
            finish_reason=finish,
            finish_reason_raw=word,
            usage=self.read_usage(body),
            model=label(body.get("model")),
            tool_calls=calls,
            thinking="".join(b.get("thinking") or "" for b in blocks if b["type"] == "thinking") or None,
            outcome=outcome,
            state=anthropic_request.state_of(blocks),
        )

    def other_content(self, body: Any) -> list[str]:
        own = ("text", *anthropic_request.THOUGHTS, "compaction")
        return [block["type"] for block in body["content"] if block["type"] not in own]

    def read_usage(self, body: Any) -> Usage:
        usage = body.get("usage") if isinstance(body, dict) else None
        cached = count(usage, "cache_read_input_tokens")
        fresh = count(usage, "input_tokens")  # without what was read from or written to the cache
        written = count(usage, "cache_creation_input_tokens")
        sent = total(fresh, cached, written) if fresh is not None else None
        thought = count(usage, "output_tokens_details", "thinking_tokens")
        return Usage(sent, count(usage, "output_tokens"), cached, thought, written)

    def partial_text(self, body: Any) -> str:
        blocks = body.get("content") if isinstance(body, dict) else None
        return texts_of(blocks, lambda block: block.get("type") == "text")

    def read_listing(self, body: Any) -> tuple[list[str], dict[str, str] | None]:
        ids, _ = super().read_listing(body)
        last = body.get("last_id") or (ids[-1] if ids else None)
        return ids, {**self.listing_query, "after_id": last} if body.get("has_more") and last else None

    def classify(self, error: ApiError, headers: Mapping[str, str]) -> ErrorClass:
        return error_class(error, self.error_words, dialect="anthropic")


def _refusal(body: Mapping[str, Any]) -> str:
    details = body.get("stop_details") or {}
    parts = [details.get("category"), details.get("explanation")]
    return ": ".join(part for part in parts if part) or str(body.get("stop_reason"))
