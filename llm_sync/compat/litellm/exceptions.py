"""The exceptions of litellm, which subclass openai's, and how our errors map to them."""

from __future__ import annotations

from typing import Any, ClassVar

from llm_sync import errors
from llm_sync.compat.openai import exceptions as openai
from llm_sync.compat.openai.exceptions import ID_HEADER
from llm_sync.compat.openai.exceptions import OpenAIError as OpenAIError  # noqa: PLC0414  (a name of litellm)
from llm_sync.compat.shim.error_mapping import (
    CONNECTION,
    STATUS,
    TIMEOUT,
    UNUSABLE,
    ErrorResponse,
    classify,
    describe,
    provider_message,
)
from llm_sync.compat.shim.exception_trees import StatusErrorTree
from llm_sync.errors import LLMConnectorError


class LitellmError(StatusErrorTree, openai.OpenAIError):
    """Attributes of litellm's exceptions: ``status_code``, ``llm_provider``, ``model``, ``response``, ``body`` …"""

    by_status: ClassVar[dict[int, type[Any]]] = {}
    status_code: Any = 500  # a class declared with several statuses gets the first one

    def __init_subclass__(cls, *, status: int | tuple[int, ...] = ()) -> None:
        super().__init_subclass__(status=status)
        if status:
            cls.status_code = status if isinstance(status, int) else status[0]

    def __init__(self, message: str, llm_provider: str | None = None, model: str | None = None, **rest: Any) -> None:
        name = type(self).__name__
        Exception.__init__(self, message if message.startswith(f"litellm.{name}") else f"litellm.{name}: {message}")
        self.llm_provider = llm_provider
        self.model = model
        self.body = rest.get("body")
        error_body = self.body if isinstance(self.body, dict) else {}
        self.code, self.param, self.type = error_body.get("code"), error_body.get("param"), error_body.get("type")
        self.response = rest.get("response") or ErrorResponse(self.status_code)
        self.request_id = self.response.headers.get(ID_HEADER)
        self.request = None
        self.num_retries = rest.get("num_retries")
        self.max_retries = rest.get("max_retries")
        if "status_code" in rest:
            self.status_code = rest["status_code"]


class APIError(LitellmError, openai.APIError):
    """Any status without a class of its own; it stands in ``status_code``."""


class APIConnectionError(LitellmError, openai.APIConnectionError):
    """No connection, or it broke. 500."""


class APIResponseValidationError(LitellmError, openai.APIResponseValidationError):
    """The answer is not of the API's shape."""


class Timeout(LitellmError, openai.APITimeoutError, status=(408, 504)):
    """An attempt took longer than ``timeout``. 408."""


class BadRequestError(LitellmError, openai.BadRequestError, status=(400, 422)):
    """400."""


class InvalidRequestError(BadRequestError):
    """400."""


class UnsupportedParamsError(BadRequestError):
    """This provider does not support the parameter; with ``drop_params`` it is left out."""


class ContextWindowExceededError(BadRequestError):
    """Prompt and answer do not fit the model."""


class ContentPolicyViolationError(BadRequestError):
    """Refused or blocked."""


class AuthenticationError(LitellmError, openai.AuthenticationError, status=401):
    """401, or the key is missing."""


class PermissionDeniedError(LitellmError, openai.PermissionDeniedError, status=403):
    """403."""


class NotFoundError(LitellmError, openai.NotFoundError, status=404):
    """404."""


class UnprocessableEntityError(LitellmError, openai.UnprocessableEntityError):
    """Never raised here: litellm makes 422 a BadRequestError."""

    status_code = 422


class RateLimitError(LitellmError, openai.RateLimitError, status=429):
    """429: too fast, or the quota is spent (``__cause__`` tells which)."""


class InternalServerError(LitellmError, openai.InternalServerError, status=500):
    """500."""


class BadGatewayError(LitellmError, openai.APIStatusError, status=502):
    """502."""


class ServiceUnavailableError(LitellmError, openai.APIStatusError, status=(503, 529)):
    """503, and 529."""


class BudgetExceededError(Exception):
    """Never raised here: llm-sync keeps no budgets."""


class JSONSchemaValidationError(APIResponseValidationError):
    """Never raised here: see APIResponseValidationError."""


_CLOSER: tuple[tuple[type[LLMConnectorError], type[LitellmError]], ...] = (
    (errors.ContextLengthExceededError, ContextWindowExceededError),
    (errors.ContentBlockedError, ContentPolicyViolationError),
)


def map_error(error: LLMConnectorError) -> OpenAIError:
    """The exception of litellm for ``error``."""
    return describe(_made(error), error)  # type: ignore[return-value]


def _made(error: LLMConnectorError) -> OpenAIError:
    kind, status = classify(error)
    message, inner = provider_message(error)
    provider = error.provider or ""
    text = f"{_title(provider)}Exception - {message}" if error.status else str(error)
    rest: dict[str, Any] = {"llm_provider": provider, "model": error.model or "", "body": inner}
    closer = next((error_class for ours, error_class in _CLOSER if isinstance(error, ours)), None)
    if closer is not None:
        return closer(text, **rest)
    if kind == STATUS and status is not None:
        error_class = LitellmError.by_status.get(status) or (InternalServerError if status >= 500 else APIError)
        return error_class(text, response=ErrorResponse.of(error, status, ID_HEADER), status_code=status, **rest)
    if kind == TIMEOUT:
        return Timeout(text, **rest)
    if kind == CONNECTION:
        return APIConnectionError(text, **rest)
    if kind == UNUSABLE:
        return APIResponseValidationError(str(error), **rest)
    return openai.OpenAIError(str(error))


def _title(provider: str) -> str:
    return {"openai": "OpenAI", "anthropic": "Anthropic", "gemini": "Gemini", "azure": "Azure"}.get(provider, provider.title())
