"""The exceptions of anthropic, and which of them an error of ours is."""

from __future__ import annotations

from typing import Any

from llm_sync.compat.failures import (
    CONNECTION,
    STATUS,
    TIMEOUT,
    UNUSABLE,
    ErrorResponse,
    ShimError,
    describe,
    verdict,
    words_of,
)
from llm_sync.errors import LLMConnectorError

ID_HEADER = "request-id"


class AnthropicError(ShimError):
    """Root; ``__cause__`` is the error of llm-sync behind it."""


class APIError(AnthropicError):
    """The API, or the way to it, failed. ``body``: the provider's own error."""

    def __init__(self, message: str = "", request: Any = None, *, body: Any = None) -> None:
        Exception.__init__(self, message)
        self.request = request
        self.body = body


class APIStatusError(APIError):
    """An answer with a status of 400 or more: ``status_code``, ``response``, ``request_id``, ``type``."""

    def __init__(self, message: str, *, response: Any, body: Any = None) -> None:
        super().__init__(message, getattr(response, "request", None), body=body)
        self.response = response
        self.status_code = response.status_code
        self.request_id = response.headers.get(ID_HEADER)
        inner = body.get("error") if isinstance(body, dict) else None
        self.type = inner.get("type") if isinstance(inner, dict) else None


class BadRequestError(APIStatusError):
    """400."""


class AuthenticationError(APIStatusError):
    """401, or a key that cannot be had."""


class PaymentRequiredError(APIStatusError):
    """402."""


class PermissionDeniedError(APIStatusError):
    """403."""


class NotFoundError(APIStatusError):
    """404."""


class RequestTimeoutError(APIStatusError):
    """408."""


class ConflictError(APIStatusError):
    """409."""


class ContentTooLargeError(APIStatusError):
    """413."""


class UnprocessableEntityError(APIStatusError):
    """422."""


class RateLimitError(APIStatusError):
    """429: too fast, or the quota is spent (``__cause__`` tells which)."""


class InternalServerError(APIStatusError):
    """500 and more."""


class ServiceUnavailableError(InternalServerError):
    """503."""


class GatewayTimeoutError(InternalServerError):
    """504."""


class OverloadedError(InternalServerError):
    """529."""


class APIConnectionError(APIError):
    """No connection, or it broke."""

    def __init__(self, *, message: str = "Connection error.", request: Any = None) -> None:
        super().__init__(message, request)


class APITimeoutError(APIConnectionError):
    """An attempt took longer than ``timeout``."""

    def __init__(self, request: Any = None) -> None:
        super().__init__(message="Request timed out or interrupted.", request=request)


class APIResponseValidationError(APIError):
    """The answer is not of the API's shape; with $LLM_SYNC_STRICT also one that was cut, blocked or empty."""

    def __init__(self, response: Any = None, body: Any = None, *, message: str | None = None) -> None:
        super().__init__(message or "Data returned by API invalid for expected schema.", body=body)
        self.response = response
        self.status_code = getattr(response, "status_code", None)


RequestTooLargeError = ContentTooLargeError
DeadlineExceededError = GatewayTimeoutError

_BY_STATUS: dict[int, type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    402: PaymentRequiredError,
    403: PermissionDeniedError,
    404: NotFoundError,
    408: RequestTimeoutError,
    409: ConflictError,
    413: ContentTooLargeError,
    422: UnprocessableEntityError,
    429: RateLimitError,
    503: ServiceUnavailableError,
    504: GatewayTimeoutError,
    529: OverloadedError,
}
# Types of an error body, by status: for errors that no provider of this shape wrote.
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    529: "overloaded_error",
}


def shim_error(error: LLMConnectorError) -> AnthropicError:
    """The exception of anthropic that ``error`` is."""
    return describe(_made(error), error)  # type: ignore[return-value]


def _made(error: LLMConnectorError) -> AnthropicError:
    kind, status = verdict(error)
    if kind == STATUS and status is not None:
        body = _body(error, status)
        told = f"Error code: {status} - {body}" if error.status else str(error)
        found = _BY_STATUS.get(status) or (InternalServerError if status >= 500 else APIStatusError)
        return found(told, response=ErrorResponse.of(error, status, ID_HEADER), body=body)
    if kind == TIMEOUT:
        return APITimeoutError()
    if kind == CONNECTION:
        return APIConnectionError()
    if kind == UNUSABLE:
        response = ErrorResponse(error.status or 200, {ID_HEADER: error.request_id} if error.request_id else None)
        return APIResponseValidationError(response, message=str(error))
    return AnthropicError(str(error))


def _body(error: LLMConnectorError, status: int) -> Any:
    """The provider's body where it is of this shape, else one that tells the same."""
    body = getattr(error, "body", None)
    if isinstance(body, dict) and body.get("type") == "error":
        return body
    message, _ = words_of(error)
    kind = _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": error.request_id}
