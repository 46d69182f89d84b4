"""How many tokens a request has, by the provider's own count, which bills nothing: before anything is sent to be answered."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from llm_sync.errors import ResponseValidationError
from llm_sync.models import ModelRequest, PreparedRequest, Reply
from llm_sync.models.fields import ANTHROPIC
from llm_sync.providers.adjustments import Adjustments
from llm_sync.providers.attempt import AttemptMaker, Exchange
from llm_sync.providers.google_cloud import on_google_cloud
from llm_sync.providers.json_body import parse_body
from llm_sync.providers.payload import encoded
from llm_sync.providers.structured_output import payload_for
from llm_sync.runtime.steps import run

if TYPE_CHECKING:
    from llm_sync.providers.base import LLMProvider
    from llm_sync.providers.dialect import Dialect
    from llm_sync.providers.ports import HTTP

# What the endpoints take of a request; they refuse the rest of it.
_ANTHROPIC = (
    "anthropic_version",
    "model",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "cache_control",
)
_GEMINI = ("contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "cachedContent")
_VERTEX = ("contents", "systemInstruction", "tools", "generationConfig")
_RESPONSES = ("model", "input", "instructions", "tools", "tool_choice", "text", "reasoning", "truncation", "parallel_tool_calls")
_OPENAI = ("openai", "openai-responses")


class CountRequest(NamedTuple):
    """What asks for a count: ``field`` of the reply holds it."""

    url: str
    body: bytes
    field: str


def count_request(dialect: Dialect, prepared: PreparedRequest) -> CountRequest | None:
    """What asks how many tokens ``prepared`` has; None where the provider is not known to count for nothing.

    Raises LLMConnectorError as ``prepare``.
    """
    kind, payload = dialect.type, json.loads(prepared.body)
    if kind == ANTHROPIC:
        payload = _picked(payload, _ANTHROPIC)
        if on_google_cloud(dialect.config):
            path = "/publishers/anthropic/models/count-tokens:rawPredict"
            return _request(dialect, path, {"model": prepared.model, **payload}, "input_tokens")
        return _request(dialect, "/v1/messages/count_tokens", payload, "input_tokens")
    if kind == "gemini":
        path = dialect.path_for(prepared.model).replace(":generateContent", ":countTokens")
        if on_google_cloud(dialect.config):
            return _request(dialect, path, _picked(payload, _VERTEX), "totalTokens")
        whole = {"model": path.rpartition(":")[0].lstrip("/"), **_picked(payload, _GEMINI)}
        return _request(dialect, path, {"generateContentRequest": whole}, "totalTokens")
    if kind in _OPENAI and (dialect.is_at("openai.com") or dialect.config.simulated):
        payload = payload if kind == "openai-responses" else _as_responses(dialect, prepared.request)
        return _request(dialect, "/responses/input_tokens", _picked(payload, _RESPONSES), "input_tokens")
    return None


def count_tokens(provider: LLMProvider, http: HTTP, prepared: PreparedRequest, timeout: float, control: Any) -> int | None:
    """The tokens of ``prepared``, in one attempt of ``timeout`` seconds; None where no endpoint is known that counts for nothing.

    Raises LLMConnectorError: what the provider refuses, or what keeps it from being asked.
    """
    asked = count_request(provider.dialect, prepared)
    if asked is None:
        return None

    def read(reply: Reply, _number: int) -> int:
        if reply.status >= 300:
            raise provider.reader.error(reply)
        return _count_in(reply, asked.field)

    maker = AttemptMaker(provider.config, http, provider.credential, provider.reader, None)
    exchange = Exchange("POST", asked.url, asked.body, prepared.headers, control, read)
    tokens: int = run(maker.make(exchange, 1, timeout))
    return tokens


def _count_in(reply: Reply, field: str) -> int:
    try:
        body = parse_body(reply.content)
    except (ValueError, RecursionError):
        body = None
    tokens = body.get(field) if isinstance(body, dict) else None
    if not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 0:
        raise ResponseValidationError(f"the provider's count of tokens has no {field}", status=reply.status)
    return tokens


def _request(dialect: Dialect, path: str, payload: Mapping[str, Any], field: str) -> CountRequest:
    return CountRequest(dialect.joined_url(path, "", {}), encoded(payload), field)


def _picked(payload: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: payload[name] for name in names if name in payload}


def _as_responses(dialect: Dialect, request: ModelRequest) -> Mapping[str, Any]:
    """The payload of a chat completion as the Responses API takes it: OpenAI counts in that form only."""
    from llm_sync.providers.openai.responses import OpenAIResponsesDialect

    other, made = OpenAIResponsesDialect(dialect.config), Adjustments(())
    return payload_for(other, request, made) if request.response_schema is not None else other.prepare_request(request, made)
