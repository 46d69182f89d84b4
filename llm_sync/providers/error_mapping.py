"""Error replies: read into one shape, and mapped to a class of llm_sync.errors.

Code and type decide first, the message's text only if they do not, the status last. A dialect adds its own words to the
tables; the mechanism is the same for all.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from llm_sync import errors
from llm_sync.errors import ProviderError
from llm_sync.providers.json_body import parse_strictly

ErrorClass = type[ProviderError]

_STATUS: dict[int, ErrorClass] = {
    400: errors.InvalidRequestError,
    401: errors.AuthenticationError,
    402: errors.QuotaExceededError,
    403: errors.PermissionDeniedError,
    404: errors.ModelNotFoundError,
    408: errors.RequestTimeoutError,
    409: errors.ProviderUnavailableError,
    425: errors.ProviderUnavailableError,
    429: errors.RateLimitError,
    498: errors.ProviderUnavailableError,
    504: errors.RequestTimeoutError,
    524: errors.RequestTimeoutError,
}
_RETRYABLE = frozenset({408, 409, 425, 429, 498, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})

# Words any server may use for itself, whatever its dialect; checked in the order code, then type.
COMMON_WORDS: dict[str, ErrorClass] = {
    "authentication_error": errors.AuthenticationError,
    "invalid_api_key": errors.AuthenticationError,
    "permission_error": errors.PermissionDeniedError,
    "permission_denied": errors.PermissionDeniedError,
    "insufficient_quota": errors.QuotaExceededError,
    "billing_error": errors.QuotaExceededError,
    "rate_limit_exceeded": errors.RateLimitError,
    "rate_limit_error": errors.RateLimitError,
    "overloaded_error": errors.ProviderUnavailableError,
    "service_unavailable_error": errors.ProviderUnavailableError,
    "server_is_overloaded": errors.ProviderUnavailableError,
    "model_not_found": errors.ModelNotFoundError,
    "not_found_error": errors.ModelNotFoundError,
    "context_length_exceeded": errors.ContextLengthExceededError,
    "content_filter": errors.ContentBlockedError,
    "content_policy_violation": errors.ContentBlockedError,
    "server_error": errors.ProviderUnavailableError,
}
# Words that mean no more than a status of 400. They decide if there is no status, or as OpenRouter's error_type. An
# "unknown_error" or an "invalid_response" is the server's own, and may be gone with the next attempt.
_UNFIT = re.compile(
    r"(?:invalid|unsupported|unknown|missing|image|empty_image|failed_to_download)_(?!error$|response|server|upstream)|"
    r"(?:string_too_long|precondition_failed|payload_too_large|unprocessable)$"
)
# What only the message says, over statuses that allow it (the texts of llama.cpp, OpenAI, vLLM, LM Studio, Perplexity …).
CONTEXT_PHRASES = re.compile(
    r"context size has been exceeded|maximum context length|exceeds? the available context size|"
    r"exceed(?:s|ed)? (?:(?:the|this model'?s?) )?(?:maximum )?context (?:window|length|limit)|"
    r"(?:prompt|input) is too long|input tokens exceed the configured limit|"
    r"input token count(?: \(?\d+\)?)? exceeds|input token count is \d+ but|maximum prompt length is \d|"
    r"prompt exceeds max length|reduce the length of the messages|max_new_tokens`? must be <=|"
    r"(?:greater than the|loaded with) context length",
    re.IGNORECASE,
)
_KEY_PHRASES = re.compile(r"(?:incorrect|invalid) api key|api key (?:not valid|expired)", re.IGNORECASE)  # xAI, Gemini
_BILLING_PHRASES = re.compile(  # z.ai, xAI, Gemini: statuses and codes as of a rate limit, or none
    r"insufficient (?:balance|credits?|funds)|used all (?:available|its) credits|spending (?:limit|cap)\b", re.IGNORECASE
)
_NO_ROUTE = re.compile(r"meets? your routing requirements", re.IGNORECASE)  # OpenRouter, with a 503
STREAM_ONLY = re.compile(
    r"only supports? stream|only support(?:s|ed)? (?:in )?stream|must be streamed|stream(?:ing)? (?:must be|is required)",
    re.IGNORECASE,
)
_OVERSIZE = re.compile(r"request too large .*?limit (\d+).*?requested (\d+)", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<(script|style)\b.*?(?:</\1\s*>|\Z)|<[^<>]*>", re.IGNORECASE | re.DOTALL)
_TEXT_LIMIT = 400


@dataclass(frozen=True)
class ApiError:
    """An error reply in one shape. ``words``: its codes, types and statuses as strings, the most specific first."""

    status: int
    message: str
    words: tuple[str, ...] = ()
    param: str | None = None
    error: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None

    def has(self, *words: str) -> bool:
        """Whether the error carries one of these words as its code, type or status."""
        return any(word in self.words for word in words)

    @property
    def metadata(self) -> Mapping[str, Any]:
        """OpenRouter's additions to the error."""
        metadata = self.error.get("metadata")
        return metadata if isinstance(metadata, dict) else {}

    @property
    def unroutable(self) -> bool:
        """Whether OpenRouter has no upstream for this request, however often it is sent."""
        return _NO_ROUTE.search(self.message) is not None

    @property
    def per_day(self) -> bool:
        """Whether Google says that a daily quota is used up."""
        details = self.error.get("details")
        return any("PerDay" in quota for quota in _quotas(details if isinstance(details, list) else ()))


def read_api_error(status: int, body: Any) -> ApiError:
    """Read ``body`` (parsed JSON, or text if it was none), in any known form; never fails."""
    body = body[0] if isinstance(body, list) and body and isinstance(body[0], dict) else body
    if not isinstance(body, dict):
        return ApiError(status, _text_of_page(body), body=body)
    inner = body.get("error")
    error: Mapping[str, Any] = inner if isinstance(inner, dict) else body
    upstream = _upstream(error)
    words = [*_words(error), *(_words(upstream) if upstream else ())]
    message = _message(body, inner)
    if upstream:
        theirs = _message(upstream, upstream.get("error"))
        message = f"{message}: {theirs}" if theirs and theirs not in message else message
    param = error.get("param") or (upstream and _inner(upstream).get("param"))
    return ApiError(
        status=_status_in(error, status) if status < 400 else status,
        message=message or f"HTTP status {status} without a message",
        words=tuple(words),
        param=param if isinstance(param, str) else None,
        error=error,
        body=body,
    )


def error_class(error: ApiError, *tables: Mapping[str, ErrorClass]) -> ErrorClass:
    """The class for ``error``, decided in this order: the dialect's words, the message, the common words, the status."""
    for table in tables:
        for word in error.words:
            if word in table:
                return table[word]
    if CONTEXT_PHRASES.search(error.message):
        return errors.ContextLengthExceededError  # llama.cpp calls it server_error, most call it invalid_request_error
    if error.status <= 400 and _KEY_PHRASES.search(error.message):
        return errors.AuthenticationError
    if error.status in (400, 403, 429) and _BILLING_PHRASES.search(error.message):
        return errors.QuotaExceededError
    for word in error.words:
        if word in COMMON_WORDS:
            return COMMON_WORDS[word]
    telling: tuple[str, ...] = ()
    if error.status < 400:
        telling = error.words
    elif error.status == 400 or error.status >= 500:  # other statuses are more specific: "missing_api_key" over a 401
        telling = (str(error.metadata.get("error_type") or error.error.get("error_type")),)
    if "not_found" in telling:
        return errors.ModelNotFoundError
    if any(_UNFIT.match(word) for word in telling):
        return errors.InvalidRequestError
    if error.status in _STATUS:
        return _STATUS[error.status]
    if error.status >= 500:
        return errors.ProviderUnavailableError
    return errors.InvalidRequestError if error.status >= 400 else ProviderError


def is_retryable(kind: ErrorClass, error: ApiError, should_retry: str | None = None) -> bool:
    """Whether the same request may succeed later.

    ``should_retry``: the ``x-should-retry`` header, which beats the status, as OpenRouter's ``availability.retryable`` does.
    """
    if not kind.retryable or _is_oversize(error) or error.unroutable:
        return False
    availability = error.error.get("availability")
    explicit = availability.get("retryable") if isinstance(availability, dict) else None
    if isinstance(explicit, bool):
        return explicit
    if should_retry in ("true", "false"):
        return should_retry == "true"
    return error.status in _RETRYABLE or error.status < 500  # below 500 only a specific word leads to a retryable class


def _is_oversize(error: ApiError) -> bool:
    """One request larger than the limit per minute: a 429 that never succeeds."""
    sizes = _OVERSIZE.search(error.message.replace(",", ""))
    return bool(sizes and int(sizes[2]) > int(sizes[1]))


def _status_in(error: Mapping[str, Any], status: int) -> int:
    """The HTTP status that an error inside a 200 names, if any."""
    for key in ("code", "http_status", "status", "status_code"):
        value = error.get(key)
        value = int(value) if isinstance(value, str) and value.isdigit() else value
        if isinstance(value, int) and not isinstance(value, bool) and 400 <= value <= 599:
            return value
    return status


def _inner(error: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = error.get("error")
    return inner if isinstance(inner, dict) else error


def _words(error: Mapping[str, Any]) -> list[str]:
    error = _inner(error)
    words = [error.get("code"), error.get("error_type"), error.get("type"), error.get("status")]
    metadata, details, inner = error.get("metadata"), error.get("details"), error.get("innererror")
    if isinstance(metadata, dict):
        words = [metadata.get("limit_source"), metadata.get("error_type"), metadata.get("provider_code"), *words]
    if isinstance(details, dict):
        words = [details.get("error_code"), *words]
    if isinstance(details, list):
        words = [*(item.get("reason") for item in details if isinstance(item, dict)), *words]
    if isinstance(inner, dict):
        words.append(inner.get("code"))
    return [word for word in words if isinstance(word, str)]


def _upstream(error: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The upstream's body, which OpenRouter passes on in ``metadata.raw``, as text or as an object."""
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    if isinstance(raw, str):
        try:
            parsed = parse_strictly(raw)
        except ValueError:
            parsed = None
        raw = parsed if isinstance(parsed, (dict, list)) else {"message": raw}
    raw = raw[0] if isinstance(raw, list) and raw else raw
    return raw if isinstance(raw, dict) else None


def _message(body: Mapping[str, Any], error: Any) -> str:
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        return _cut(error["message"])
    return _cut(_text_in(error) or _text_in(body) or (json.dumps(error) if error else ""))


def _text_in(value: Any, depth: int = 4) -> str:
    """The text of a message: a string, an object that has one, or a list of both."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and depth:
        return "; ".join(filter(None, (_text_in(item, depth - 1) for item in value[:20])))
    if isinstance(value, dict) and depth:
        for key in ("message", "Message", "detail", "msg", "error", "errors"):
            text = _text_in(value.get(key), depth - 1)
            if text:
                return f"{_location(value.get('loc'))}{text}"
    return ""


def _location(loc: Any) -> str:
    parts = loc if isinstance(loc, list) else [loc] if loc else []
    return f"{'.'.join(map(str, parts))}: " if parts else ""


def _quotas(details: Iterable[Any]) -> Iterator[str]:
    for detail in details:
        violations = detail.get("violations") if isinstance(detail, dict) else None
        for violation in violations if isinstance(violations, list) else ():
            yield str(violation.get("quotaId", "")) if isinstance(violation, dict) else ""


def _text_of_page(body: Any) -> str:
    """An HTML page or a bare text, as one short line."""
    text = body if isinstance(body, str) else "" if body is None else json.dumps(body)
    return _cut(html.unescape(" ".join(_TAG.sub(" ", text[:20_000]).split()))) or "an empty body"


def _cut(text: str) -> str:
    return text if len(text) <= _TEXT_LIMIT else text[:_TEXT_LIMIT] + " …"
