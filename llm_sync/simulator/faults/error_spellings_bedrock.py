"""The errors of Amazon Bedrock: a header names them, the body is a message alone."""

from __future__ import annotations

from collections.abc import Mapping

from llm_sync.simulator.faults.error_spelling import ErrorSpelling, phrase

# The usual error of a status.
BEDROCK_TYPES: Mapping[int, str] = {
    400: "ValidationException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    409: "ConflictException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}
_INNER = "The model returned the following errors: "


def _named(status: int, message: str, name: str | None = None) -> ErrorSpelling:
    name = name or BEDROCK_TYPES[status]
    header = {"x-amzn-errortype": f"{name}:http://internal.amazon.com/coral/com.amazon.bedrock/"}
    return ErrorSpelling(status, message, headers=header)


BEDROCK: Mapping[str, ErrorSpelling] = {
    "bad_request": _named(400, "Malformed input request, please reformat your input and try again."),
    "auth": _named(403, "Authentication failed: Please make sure your API Key is valid.", "UnrecognizedClientException"),
    "permission": _named(403, "You don't have access to the model with the specified model ID."),
    "quota": _named(400, "Your request exceeds the service quota for your account.", "ServiceQuotaExceededException"),
    "rate_limit": _named(429, "Too many requests, please wait before trying again."),
    "not_found": _named(400, "The provided model identifier is invalid.")._replace(phrase=phrase("model identifier is invalid")),
    "context": _named(
        400,
        f"{_INNER}Input Tokens Exceeded: Number of input tokens exceeds maximum length. Please update the input to try again.",
    )._replace(phrase=phrase("input tokens exceed")),
    "too_large": _named(413, "Request Entity Too Large", "RequestEntityTooLargeException"),
    "content_policy": _named(400, f"{_INNER}Output blocked by content filtering policy.")._replace(
        phrase=phrase("content filtering policy")
    ),
    "stream_only": _named(400, "This model only supports streaming.")._replace(phrase=phrase("only supports? stream")),
    "overloaded": _named(503, "Too many connections, please wait before trying again."),
    "server": _named(500, "The system encountered an unexpected error during processing. Try your request again."),
    "conflict": _named(409, "The resource is in use."),
    "timeout": _named(408, "The processing of the request took too long. Try your request again."),
}
