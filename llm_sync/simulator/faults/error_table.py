"""The table of errors: each dialect's spelling of every kind of error.

It holds what distinguishes the errors of a dialect; the dialect adds what they have in common (the envelope and headers).
openai-responses is as openai unless it has an entry of its own. Scripts name errors by kind, answers files and replayed batches
by llm-sync's error class.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from llm_sync.simulator.faults.error_spelling import ErrorSpelling, phrase
from llm_sync.simulator.faults.error_spellings_bedrock import BEDROCK
from llm_sync.simulator.faults.error_spellings_interactions import INTERACTIONS

# The error type of every status, in the two dialects that have one.
ANTHROPIC_TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
GEMINI_STATUSES: Mapping[int, str] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class ErrorKind(NamedTuple):
    """One kind of error: the class that llm-sync raises for it, and its spelling by dialect."""

    error_class: str
    spellings: Mapping[str, ErrorSpelling]


def _openai(
    status: int, message: str, kind: str = "invalid_request_error", code: str | None = None, **more: str
) -> ErrorSpelling:
    return ErrorSpelling(status, message, {"type": kind, **more, "code": code})


def _anthropic(status: int, message: str, retry: bool = False) -> ErrorSpelling:
    return ErrorSpelling(status, message, {"type": ANTHROPIC_TYPES[status], "details": None}, retry)


def _gemini(status: int, message: str, *details: Mapping[str, Any], word: str | None = None) -> ErrorSpelling:
    members = {"status": word or GEMINI_STATUSES[status]}
    return ErrorSpelling(status, message, {**members, "details": list(details)} if details else members)


def _openrouter(status: int, message: str, word: str, **metadata: Any) -> ErrorSpelling:
    return ErrorSpelling(status, message, {"metadata": {"error_type": word, **metadata}})


def _quota(quota: str) -> Mapping[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": quota}]}


_KEY_REFUSED = "API key not valid. Please pass a valid API key."
_BAD_KEY = (
    {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "API_KEY_INVALID",
        "domain": "googleapis.com",
        "metadata": {"service": "generativelanguage.googleapis.com"},
    },
    {"@type": "type.googleapis.com/google.rpc.LocalizedMessage", "locale": "en-US", "message": _KEY_REFUSED},
)
_STREAM_ONLY = "This model only supports streaming."
_STREAM_PHRASE = phrase("only supports? stream")

# by kind; if several kinds have the same class, the first one represents it
ERRORS: Mapping[str, ErrorKind] = {
    "bad_request": ErrorKind(
        "InvalidRequestError",
        {
            "openai": _openai(400, "Invalid value in the request.", code="invalid_value"),
            "anthropic": _anthropic(400, "messages: Input should be a valid list"),
            "gemini": _gemini(400, "Invalid value in the request."),
            "openrouter": _openrouter(400, "Provider returned error", "invalid_request", provider_name="Simulated"),
        },
    ),
    "auth": ErrorKind(
        "AuthenticationError",
        {
            "openai": _openai(401, "Incorrect API key provided: {key}.", code="invalid_api_key"),
            "anthropic": _anthropic(401, "invalid x-api-key"),
            "gemini": _gemini(400, _KEY_REFUSED, *_BAD_KEY),
            "openrouter": _openrouter(401, "No cookie auth credentials found", "authentication"),
        },
    ),
    "permission": ErrorKind(
        "PermissionDeniedError",
        {
            "openai": _openai(403, "You are not allowed to sample from this model"),
            "anthropic": _anthropic(403, "Your API key does not have permission to use the specified resource."),
            "gemini": _gemini(403, "The caller does not have permission"),
            "openrouter": _openrouter(403, "This key may not use {model}.", "permission_denied"),
        },
    ),
    "quota": ErrorKind(
        "QuotaExceededError",
        {
            "openai": _openai(429, "You exceeded your current quota.", "insufficient_quota", "insufficient_quota"),
            "anthropic": _anthropic(400, "Your credit balance is too low to access the Anthropic API.")._replace(
                phrase=phrase("credit balance is too low|reached your specified .*usage limits"),
                members_by_status={
                    402: {"type": "billing_error"},
                    429: {"type": "rate_limit_error", "details": {"error_code": "enforced_spend_limit_reached"}},
                },
            ),
            "gemini": _gemini(429, "You exceeded your current quota.", _quota("GenerateRequestsPerDayPerProjectPerModel")),
            "openrouter": _openrouter(402, "Insufficient credits.", "payment_required"),
        },
    ),
    "rate_limit": ErrorKind(
        "RateLimitError",
        {
            "openai": _openai(429, "Rate limit reached for {model}.", "requests", "rate_limit_exceeded"),
            "anthropic": _anthropic(429, "This request would exceed your rate limit.", True),
            "gemini": _gemini(429, "You exceeded your current quota.", _quota("GenerateRequestsPerMinutePerProjectPerModel")),
            "openrouter": _openrouter(429, "Rate limit exceeded: requests-per-min.", "rate_limit_exceeded"),
        },
    ),
    "not_found": ErrorKind(
        "ModelNotFoundError",
        {
            "openai": _openai(404, "The model `{model}` does not exist or you do not have access to it.", code="model_not_found"),
            "openai-responses": _openai(
                400, "The requested model '{model}' does not exist.", param="model", code="model_not_found"
            ),
            "anthropic": _anthropic(404, "model: {model}"),
            "gemini": _gemini(
                404,
                "models/{model} is not found for API version {version}, or is not supported for generateContent. "
                "Call ListModels to see the list of available models and their supported methods.",
            ),
            "openrouter": _openrouter(404, "No endpoints found for {model}.", "not_found"),
        },
    ),
    "context": ErrorKind(
        "ContextLengthExceededError",
        {
            "openai": _openai(
                400,
                "This model's maximum context length is {window} tokens. However, your messages resulted in {requested} tokens.",
                param="messages",
                code="context_length_exceeded",
            ),
            "openai-responses": _openai(
                400,
                "Your input exceeds the context window of this model. Please adjust your input and try again.",
                param="input",
                code="context_length_exceeded",
            ),
            "anthropic": _anthropic(400, "prompt is too long: {requested} tokens > {window} maximum")._replace(
                phrase=phrase(r"prompt is too long: \d+ tokens")
            ),
            "gemini": _gemini(
                400, "The input token count ({requested}) exceeds the maximum number of tokens allowed ({window})."
            )._replace(phrase=phrase(r"input token count \(?\d+\)? exceeds")),
            "openrouter": _openrouter(
                400,
                "This endpoint's maximum context length is {window} tokens. However, you requested about {requested} tokens.",
                "context_length_exceeded",
            ),
        },
    ),
    "too_large": ErrorKind(
        "InvalidRequestError",
        {
            "openai": _openai(413, "The request is too large."),
            "anthropic": _anthropic(413, "Request exceeds the maximum size"),
            "gemini": _gemini(400, "Request payload size exceeds the limit: 20971520 bytes."),
            "openrouter": _openrouter(413, "Payload too large", "payload_too_large"),
        },
    ),
    "content_policy": ErrorKind(
        "ContentBlockedError",
        {
            "openai": _openai(400, "Your request was rejected by our safety system.", code="content_policy_violation"),
            "openai-responses": _openai(400, "Your prompt was flagged as violating our usage policy.", code="invalid_prompt"),
            "openrouter": _openrouter(
                403, "Your input was flagged", "content_policy_violation", reasons=["violence"], flagged_input="…"
            ),
        },
    ),
    "stream_only": ErrorKind(
        "StreamingNotSupportedError",
        {
            "openai": _openai(400, _STREAM_ONLY, code="unsupported_value")._replace(phrase=_STREAM_PHRASE),
            "anthropic": _anthropic(400, _STREAM_ONLY)._replace(phrase=_STREAM_PHRASE),
            "gemini": _gemini(400, _STREAM_ONLY, word="FAILED_PRECONDITION")._replace(phrase=_STREAM_PHRASE),
            "openrouter": _openrouter(400, _STREAM_ONLY, "invalid_request")._replace(phrase=_STREAM_PHRASE),
        },
    ),
    "overloaded": ErrorKind(
        "ProviderUnavailableError",
        {
            "openai": _openai(503, "The engine is currently overloaded.", "service_unavailable_error", "server_is_overloaded"),
            "anthropic": _anthropic(529, "Overloaded", True),
            "gemini": _gemini(503, "The model is overloaded. Please try again later."),
            "openrouter": _openrouter(503, "{model} is temporarily overloaded upstream.", "provider_overloaded"),
        },
    ),
    "server": ErrorKind(
        "ProviderUnavailableError",
        {
            "openai": _openai(500, "The server had an error while processing your request.", "server_error"),
            "anthropic": _anthropic(500, "Internal server error", True),
            "gemini": _gemini(500, "An internal error has occurred."),
            "openrouter": _openrouter(
                502,
                "Provider returned error",
                "provider_unavailable",
                provider_name="Simulated",
                raw='{"error":"upstream failed"}',
            ),
        },
    ),
    "conflict": ErrorKind(
        "ProviderUnavailableError",
        {
            "openai": _openai(409, "Another request holds the lock.", code="conflict"),
            "anthropic": _anthropic(409, "The resource is locked.", True),
            "gemini": _gemini(409, "The operation was aborted."),
            "openrouter": _openrouter(409, "Provider returned error", "provider_unavailable"),
        },
    ),
    "timeout": ErrorKind(
        "RequestTimeoutError",
        {
            "openai": _openai(504, "The request timed out upstream.", "timeout"),
            "anthropic": _anthropic(504, "Request timed out", True),
            "gemini": _gemini(504, "The request timed out. Please try again."),
            "openrouter": _openrouter(408, "The request timed out.", "timeout"),
        },
    ),
}
ERROR_KINDS = tuple(ERRORS)
# the kind of error by the class that llm-sync raises
KIND_BY_CLASS: Mapping[str, str] = {error.error_class: kind for kind, error in reversed(tuple(ERRORS.items()))}


# By dialect, then by kind.
_FURTHER: Mapping[str, Mapping[str, ErrorSpelling]] = {"bedrock": BEDROCK, "gemini-interactions": INTERACTIONS}


def spelling_of(kind: str, dialect: str) -> ErrorSpelling:
    """The spelling of a kind of error in a dialect."""
    own = _FURTHER.get(dialect, {}).get(kind)
    if own is not None:
        return own
    spellings = ERRORS[kind].spellings
    return spellings[dialect] if dialect in spellings else spellings["openai"]
