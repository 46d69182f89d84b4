"""What each provider says for each kind of error, by the names of llm-sync's error classes: status, words, and the phrase
by which alone some kinds are told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from llm_sync.simulator.given import Failure, Given

HUNG_UP = 0  # the status of an answer that is none: the connection closes instead

_BROKEN = ("ResponseValidationError", "UnusableAnswerError")
_NO_STREAM = "This model only supports streaming."


class Words(NamedTuple):
    """``kind`` and ``code`` as the dialect names them; ``phrase`` stands in every message of this kind; ``message`` is the
    usual one, and begins one that lacks the phrase."""

    status: int
    kind: str
    code: str | None = None
    message: str = "The simulator was told to fail."
    phrase: str = ""

    def said(self, message: str) -> str:
        """The message to send."""
        if not message:
            return self.message
        return message if self.phrase in message else f"{self.message} ({message})"


OPENAI: Mapping[str, Words] = {
    "AuthenticationError": Words(401, "invalid_request_error", "invalid_api_key"),
    "PermissionDeniedError": Words(403, "invalid_request_error", message="You are not allowed to sample from this model"),
    "QuotaExceededError": Words(429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota."),
    "RateLimitError": Words(429, "requests", "rate_limit_exceeded", "Rate limit reached on requests per min (RPM)."),
    "ModelNotFoundError": Words(404, "invalid_request_error", "model_not_found", "The model does not exist."),
    "InvalidRequestError": Words(400, "invalid_request_error"),
    "ContextLengthExceededError": Words(400, "invalid_request_error", "context_length_exceeded"),
    "ProviderUnavailableError": Words(503, "service_unavailable_error", "server_is_overloaded", "The server is overloaded."),
    "RequestTimeoutError": Words(504, "timeout", message="The request timed out."),
    "ContentBlockedError": Words(400, "invalid_request_error", "content_policy_violation"),
    "StreamingNotSupportedError": Words(400, "invalid_request_error", None, _NO_STREAM, "only supports stream"),
    "ProviderError": Words(500, "server_error", message="The server had an error while processing your request."),
}
ANTHROPIC: Mapping[str, Words] = {
    "AuthenticationError": Words(401, "authentication_error", message="invalid x-api-key"),
    "PermissionDeniedError": Words(403, "permission_error"),
    "QuotaExceededError": Words(402, "billing_error", "enforced_spend_limit_reached", "Your credit balance is too low."),
    "RateLimitError": Words(429, "rate_limit_error", message="This request would exceed your organization's rate limit."),
    "ModelNotFoundError": Words(404, "not_found_error"),
    "InvalidRequestError": Words(400, "invalid_request_error"),
    "ContextLengthExceededError": Words(
        400, "invalid_request_error", None, "prompt is too long: 200001 tokens > 200000 maximum", "prompt is too long: "
    ),
    "ProviderUnavailableError": Words(529, "overloaded_error", message="Overloaded"),
    "RequestTimeoutError": Words(504, "timeout_error", message="Request timed out."),
    "StreamingNotSupportedError": Words(400, "invalid_request_error", None, _NO_STREAM, "only supports stream"),
    "ProviderError": Words(500, "api_error", message="Internal server error"),
}
GEMINI: Mapping[str, Words] = {
    "AuthenticationError": Words(400, "INVALID_ARGUMENT", "API_KEY_INVALID", "API key not valid."),
    "PermissionDeniedError": Words(403, "PERMISSION_DENIED"),
    "QuotaExceededError": Words(
        429, "RESOURCE_EXHAUSTED", "GenerateRequestsPerDayPerProjectPerModel", "You exceeded your current quota."
    ),
    "RateLimitError": Words(
        429, "RESOURCE_EXHAUSTED", "GenerateRequestsPerMinutePerProjectPerModel", "You exceeded your current quota."
    ),
    "ModelNotFoundError": Words(404, "NOT_FOUND"),
    "InvalidRequestError": Words(400, "INVALID_ARGUMENT"),
    "ContextLengthExceededError": Words(
        400,
        "INVALID_ARGUMENT",
        None,
        "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576).",
        "input token count",
    ),
    "ProviderUnavailableError": Words(503, "UNAVAILABLE", message="The model is overloaded. Please try again later."),
    "RequestTimeoutError": Words(504, "DEADLINE_EXCEEDED", message="Deadline expired before operation could complete."),
    "StreamingNotSupportedError": Words(400, "INVALID_ARGUMENT", None, _NO_STREAM, "only supports stream"),
    "ProviderError": Words(500, "INTERNAL", message="An internal error has occurred."),
}
OPENROUTER: Mapping[str, Words] = {
    "AuthenticationError": Words(401, "authentication", message="No cookie auth credentials found"),
    "PermissionDeniedError": Words(403, "permission_denied"),
    "QuotaExceededError": Words(402, "payment_required", message="Insufficient credits."),
    "RateLimitError": Words(429, "rate_limit_exceeded", message="Rate limit exceeded."),
    "ModelNotFoundError": Words(404, "not_found", message="No endpoints found for this model."),
    "InvalidRequestError": Words(400, "invalid_request"),
    "ContextLengthExceededError": Words(
        400, "context_length_exceeded", None, "This endpoint's maximum context length is 128000 tokens.", "maximum context length"
    ),
    "ProviderUnavailableError": Words(503, "provider_overloaded", message="The upstream provider is overloaded."),
    "RequestTimeoutError": Words(408, "timeout", message="The request timed out."),
    "ContentBlockedError": Words(403, "content_policy_violation", message="Your input was flagged."),
    "StreamingNotSupportedError": Words(400, "invalid_request", None, _NO_STREAM, "only supports stream"),
    "ProviderError": Words(500, "server", message="Internal Server Error"),
}
_BY_STATUS = {
    401: "AuthenticationError",
    402: "QuotaExceededError",
    403: "PermissionDeniedError",
    404: "ModelNotFoundError",
    408: "RequestTimeoutError",
    429: "RateLimitError",
    500: "ProviderError",
    504: "RequestTimeoutError",
    524: "RequestTimeoutError",
}
# what a replayed run or an answers file may name
KINDS = (*OPENAI, "ProviderConnectionError", "EmptyResponseError", "TruncatedResponseError", *_BROKEN)


def kind_of(status: int) -> str:
    """The kind a bare status stands for."""
    return _BY_STATUS.get(status, "InvalidRequestError" if status < 500 else "ProviderUnavailableError")


def as_answer(failure: Failure, table: Mapping[str, Words]) -> Given | None:
    """The answer that fails: what is billed and answered with 200, and of no use. None: an error on the wire.

    Content is blocked by an error where the status says so and the dialect has one for it, else by a refusal.
    """
    if failure.kind == "ContentBlockedError" and (failure.kind not in table or (failure.status or 200) < 300):
        return Given(refusal=failure.message or "I cannot help with that.", whole=True)
    if failure.kind == "EmptyResponseError":
        return Given(finish="stop", whole=True)
    if failure.kind == "TruncatedResponseError":
        return Given(finish="length", whole=True)
    return None


def is_malformed(failure: Failure) -> bool:
    """Whether it is told by a 200 whose body lacks everything an answer has."""
    return failure.kind in _BROKEN


def words_for(table: Mapping[str, Words], failure: Failure) -> Words:
    """The dialect's words, with the failure's own status where it has one that is an error."""
    words = table.get(failure.kind, table["ProviderError"])
    status = failure.status if failure.status is not None and 400 <= failure.status <= 599 else words.status
    return words._replace(status=status, message=words.said(failure.message))
