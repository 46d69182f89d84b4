"""Errors by one word, each in the shape and with the status that its provider gives it.

What is the same for all errors of a dialect (its envelope, its headers) the dialect itself adds; here stands what tells them
apart. openai-responses is as openai where nothing else is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from llm_sync.simulator.behaviour.hints import HINTS, Standing, go_duration
from llm_sync.simulator.dialect import Dialect, Response


class Said(NamedTuple):
    """One error: its status, message and the members of its error object; ``retry`` is x-should-retry where that is sent."""

    status: int
    message: str
    members: Mapping[str, Any] = {}
    retry: bool | None = None


def _openai(status: int, message: str, kind: str = "invalid_request_error", code: str | None = None) -> Said:
    return Said(status, message, {"type": kind, "code": code})


def _anthropic(status: int, message: str, kind: str, retry: bool = False, **details: str) -> Said:
    return Said(status, message, {"type": kind, "details": details or None}, retry)


def _gemini(status: int, message: str, word: str, *details: Mapping[str, Any]) -> Said:
    return Said(status, message, {"status": word, **({"details": list(details)} if details else {})})


def _openrouter(status: int, message: str, word: str, **metadata: Any) -> Said:
    return Said(status, message, {"metadata": {"error_type": word, **metadata}})


def _quota(quota: str) -> Mapping[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": quota}]}


_BAD_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}
_STREAMS = "This model only supports streaming."

SAID: Mapping[str, Mapping[str, Said]] = {
    "bad_request": {
        "openai": _openai(400, "Invalid value in the request.", code="invalid_value"),
        "anthropic": _anthropic(400, "messages: Input should be a valid list", "invalid_request_error"),
        "gemini": _gemini(400, "Invalid value in the request.", "INVALID_ARGUMENT"),
        "openrouter": _openrouter(400, "Provider returned error", "invalid_request", provider_name="Simulated"),
    },
    "auth": {
        "openai": _openai(401, "Incorrect API key provided: sk-simul****.", code="invalid_api_key"),
        "anthropic": _anthropic(401, "invalid x-api-key", "authentication_error"),
        "gemini": _gemini(400, "API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT", _BAD_KEY),
        "openrouter": _openrouter(401, "No cookie auth credentials found", "authentication"),
    },
    "permission": {
        "openai": _openai(403, "You are not allowed to sample from this model"),
        "anthropic": _anthropic(403, "Your API key does not have permission to use the specified resource.", "permission_error"),
        "gemini": _gemini(403, "The caller does not have permission", "PERMISSION_DENIED"),
        "openrouter": _openrouter(403, "This key may not use {model}.", "permission_denied"),
    },
    "quota": {
        "openai": _openai(429, "You exceeded your current quota.", "insufficient_quota", "insufficient_quota"),
        "anthropic": _anthropic(400, "Your credit balance is too low to access the Anthropic API.", "invalid_request_error"),
        "gemini": _gemini(
            429, "You exceeded your current quota.", "RESOURCE_EXHAUSTED", _quota("GenerateRequestsPerDayPerProjectPerModel")
        ),
        "openrouter": _openrouter(402, "Insufficient credits.", "payment_required"),
    },
    "rate_limit": {
        "openai": _openai(429, "Rate limit reached for {model}.", "requests", "rate_limit_exceeded"),
        "anthropic": _anthropic(429, "This request would exceed your rate limit.", "rate_limit_error", True),
        "gemini": _gemini(
            429, "You exceeded your current quota.", "RESOURCE_EXHAUSTED", _quota("GenerateRequestsPerMinutePerProjectPerModel")
        ),
        "openrouter": _openrouter(429, "Rate limit exceeded: requests-per-min.", "rate_limit_exceeded"),
    },
    "not_found": {
        "openai": _openai(404, "The model `{model}` does not exist or you do not have access to it.", code="model_not_found"),
        "openai-responses": _openai(400, "The requested model '{model}' does not exist.", code="model_not_found"),
        "anthropic": _anthropic(404, "model: {model}", "not_found_error"),
        "gemini": _gemini(404, "models/{model} is not found for API version v1beta.", "NOT_FOUND"),
        "openrouter": _openrouter(404, "No endpoints found for {model}.", "not_found"),
    },
    "context": {
        "openai": _openai(
            400,
            "This model's maximum context length is 128000 tokens. However, your messages resulted in 205429 tokens.",
            code="context_length_exceeded",
        ),
        "openai-responses": _openai(400, "Your input exceeds the context window of this model.", code="context_length_exceeded"),
        "anthropic": _anthropic(400, "prompt is too long: 205429 tokens > 200000 maximum", "invalid_request_error"),
        "gemini": _gemini(
            400, "The input token count (1205429) exceeds the maximum number of tokens allowed (1048576).", "INVALID_ARGUMENT"
        ),
        "openrouter": _openrouter(
            400,
            "This endpoint's maximum context length is 128000 tokens. However, you requested about 205429 tokens.",
            "context_length_exceeded",
        ),
    },
    "too_large": {
        "openai": _openai(413, "The request is too large."),
        "anthropic": _anthropic(413, "Request exceeds the maximum size", "request_too_large"),
        "gemini": _gemini(400, "Request payload size exceeds the limit: 20971520 bytes.", "INVALID_ARGUMENT"),
        "openrouter": _openrouter(413, "Payload too large", "payload_too_large"),
    },
    "content_policy": {
        "openai": _openai(400, "Your request was rejected by our safety system.", code="content_policy_violation"),
        "openai-responses": _openai(400, "Your prompt was flagged as violating our usage policy.", code="invalid_prompt"),
        "openrouter": _openrouter(
            403, "Your input was flagged", "content_policy_violation", reasons=["violence"], flagged_input="…"
        ),
    },
    "conflict": {
        "openai": _openai(409, "Another request holds the lock.", code="conflict"),
        "anthropic": _anthropic(409, "The resource is locked.", "conflict_error", True),
        "gemini": _gemini(409, "The operation was aborted.", "ABORTED"),
        "openrouter": _openrouter(409, "Provider returned error", "provider_unavailable"),
    },
    "stream_only": {
        "openai": _openai(400, _STREAMS, code="unsupported_value"),
        "anthropic": _anthropic(400, _STREAMS, "invalid_request_error"),
        "gemini": _gemini(400, _STREAMS, "FAILED_PRECONDITION"),
        "openrouter": _openrouter(400, _STREAMS, "invalid_request"),
    },
    "server": {
        "openai": _openai(500, "The server had an error while processing your request.", "server_error"),
        "anthropic": _anthropic(500, "Internal server error", "api_error", True),
        "gemini": _gemini(500, "An internal error has occurred.", "INTERNAL"),
        "openrouter": _openrouter(
            502, "Provider returned error", "provider_unavailable", provider_name="Simulated", raw='{"error":"upstream failed"}'
        ),
    },
    "overloaded": {
        "openai": _openai(503, "The engine is currently overloaded.", "service_unavailable_error", "server_is_overloaded"),
        "anthropic": _anthropic(529, "Overloaded", "overloaded_error", True),
        "gemini": _gemini(503, "The model is overloaded. Please try again later.", "UNAVAILABLE"),
        "openrouter": _openrouter(503, "{model} is temporarily overloaded upstream.", "provider_overloaded"),
    },
    "timeout": {
        "openai": _openai(504, "The request timed out upstream.", "timeout"),
        "anthropic": _anthropic(504, "Request timed out", "timeout_error", True),
        "gemini": _gemini(504, "The request timed out. Please try again.", "DEADLINE_EXCEEDED"),
        "openrouter": _openrouter(408, "The request timed out.", "timeout"),
    },
}
WORDS = tuple(SAID)

_NO_LIMIT = Standing("requests", 500, 0, 0.0)


def said(word: str, dialect: str) -> Said:
    """The error ``word`` names in a dialect."""
    table = SAID[word]
    return table[dialect] if dialect in table else table["openai"]


def refusal(
    word: str,
    dialect: Dialect,
    name: str,
    model: str,
    *,
    message: str | None = None,
    wait: float | None = None,
    forms: Iterable[str] = (),
    standing: Standing = _NO_LIMIT,
    status: int | None = None,
) -> Response:
    """The error ``word`` from the dialect called ``name``; ``wait`` (seconds) is told in ``forms``, unless it is None.

    ``status`` replaces the usual one.
    """
    found = said(word, name)
    text = found.message.format(model=model or "the model") if message is None else message
    headers: dict[str, str] = {} if found.retry is None else {"x-should-retry": "true" if found.retry else "false"}
    members = dict(found.members)
    if word == "rate_limit" and name.startswith("openai"):
        members["type"] = standing.kind
    for form in forms if wait is not None else ():
        hint = HINTS[form]
        headers |= hint.headers(wait or 0.0, standing)
        members = _merged(members, hint.members(wait or 0.0, standing))
        text += hint.message.format(wait=go_duration(wait or 0.0))
    return with_members(dialect.error(found.status if status is None else status, text), members, headers)


def with_members(response: Response, members: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
    """An error response with further members in its error object and further headers; those there are replaced."""
    body = dict(response.body)
    body["error"] = _merged(body["error"], members)
    return response._replace(body=body, headers=with_headers(response.headers, headers))


def with_headers(headers: Iterable[tuple[str, str]], more: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Headers, those of the same name replaced."""
    names = {name.lower() for name in more}
    return (*((name, value) for name, value in headers if name.lower() not in names), *more.items())


def _merged(members: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Lists grow, mappings are merged, all else is replaced."""
    merged = dict(members)
    for name, value in more.items():
        before = merged.get(name)
        if isinstance(before, list) and isinstance(value, list):
            merged[name] = [*before, *value]
        elif isinstance(before, dict) and isinstance(value, dict):
            merged[name] = {**before, **value}
        else:
            merged[name] = value
    return merged
