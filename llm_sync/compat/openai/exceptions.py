"""The exceptions of openai 1.x and later, and how our errors map to them."""

from __future__ import annotations

from typing import Any, ClassVar

from llm_sync.compat.shim.error_mapping import (
    CONNECTION,
    OTHER,
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
from llm_sync.errors import ContentBlockedError, LLMConnectorError, TruncatedResponseError

ID_HEADER = "x-request-id"


class OpenAIError(ShimError):
    """The root class of both generations; ``__cause__`` is the error of llm-sync that caused it."""


class APIError(APIFailure, OpenAIError):
    """The API or the connection to it failed. ``body``: the provider's ``error`` object (``code``, ``param``, ``type``)."""

    by_status: ClassVar[dict[int, type[Any]]] = {}

    def _read(self, body: Any) -> None:
        error_body = body if isinstance(body, dict) else {}
        self.code = error_body.get("code")
        self.param = error_body.get("param")
        self.type = error_body.get("type")


class APIStatusError(StatusError, APIError):
    """A response with a status of 400 or more: ``status_code``, ``response``, ``request_id``."""

    id_header = ID_HEADER


class BadRequestError(APIStatusError, status=400):
    """400."""


class AuthenticationError(APIStatusError, status=401):
    """401, or the key is missing."""


class PermissionDeniedError(APIStatusError, status=403):
    """403."""


class NotFoundError(APIStatusError, status=404):
    """404."""


class ConflictError(APIStatusError, status=409):
    """409."""


class UnprocessableEntityError(APIStatusError, status=422):
    """422."""


class RateLimitError(APIStatusError, status=429):
    """429: too fast, or the quota is spent (``__cause__`` tells which)."""


class InternalServerError(APIStatusError, status=500):
    """500 and more."""


class APIConnectionError(ConnectionFailure, APIError):
    """No connection, or it broke."""


class APITimeoutError(TimeoutFailure, APIConnectionError):
    """An attempt took longer than ``timeout``."""


class APIResponseValidationError(InvalidResponse, APIError):
    """The answer is not of the API's shape."""


class LengthFinishReasonError(OpenAIError):
    """$LLM_SYNC_STRICT: the answer was cut. ``completion``: the ModelResponse that came, or None."""

    def __init__(self, *, completion: Any = None) -> None:
        super().__init__("Could not parse response content as the length limit was reached")
        self.completion = completion


class ContentFilterFinishReasonError(OpenAIError):
    """$LLM_SYNC_STRICT: the answer was refused or blocked."""

    def __init__(self) -> None:
        super().__init__("Could not parse response content as the request was rejected by the content filter")


def map_error(error: LLMConnectorError) -> OpenAIError:
    """The exception of openai for ``error``."""
    return describe(_made(error), error)  # type: ignore[return-value]


def _made(error: LLMConnectorError) -> OpenAIError:
    kind, status = classify(error)
    message, inner = provider_message(error)
    if kind == STATUS and status is not None:
        text = f"Error code: {status} - {message}" if error.status else str(error)
        return class_for(status, APIStatusError)(text, response=ErrorResponse.of(error, status, ID_HEADER), body=inner)
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
    return APIResponseValidationError(ErrorResponse.of(error, error.status or 200, ID_HEADER), message=str(error))
