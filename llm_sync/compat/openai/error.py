"""``openai.error``: the exceptions of openai 0.28, and how our errors map to them."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from llm_sync.compat.openai import exceptions
from llm_sync.compat.openai.exceptions import ID_HEADER
from llm_sync.compat.openai.exceptions import OpenAIError as OpenAIError  # noqa: PLC0414  (a name of openai.error)
from llm_sync.compat.openai.response_objects import OpenAIObject
from llm_sync.compat.shim.error_mapping import CONNECTION, STATUS, TIMEOUT, ErrorResponse, classify, describe, provider_message
from llm_sync.compat.shim.exception_trees import StatusErrorTree
from llm_sync.errors import LLMConnectorError


class LegacyError(StatusErrorTree, OpenAIError):
    """Attributes: ``http_status``, ``http_body``, ``json_body``, ``headers``, ``code``, ``request_id``, ``organization``."""

    by_status: ClassVar[dict[int, type[Any]]] = {}

    def __init__(
        self,
        message: str | None = None,
        http_body: Any = None,
        http_status: int | None = None,
        json_body: Any = None,
        headers: Any = None,
        code: str | None = None,
    ) -> None:
        Exception.__init__(self, message or "")
        self.http_body = http_body
        self.http_status = http_status
        self.json_body = json_body
        self.headers = headers or {}
        self.code = code
        self.request_id = self.headers.get(ID_HEADER)
        self.organization = self.headers.get("openai-organization")

    @property
    def user_message(self) -> str:
        """What happened, for a user."""
        return self.message

    @property
    def error(self) -> Any:
        """The provider's ``error`` object, or None."""
        error = self.json_body.get("error") if isinstance(self.json_body, dict) else None
        return OpenAIObject.read(error) if isinstance(error, dict) else None


class APIError(LegacyError, exceptions.APIError):
    """Any status without a class of its own, such as 500; or a response that cannot be read."""


class TryAgain(LegacyError, status=409):
    """409."""


class Timeout(LegacyError):
    """The request took longer than ``request_timeout``."""


class APIConnectionError(LegacyError):
    """No connection, or it broke."""

    should_retry = False


class InvalidRequestError(LegacyError, status=(400, 404, 415)):
    """400, 404 and 415. ``param``: the parameter that is wrong, where the provider says."""

    def __init__(self, message: str, param: str | None = None, code: str | None = None, **rest: Any) -> None:
        super().__init__(message, code=code, **rest)
        self.param = param


class AuthenticationError(LegacyError, status=401):
    """401, or there is no key."""


class PermissionError(LegacyError, status=403):  # noqa: A001  (its name in openai.error)
    """403."""


class RateLimitError(LegacyError, status=429):
    """429."""


class ServiceUnavailableError(LegacyError, status=503):
    """503."""


class InvalidAPIType(LegacyError):
    """``api_type`` is unknown."""


class SignatureVerificationError(LegacyError):
    """Never raised here."""


def map_error(error: LLMConnectorError) -> OpenAIError:
    """The exception of openai 0.28 for ``error``."""
    return describe(_made(error), error)  # type: ignore[return-value]


def _made(error: LLMConnectorError) -> OpenAIError:
    kind, status = classify(error)
    message, inner = provider_message(error)
    if kind == TIMEOUT:
        return Timeout(f"Request timed out: {error.message}")
    if kind == CONNECTION:
        return APIConnectionError(f"Error communicating with OpenAI: {error.message}")
    details = inner or {}
    rest: dict[str, Any] = {}
    if error.status is not None:
        response = ErrorResponse.of(error, error.status, ID_HEADER)
        body = {"error": inner} if inner is not None else None
        rest |= {"http_status": status or error.status, "json_body": body, "headers": response.headers}
        rest["http_body"] = json.dumps(body) if body else response.text
    if kind != STATUS:
        return APIError(str(error), **rest) if error.status else OpenAIError(str(error))
    text = message if error.status is not None else str(error)
    named = LegacyError.by_status.get(status or 0, APIError)
    if named is InvalidRequestError:
        return InvalidRequestError(text, details.get("param"), details.get("code"), **rest)
    if status == 401 and error.status is None:
        return AuthenticationError(text)
    if status == 503:
        text = "The server is overloaded or not ready yet."
    return named(text, **rest)  # type: ignore[no-any-return]
