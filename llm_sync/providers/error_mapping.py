"""The class of llm_sync.errors for an error reply, and whether the same request may succeed later.

Code and type decide first, the message's text only if they do not, the status last. The words are data (``error_words``); a
dialect may add its own. The mechanism is the same for all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from llm_sync import errors
from llm_sync.errors import ProviderError
from llm_sync.providers.error_shapes import ApiError, is_error_body, read_api_error
from llm_sync.runtime.import_lock import import_lock

__all__ = [
    "STREAM_ONLY",
    "ApiError",
    "ErrorClass",
    "error_class",
    "is_error_body",
    "is_oversize",
    "is_retryable",
    "is_wrong_path",
    "read_api_error",
]

ErrorClass = type[ProviderError]

_STATUS: dict[int, ErrorClass] = {
    400: errors.InvalidRequestError,
    401: errors.AuthenticationError,
    402: errors.QuotaExceededError,
    403: errors.PermissionDeniedError,
    404: errors.ModelNotFoundError,
    408: errors.RequestTimeoutError,
    409: errors.ProviderUnavailableError,
    407: errors.ProviderError,
    424: errors.ProviderUnavailableError,
    425: errors.ProviderUnavailableError,
    429: errors.RateLimitError,
    498: errors.ProviderUnavailableError,
    499: errors.ProviderUnavailableError,
    504: errors.RequestTimeoutError,
    524: errors.RequestTimeoutError,
}
_RETRYABLE = frozenset({408, 409, 424, 425, 429, 498, 499, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})

# Words that mean no more than a status of 400. They decide if there is no status, or as OpenRouter's error_type. An
# "unknown_error" or an "invalid_response" is the server's own, and may be gone with the next attempt.
_UNFIT = re.compile(
    r"(?:invalid|unsupported|unknown|missing|image|empty_image|failed_to_download)_(?!error$|response|server|upstream)|"
    r"(?:string_too_long|precondition_failed|payload_too_large|unprocessable)$"
)
STREAM_ONLY = re.compile(
    r"only supports? stream|only support(?:s|ed)? (?:in )?stream|must be streamed|stream(?:ing)? (?:must be|is required)",
    re.IGNORECASE,
)
_SIZES = re.compile(r"request too large .*?limit (\d+).*?requested (\d+)", re.IGNORECASE | re.DOTALL)
_TOO_LARGE = re.compile(r"request (?:is )?too large\b", re.IGNORECASE)
# What servers and gateways say of a path that they do not have: such a 404 is about base_url, not about the model.
_WRONG_PATH = re.compile(
    r"\s*(?:(?:error:? )?404:? )?(?:the )?(?:requested )?(?:page|resource|route|url|file|endpoint|path)? ?(?:was |is )?not found"
    r"(?::? /\S*)?[.!\s]*$|"
    r"\s*cannot (?:post|get) /|.{0,80}\b(?:invalid|unknown|unrecognized) (?:request )?url\b|.{0,40}\bno (?:matching )?route\b|"
    r".{0,40}\bunexpected endpoint or method|.{0,40}\bno handler found|.{0,40}\bno (?:static )?resource \S*/|"
    r".{0,60}\bthe requested (?:url|resource|path|endpoint)\b.{0,80}\b(?:not found|does not exist|not exist)|"
    r".{0,40}\bmethod not (?:allowed|found)\b|.{0,60}\bisn'?t supported on this route\b|.{0,20}\burl\.not_found\b|"
    r".{0,40}\bunsupported (?:endpoint|url|path)\b",
    re.IGNORECASE | re.DOTALL,
)
_PATH_WORDS = (
    "UnknownOperationException",
    "unknown_url",
    "api_not_supported",
    "url.not_found",
    "endpoint_not_found",
    "invalid_url",
    "route_not_found",
)


def error_class(error: ApiError, *tables: Mapping[str, ErrorClass], dialect: str | None = None) -> ErrorClass:
    """The class for ``error``, decided in this order: ``tables``, its codes, its message, its vague codes, its status.

    ``tables``: the words of a dialect. ``dialect``: the type whose entries in the common tables apply, too.
    """
    with import_lock:  # the tables are imported on the first error
        from llm_sync.providers.error_words.lookup import kind_by_phrases, kind_by_words

    for table in tables:
        for word in error.words:
            if word in table:
                return table[word]
    kind = kind_by_words(error, dialect, vague=False) or kind_by_phrases(error, dialect)
    if kind is None and _is_validation_problem(error):
        kind = errors.InvalidRequestError
    if kind is None and is_wrong_path(error):
        kind = errors.InvalidRequestError
    return kind or kind_by_words(error, dialect, vague=True) or _kind_by_status(error)


def _kind_by_status(error: ApiError) -> ErrorClass:
    specific: tuple[str, ...] = ()
    if error.status < 400:
        specific = error.words
    elif error.status == 400 or error.status >= 500:  # other statuses are more specific: "missing_api_key" over a 401
        specific = (str(error.metadata.get("error_type") or error.error.get("error_type")),)
    if "not_found" in specific:
        return errors.ModelNotFoundError
    if any(_UNFIT.match(word) for word in specific):
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
    if not kind.retryable or is_oversize(error) or error.unroutable:
        return False
    availability = error.error.get("availability")
    explicit = availability.get("retryable") if isinstance(availability, dict) else None
    if isinstance(explicit, bool):
        return explicit
    if should_retry in ("true", "false"):
        return should_retry == "true"
    return error.status in _RETRYABLE or error.status < 500  # below 500 only a specific word leads to a retryable class


def is_oversize(error: ApiError) -> bool:
    """Whether this one request is larger than the limit per minute: it never succeeds."""
    text = (error.text or error.message).replace(",", "")
    sizes = _SIZES.search(text)
    if sizes:
        return int(sizes[2]) > int(sizes[1])
    return error.status in (413, 429) and _TOO_LARGE.search(text) is not None


def is_wrong_path(error: ApiError) -> bool:
    """Whether the server does not know the path, so that ``base_url`` is wrong and not the model."""
    if error.status not in (404, 405) and error.status >= 400:
        return False
    if error.has(*_PATH_WORDS) or "unexpected endpoint" in error.message.lower():
        return True
    if error.status < 400:
        return False
    if not isinstance(error.body, dict):  # no API: a web server, a proxy, nothing at all
        return not error.text or _WRONG_PATH.match(error.text) is not None or _is_page(error.body)
    return _WRONG_PATH.match(error.text) is not None


def _is_page(body: Any) -> bool:
    return isinstance(body, str) and body.lstrip()[:1] == "<"


def _is_validation_problem(error: ApiError) -> bool:
    """Whether it is FastAPI's list of what is wrong with the request, under a status that means something else."""
    detail = error.body.get("detail") if isinstance(error.body, dict) else None
    first = detail[0] if isinstance(detail, list) and detail else None
    is_problem = isinstance(first, dict) and "loc" in first and "msg" in first
    return is_problem and (error.status < 400 or error.status >= 500)
