"""Tells trouble between here and the provider from failures of a request: no line is at fault, and each is asked again."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping

from llm_sync.errors import (
    ConfigurationError,
    EmptyResponseError,
    LLMConnectorError,
    ProviderConnectionError,
    ProviderError,
    ResponseValidationError,
)
from llm_sync.models import ModelResponse

# This machine has no file descriptors, ports, memory or disk left, or forbids the connection.
_EXHAUSTED = frozenset(
    (
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.ENOSPC,
        errno.EADDRNOTAVAIL,
        errno.EAGAIN,
        errno.EACCES,
        errno.EPERM,
    )
)
_TOO_LARGE = (413, 414, 431)  # a proxy says this of one request, too
_BAD_REQUEST = (400, 422)
_PROVIDER_KEYS = frozenset(("error", "errors", "type", "code", "object"))  # what an API's own error has at least one of


def is_local_trouble(error: LLMConnectorError) -> bool:
    """Whether an error comes from this machine, the network, or a proxy or web page in the provider's place.

    Examples: a refused certificate, a login page, a redirect, a path that a gateway does not know, no file descriptors left, a
    runtime folder that was removed.
    """
    if isinstance(error, ProviderConnectionError):
        return error.retryable is False or _is_exhausted(error)
    if isinstance(error, ConfigurationError):  # raised while it is sent: the configuration itself was checked before
        return True
    if isinstance(error, EmptyResponseError):
        return error.response is None
    if isinstance(error, ResponseValidationError):
        return error.response is None or not _has_content(error.response)
    if isinstance(error, ProviderError) and error.status is not None:
        return error.retryable is not True and _is_from_elsewhere(error, error.status)
    return not isinstance(error, ProviderError) and _is_exhausted(error)


def _is_from_elsewhere(error: ProviderError, status: int) -> bool:
    """Whether a status comes from something in front of the provider."""
    if 300 <= status < 400 or status == 511:
        return True
    if status < 400 or status in _TOO_LARGE:
        return False
    body = error.body
    if status in _BAD_REQUEST:  # some servers say in plain text, or in a form of their own, what is wrong with a request
        return isinstance(body, str) and body.lstrip().startswith("<")
    return not (isinstance(body, Mapping) and _PROVIDER_KEYS & body.keys())


def _has_content(response: ModelResponse) -> bool:
    """Whether anything was answered or billed: else it is another program's JSON."""
    return bool(response.text) or (response.usage.input_tokens, response.usage.output_tokens) != (None, None)


def _is_exhausted(error: BaseException) -> bool:
    return any(isinstance(cause, OSError) and cause.errno in _EXHAUSTED for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what it was raised from, also within the arguments that urllib3 and requests put causes into."""
    pending: list[object] = [error]
    seen: set[int] = set()
    while pending:
        cause = pending.pop()
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            pending += [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]
