"""The errors of Google's Interactions: a code in words, and a message."""

from __future__ import annotations

from collections.abc import Mapping

from llm_sync.simulator.faults.error_spelling import ErrorSpelling, phrase

# The usual code of a status.
INTERACTIONS_CODES: Mapping[int, str] = {
    400: "invalid_request",
    401: "unauthenticated",
    403: "permission_denied",
    404: "not_found",
    409: "aborted",
    413: "invalid_request",
    429: "resource_exhausted",
    500: "internal",
    503: "unavailable",
    504: "deadline_exceeded",
}


def _named(status: int, message: str) -> ErrorSpelling:
    return ErrorSpelling(status, message, {"code": INTERACTIONS_CODES[status]})


INTERACTIONS: Mapping[str, ErrorSpelling] = {
    "bad_request": _named(400, "Request contains an invalid argument."),
    "auth": _named(400, "API key not valid. Please pass a valid API key.")._replace(phrase=phrase("api key not valid")),
    "permission": _named(403, "The caller does not have permission"),
    "quota": _named(429, "You exceeded your current quota: requests per day.")._replace(
        phrase=phrase("per day"),
        members_by_status={402: {"code": "resource_exhausted"}, 429: {"code": "quota_exhausted"}},
    ),
    "rate_limit": _named(429, "You exceeded your current quota: requests per minute."),
    "not_found": _named(404, "Model '{model}' not found."),
    "context": _named(
        400, "The input token count ({requested}) exceeds the maximum number of tokens allowed ({window})."
    )._replace(phrase=phrase(r"input token count \(?\d+\)? exceeds")),
    "too_large": _named(400, "Request payload size exceeds the limit: 20971520 bytes."),
    "content_policy": _named(400, "The prompt was blocked by the safety policy.")._replace(
        phrase=phrase("blocked by the safety")
    ),
    "stream_only": _named(400, "This model only supports streaming.")._replace(phrase=phrase("only supports? stream")),
    "overloaded": _named(503, "The model is overloaded. Please try again later."),
    "server": _named(500, "An internal error has occurred."),
    "conflict": _named(409, "The operation was aborted."),
    "timeout": _named(504, "The request timed out. Please try again."),
}
