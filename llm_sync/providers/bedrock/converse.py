"""Amazon Bedrock's Converse: one form of requests for the models of all makers there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote, urlsplit

from llm_sync import errors
from llm_sync.models import ModelRequest, Reply, Usage
from llm_sync.providers.adjustments import Adjustments
from llm_sync.providers.answer import Answer, Blocked, Completed, Failed, Outcome, count, label, tool_call, total
from llm_sync.providers.anthropic import request as anthropic_request
from llm_sync.providers.bedrock import guardrails, schemas
from llm_sync.providers.bedrock import request as bedrock_request
from llm_sync.providers.bedrock.regions import control_url, region_of, runtime_url
from llm_sync.providers.dialect import Dialect, Page
from llm_sync.providers.finish_words import interruption
from llm_sync.providers.message_parts import mark_of
from llm_sync.providers.payload import system_parts, tool_choice
from llm_sync.providers.turns import own_state, with_unique_ids
from llm_sync.runtime.import_lock import import_lock

if TYPE_CHECKING:
    from llm_sync.providers.ports import Credential
    from llm_sync.providers.service_tier import AskedTier

_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
}
_BROKEN = ("malformed_model_output", "malformed_tool_use")
# What a 403 says of a key that is not valid, or not any more; other ones are about permissions.
_REFUSED = re.compile(r"ExpiredToken|UnrecognizedClient|InvalidSignature|InvalidClientToken", re.IGNORECASE)
_REFUSED_TEXT = re.compile(
    rb"security token included in the request|API Key is valid|bearer token (?:has )?expired", re.IGNORECASE
)
_IDS_FIRST = {"maxResults": "1000"}  # the query of a page of inference profiles; that of models is another
_MODELS = {"byOutputModality": "TEXT"}
_CLAUDE = re.compile(r"anthropic\.claude")
# Makers whose models take no json_schema in Converse: those that call a tool at demand, and those that need words.
_TOOL_MODELS = re.compile(
    r"amazon\.nova|anthropic\.claude-(?:3|instant|v2|(?:opus|sonnet)-4-(?:0|1|2025))|mistral\.mistral-(?:large|small)-240"
)
_PROMPT_MODELS = re.compile(r"amazon\.titan|meta\.|ai21\.|cohere\.|writer\.|deepseek\.r1|mistral\.(?:mistral-7b|mixtral)")


class BedrockDialect(Dialect):
    """``type: bedrock``: POST {base_url}/model/MODEL/converse; without base_url, the host of ``region``."""

    type = "bedrock"
    embeddings = "llm_sync.providers.embeddings.bedrock:BedrockEmbeddings"
    default_base_url = "https://bedrock-runtime.us-east-1.amazonaws.com"  # of simulations; ``base_url`` names the region's
    key_variables = ("AWS_BEARER_TOKEN_BEDROCK",)
    path = "/converse"
    listing_query: ClassVar[Mapping[str, str]] = _IDS_FIRST
    keys_page = "https://console.aws.amazon.com/bedrock/home#/api-keys"
    request_id_headers = ("x-amzn-requestid",)
    part_types = frozenset({"text", "image", "document"})
    forbidden = Dialect.forbidden | {"modelId", "system"}
    choice_counts = ()
    tool_call_ids = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
    claude_call_ids = re.compile(r"[a-zA-Z0-9_-]{1,64}")
    response_schema = schemas.RESPONSE
    listing_schema = schemas.LISTING
    some_listing_schema = schemas.SOME_LISTING

    # Request -------------------------------------------------------------------------------------------------------

    def prepare_request(self, request: ModelRequest, adjustments: Adjustments) -> dict[str, Any]:
        system = system_parts(request, adjustments)
        messages = bedrock_request.Conversation(request, self, adjustments).messages(self.turns(request))
        payload: dict[str, Any] = {"messages": messages}
        if system:
            marked = ([{"text": part.text}, dict(mark_of(part, request, self))] for part in system if part.text)
            payload["system"] = [block for blocks in marked for block in blocks if block]
        settings = self._settings(request, adjustments)
        if settings:
            payload["inferenceConfig"] = settings
        self._add_tools(payload, request, adjustments)
        if request.response_schema is not None:
            payload["outputConfig"] = {"textFormat": self._text_format(request, adjustments)}
        bedrock_request.limit_cache_points(payload, adjustments)
        return payload

    def _settings(self, request: ModelRequest, adjustments: Adjustments) -> dict[str, Any]:
        model, temperature, top_p = request.model or "", request.temperature, request.top_p
        if temperature is not None and temperature > 1:
            adjustments.lose("temperature", temperature, 1.0, "Bedrock's range is 0 to 1")
            temperature = 1.0
        if _CLAUDE.search(model) and not anthropic_request.takes_sampling(model):
            for name, value in (("temperature", temperature), ("top_p", top_p)):
                if value is not None:
                    adjustments.lose(name, value, None, f"{model} takes no sampling parameters")
            temperature = top_p = None
        elif temperature is not None and top_p is not None and _CLAUDE.search(model) and anthropic_request.takes_only_one(model):
            adjustments.lose("top_p", top_p, None, f"{model} takes temperature or top_p, not both")
            top_p = None
        if request.seed is not None:
            adjustments.lose("seed", request.seed, None, "Bedrock has no seed")
        settings = {"maxTokens": request.max_tokens, "temperature": temperature, "topP": top_p}
        if request.stop_sequences:
            settings["stopSequences"] = list(request.stop_sequences)  # type: ignore[assignment]
        return {name: value for name, value in settings.items() if value is not None}

    def _add_tools(self, payload: dict[str, Any], request: ModelRequest, adjustments: Adjustments) -> None:
        tools = bedrock_request.tool_config(request, payload["messages"], adjustments)
        choice = tool_choice(request)
        kind, name = choice or ("", None)
        if kind in ("required", "named") and _thinking(request) is not None:
            adjustments.lose("tool_choice", request.tool_choice, "auto", "no tool can be forced while the model thinks")
            kind = "auto"
        if kind == "none" and not bedrock_request.calls_tools(payload["messages"]):
            adjustments.note("tool_choice", "none", None, "this API has no such choice: the tools are left out")
            return
        if kind == "none":
            adjustments.lose("tool_choice", "none", "auto", "this API has no such choice, and wants the tools of earlier calls")
            kind = "auto"
        if tools:
            payload["toolConfig"] = {"tools": tools}
        if kind and tools:
            wire = {"required": {"any": {}}, "named": {"tool": {"name": name}}}
            payload["toolConfig"]["toolChoice"] = wire.get(kind, {"auto": {}})

    def _text_format(self, request: ModelRequest, adjustments: Adjustments) -> dict[str, Any]:
        schema, refused = dict(request.response_schema or {}), set[str]()
        if _CLAUDE.search(request.model or ""):
            schema, refused = anthropic_request.accepted_schema(schema)
        if refused:
            why = "Anthropic refuses these keywords (oneOf becomes anyOf); the answer is held against them here"
            adjustments.note("response_schema", sorted(refused), "the schema without them", why)
        written = json.dumps(schema, ensure_ascii=False)  # a text here, unlike everywhere else
        return {"type": "json_schema", "structure": {"jsonSchema": {"schema": written, "name": "answer"}}}

    def structured_form(self, model: str) -> str:
        """json_schema where a model takes it, a tool for Nova and older models of Claude, words for the others."""
        if _PROMPT_MODELS.search(model):
            return "prompt"
        return "tool" if _TOOL_MODELS.search(model) else "json_schema"

    def extras_for(self, request: ModelRequest, adjustments: Adjustments) -> Mapping[str, Any]:
        """As for every dialect. ``thinking`` is not sent with results of calls that were made without it, or elsewhere."""
        extras = self.normalize_extras(request.provider_specific)
        thinking = _thinking(request)
        if thinking is None or thinking.get("type") != "enabled" or self._thought(request):
            return extras
        more = dict(extras["additionalModelRequestFields"])
        why = "the turn that calls the tools has no reasoning of this model"
        adjustments.lose("additionalModelRequestFields.thinking", more.pop("thinking"), None, why)
        return {**extras, "additionalModelRequestFields": more}

    def _thought(self, request: ModelRequest) -> bool:
        """Whether the last turn, if it calls tools, has the reasoning that the model wants back."""
        last = next((turn for turn in reversed(self.turns(request)) if turn.role == "assistant"), None)
        if last is None or not last.tool_calls:
            return True
        kept = bedrock_request.kept_blocks(last, own_state(last.state, self.origin(request.model or "")))
        return kept is not None and "reasoningContent" in kept[0]

    def accepted_ids(self, model: str) -> re.Pattern[str]:
        return self.claude_call_ids if _CLAUDE.search(model) else self.tool_call_ids

    def service_tier(self, tier: str, model: str) -> AskedTier:
        """``serviceTier``, which not every model has."""
        with import_lock:
            from llm_sync.providers.service_tier import AskedTier

        return AskedTier({"serviceTier": {"type": tier}})

    def cache_mark(self, model: str, ttl: str | None) -> Mapping[str, Any]:
        """A block of its own, after the part."""
        return bedrock_request.cache_point(ttl)

    def base_url(self) -> str:
        return self.config.base_url or runtime_url(region_of(self.config))

    def path_for(self, model: str) -> str:
        """The model's id, or the ARN of a profile, encoded: its slashes and colons are part of it."""
        if not model.strip(". "):
            raise errors.InvalidRequestError(f"{model!r} is not the id of a model", guidance="See: llm-sync models.")
        return f"/model/{quote(model, safe='')}/converse"

    def listing_url(self, query: Mapping[str, str]) -> str:
        """As for every dialect, but at the host of the control plane; inference profiles first, then models."""
        parts = urlsplit(super().listing_url(query))
        path = "/foundation-models" if "byOutputModality" in query else "/inference-profiles"
        host = urlsplit(control_url(self.base_url())).netloc
        return parts._replace(netloc=host, path=parts.path.removesuffix(self.listing_path) + path).geturl()

    # Credentials ---------------------------------------------------------------------------------------------------

    def own_credential(self, carry: Callable[[str], dict[str, str]]) -> Credential:
        with import_lock:
            from llm_sync.providers.bedrock.credentials import credential_of

        return credential_of(self.config, self.base_url(), lambda: region_of(self.config), carry)

    def refuses_key(self, reply: Reply) -> bool:
        """A 403 that names the key. AWS sends no 401."""
        if reply.status != 403:
            return reply.status == 401
        named = reply.headers.get("x-amzn-errortype") or ""
        return _REFUSED.search(named) is not None or _REFUSED_TEXT.search(reply.content[:2000]) is not None

    # Reply ---------------------------------------------------------------------------------------------------------

    def unwrap(self, body: Any) -> Any:
        return guardrails.without_unmasked(body)

    def read_answer(self, body: Any) -> Answer:
        blocks = body["output"]["message"]["content"]
        word = label(body.get("stopReason"))
        text, uses = bedrock_request.text_of(blocks), bedrock_request.uses_of(blocks)
        calls = tuple(tool_call(use.get("toolUseId"), use.get("name"), use.get("input") or {}) for use in uses)
        thoughts = [(block.get("reasoningContent") or {}).get("reasoningText") or {} for block in blocks]
        return Answer(
            text=text,
            finish_reason="stop" if word == guardrails.INTERVENED else _FINISH.get(word or "", "other"),
            finish_reason_raw=word,
            usage=self.read_usage(body),
            model=_routed_model(body),
            tool_calls=with_unique_ids(calls),
            thinking="".join(thought.get("text") or "" for thought in thoughts) or None,
            outcome=_outcome(word, body, text),
            state=bedrock_request.state_of(blocks),
        )

    def other_content(self, body: Any) -> list[str]:
        own = ("text", "toolUse", "reasoningContent", "citationsContent")
        return [name for block in body["output"]["message"]["content"] for name in block if name not in own]

    def read_usage(self, body: Any) -> Usage:
        usage = body.get("usage") if isinstance(body, dict) else None
        fresh = count(usage, "inputTokens")  # without what was read from or written to the cache
        cached = count(usage, "cacheReadInputTokens")
        written = count(usage, "cacheWriteInputTokens")
        sent = total(fresh, cached, written) if fresh is not None else None
        return Usage(sent, count(usage, "outputTokens"), cached, None, written)

    def partial_text(self, body: Any) -> str:
        output = body.get("output") if isinstance(body, dict) else None
        message = output.get("message") if isinstance(output, dict) else None
        blocks = message.get("content") if isinstance(message, dict) else None
        texts = [block.get("text") for block in blocks if isinstance(block, dict)] if isinstance(blocks, list) else []
        return "".join(text for text in texts if isinstance(text, str))

    def listing_schema_for(self, body: Any) -> Mapping[str, Any]:
        # an empty list may be left out; anything else has one of the keys
        foreign = isinstance(body, dict) and not body.keys() & self.listing_schema.keys()
        return self.some_listing_schema if foreign else self.listing_schema

    def read_listing(self, body: Any) -> Page:
        if "modelSummaries" in body:
            return [model["modelId"] for model in body["modelSummaries"] or () if _can_be_asked(model)], None
        ids = [profile["inferenceProfileId"] for profile in body.get("inferenceProfileSummaries") or ()]
        token = body.get("nextToken")
        return ids, {**_IDS_FIRST, "nextToken": token} if token else dict(_MODELS)


def _thinking(request: ModelRequest) -> Mapping[str, Any] | None:
    """What the request says of Claude's thinking, if that is on."""
    more = request.provider_specific.get("additionalModelRequestFields")
    thinking = more.get("thinking") if isinstance(more, Mapping) else None
    return thinking if isinstance(thinking, Mapping) and thinking.get("type") not in (None, "disabled") else None


def _outcome(word: str | None, body: Mapping[str, Any], text: str) -> Outcome | None:
    if word == guardrails.INTERVENED:
        return Completed() if guardrails.is_masked(body) else Blocked(guardrails.block_reason(body, text))
    return Failed(f"finish reason {word}") if word in _BROKEN else interruption(word)


def _routed_model(body: Mapping[str, Any]) -> str | None:
    """The model that a prompt router chose; Converse names no other."""
    trace = body.get("trace")
    router = trace.get("promptRouter") if isinstance(trace, Mapping) else None
    return label(router.get("invokedModelId")) if isinstance(router, Mapping) else None


def _can_be_asked(model: Mapping[str, Any]) -> bool:
    """Whether a model answers in text under its own id; those of profiles and of bought throughput do not."""
    kinds, modalities = model.get("inferenceTypesSupported"), model.get("outputModalities")
    return (kinds is None or "ON_DEMAND" in kinds) and (modalities is None or "TEXT" in modalities)
