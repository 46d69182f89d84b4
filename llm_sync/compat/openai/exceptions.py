"""The exceptions of openai 1.x and later, and which of them an error of ours is."""

from __future__ import annotations

from typing import Any

from llm_sync.compat.failures import (
    CONNECTION,
    OTHER,
    STATUS,
    TIMEOUT,
    UNUSABLE,
    ErrorResponse,
    ShimError,
    describe,
    verdict,
    words_of,
)
from llm_sync.errors import ContentBlockedError, LLMConnectorError, TruncatedResponseError

ID_HEADER = "x-request-id"


class OpenAIError(ShimError):
    """Root of both generations' exceptions; ``__cause__`` is the error of llm-sync behind it."""


class APIError(OpenAIError):
    """The API, or the way to it, failed. ``body``: the provider's ``error`` object; ``code``, ``param``, ``type`` are in it."""

    def __init__(self, message: str = "", request: Any = None, *, body: Any = None) -> None:
        Exception.__init__(self, message)
        self.request = request
        self.body = body
        found = body if isinstance(body, dict) else {}
        self.code = found.get("code")
        self.param = found.get("param")
        self.type = found.get("type")


class APIStatusError(APIError):
    """An answer with a status of 400 or more: ``status_code``, ``response``, ``request_id``."""

    def __init__(self, message: str, *, response: Any, body: Any = None) -> None:
        super().__init__(message, getattr(response, "request", None), body=body)
        self.response = response
        self.status_code: Any = response.status_code
        self.request_id = response.headers.get(ID_HEADER)


class BadRequestError(APIStatusError):
    """400."""


class AuthenticationError(APIStatusError):
    """401, or a key that cannot be had."""


class PermissionDeniedError(APIStatusError):
    """403."""


class NotFoundError(APIStatusError):
    """404."""


class ConflictError(APIStatusError):
    """409."""


class UnprocessableEntityError(APIStatusError):
    """422."""


class RateLimitError(APIStatusError):
    """429: too fast, or the quota is spent (``__cause__`` tells which)."""


class InternalServerError(APIStatusError):
    """500 and more."""


class APIConnectionError(APIError):
    """No connection, or it broke."""

    def __init__(self, *, message: str = "Connection error.", request: Any = None) -> None:
        super().__init__(message, request)


class APITimeoutError(APIConnectionError):
    """An attempt took longer than ``timeout``."""

    def __init__(self, request: Any = None) -> None:
        super().__init__(message="Request timed out.", request=request)


class APIResponseValidationError(APIError):
    """The answer is not of the API's shape."""

    def __init__(self, response: Any = None, body: Any = None, *, message: str | None = None) -> None:
        super().__init__(message or "Data returned by API invalid for expected schema.", body=body)
        self.response = response
        self.status_code: Any = getattr(response, "status_code", None)


class LengthFinishReasonError(OpenAIError):
    """$LLM_SYNC_STRICT: the answer was cut. ``completion``: the ModelResponse that came, or None."""

    def __init__(self, *, completion: Any = None) -> None:
        super().__init__("Could not parse response content as the length limit was reached")
        self.completion = completion


class ContentFilterFinishReasonError(OpenAIError):
    """$LLM_SYNC_STRICT: the answer was refused or blocked."""

    def __init__(self) -> None:
        super().__init__("Could not parse response content as the request was rejected by the content filter")


_BY_STATUS: dict[int, type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}


def class_for(status: int) -> type[APIStatusError]:
    """The exception of an HTTP status."""
    return _BY_STATUS.get(status) or (InternalServerError if status >= 500 else APIStatusError)


def shim_error(error: LLMConnectorError) -> OpenAIError:
    """The exception of openai that ``error`` is."""
    return describe(_made(error), error)  # type: ignore[return-value]


def _made(error: LLMConnectorError) -> OpenAIError:
    kind, status = verdict(error)
    message, inner = words_of(error)
    if kind == STATUS and status is not None:
        told = f"Error code: {status} - {message}" if error.status else str(error)
        return class_for(status)(told, response=ErrorResponse.of(error, status, ID_HEADER), body=inner)
    if kind == TIMEOUT:
        return APITimeoutError()
    if kind == CONNECTION:
        return APIConnectionError()
    if kind == UNUSABLE:
        return _unusable(error)
    assert kind == OTHER  # noqa: S101
    return OpenAIError(str(error))


def _unusable(error: LLMConnectorError) -> OpenAIError:
    if isinstance(error, TruncatedResponseError):
        return LengthFinishReasonError(completion=error.response)
    if isinstance(error, ContentBlockedError):
        return ContentFilterFinishReasonError()
    response = ErrorResponse(error.status or 200, {ID_HEADER: error.request_id} if error.request_id else None)
    return APIResponseValidationError(response, message=str(error))
