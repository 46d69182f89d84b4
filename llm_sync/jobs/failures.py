"""What a failed exchange about jobs means: whether a job may have been made, and whether to try again."""

from __future__ import annotations

from llm_sync.errors import (
    ClientClosedError,
    ContextLengthExceededError,
    InvalidRequestError,
    LLMConnectorError,
    ModelNotFoundError,
    ProviderConnectionError,
    ProviderError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitError,
    RequestTimeoutError,
)

UNKNOWN, NOT_SENT, BUSY, REFUSED, STOP = "unknown", "not sent", "busy", "refused", "stop"
"""What an error of a create means. UNKNOWN: the job may be there. NOT_SENT, BUSY: it is not, and may be made later. REFUSED:
because of what is in it. STOP: nor would another one be made."""

_LINES = (InvalidRequestError, ContextLengthExceededError)
_REFUSING = (400, 422)


def meaning_of_create(error: LLMConnectorError, *, checks_lines: bool) -> str:
    """What an error of the call that makes a job means. ``checks_lines``: whether that call looks at the lines."""
    status = error.status
    if status is None:
        return _meaning_without_status(error)
    if status in (408, 409) or status >= 500 or status < 300:  # a gateway's word, or an answer that cannot be read
        return UNKNOWN
    if status == 429:
        return STOP if isinstance(error, QuotaExceededError) else BUSY
    return REFUSED if _is_refused(error, checks_lines=checks_lines) else STOP


def meaning_of_upload(error: LLMConnectorError, *, checks_lines: bool) -> str:
    """What an error of a call means that comes before a job is made, and has been repeated already. No job is there."""
    if is_passing(error):
        return BUSY
    return REFUSED if _is_refused(error, checks_lines=checks_lines) else STOP


def _is_refused(error: LLMConnectorError, *, checks_lines: bool) -> bool:
    """Whether it is because of what is in the job: too much, or something that is wrong."""
    if error.status == 413:
        return True
    at_fault = isinstance(error, ModelNotFoundError) or (error.status in _REFUSING and isinstance(error, _LINES))
    return checks_lines and at_fault


def _meaning_without_status(error: LLMConnectorError) -> str:
    if isinstance(error, ClientClosedError):
        return UNKNOWN
    if isinstance(error, (ProviderConnectionError, RequestTimeoutError)):
        return UNKNOWN if error.possibly_billed else NOT_SENT
    return UNKNOWN if isinstance(error, ProviderError) else STOP  # a ConfigurationError: nothing was sent


def is_passing(error: LLMConnectorError) -> bool:
    """Whether the same call may succeed later; for calls that may be made twice."""
    if isinstance(error, QuotaExceededError):
        return False
    if type(error) is ProviderError and error.status is not None and error.status < 300:
        return True  # a gateway's page in the place of an answer
    kinds = (ProviderConnectionError, RequestTimeoutError, ProviderUnavailableError, RateLimitError)
    return isinstance(error, kinds) or (error.status is not None and (error.status in (408, 429) or error.status >= 500))


def is_gone(error: LLMConnectorError) -> bool:
    """Whether the provider does not know the job or the file."""
    return error.status in (404, 410)


def blames_lines(error: LLMConnectorError) -> bool:
    """Whether a line of the job is at fault, or their number, and not the model, the key or the provider."""
    return isinstance(error, _LINES) or error.status == 413
