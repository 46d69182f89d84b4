"""The exceptions of anthropic, and how our errors map to them."""

from __future__ import annotations

from typing import Any, ClassVar

from llm_sync.compat.shim.error_mapping import (
    CONNECTION,
    STATUS,
    TIMEOUT,
    UNUSABLE,
    ErrorResponse,
    ShimError,
    classify,
    describe,
    provider_message,
)
from llm_sync.compat.shim.exception_trees import (
    APIFailure,
    ConnectionFailure,
    InvalidResponse,
    StatusError,
    TimeoutFailure,
    class_for,
)
from llm_sync.errors import LLMConnectorError

ID_HEADER = "request-id"


class AnthropicError(ShimError):
    """The root class; ``__cause__`` is the error of llm-sync that caused it."""


class APIError(APIFailure, AnthropicError):
    """The API or the connection to it failed. ``body``: the provider's own error."""

    by_status: ClassVar[dict[int, type[Any]]] = {}


class APIStatusError(StatusError, APIError):
    """A response with a status of 400 or more: ``status_code``, ``response``, ``request_id``, ``type``."""

    id_header = ID_HEADER

    def _read(self, body: Any) -> None:
        inner = body.get("error") if isinstance(body, dict) else None
        self.type = inner.get("type") if isinstance(inner, dict) else None


class BadRequestError(APIStatusError, status=400):
    """400."""


class AuthenticationError(APIStatusError, status=401):
    """401, or the key is missing."""


class PaymentRequiredError(APIStatusError, status=402):
    """402."""


class PermissionDeniedError(APIStatusError, status=403):
    """403."""


class NotFoundError(APIStatusError, status=404):
    """404."""


class RequestTimeoutError(APIStatusError, status=408):
    """408."""


class ConflictError(APIStatusError, status=409):
    """409."""


class ContentTooLargeError(APIStatusError, status=413):
    """413."""


class UnprocessableEntityError(APIStatusError, status=422):
    """422."""


class RateLimitError(APIStatusError, status=429):
    """429: too fast, or the quota is spent (``__cause__`` tells which)."""


class InternalServerError(APIStatusError, status=500):
    """500 and more."""


class ServiceUnavailableError(InternalServerError, status=503):
    """503."""


class GatewayTimeoutError(InternalServerError, status=504):
    """504."""


class OverloadedError(InternalServerError, status=529):
    """529."""


class APIConnectionError(ConnectionFailure, APIError):
    """No connection, or it broke."""


class APITimeoutError(TimeoutFailure, APIConnectionError):
    """An attempt took longer than ``timeout``."""


class APIResponseValidationError(InvalidResponse, APIError):
    """The answer is not of the API's shape."""


RequestTooLargeError = ContentTooLargeError
DeadlineExceededError = GatewayTimeoutError

# The ``type`` of an error body by status, for errors that did not come from Anthropic.
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


def map_error(error: LLMConnectorError) -> AnthropicError:
    """The exception of anthropic for ``error``."""
    return describe(_made(error), error)  # type: ignore[return-value]


def _made(error: LLMConnectorError) -> AnthropicError:
    kind, status = classify(error)
    if kind == STATUS and status is not None:
        body = _body(error, status)
        text = f"Error code: {status} - {body}" if error.status else str(error)
        return class_for(status, APIStatusError)(text, response=ErrorResponse.of(error, status, ID_HEADER), body=body)
    if kind == TIMEOUT:
        return APITimeoutError()
    if kind == CONNECTION:
        return APIConnectionError()
    if kind == UNUSABLE:
        return APIResponseValidationError(ErrorResponse.of(error, error.status or 200, ID_HEADER), message=str(error))
    return AnthropicError(str(error))


def _body(error: LLMConnectorError, status: int) -> Any:
    """The provider's body if it has this shape, else one with the same content."""
    body = getattr(error, "body", None)
    if isinstance(body, dict) and body.get("type") == "error":
        return body
    message, _ = provider_message(error)
    kind = _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": error.request_id}
