"""Maps our errors to what SDKs distinguish: a kind, a status, the provider's body. Each shim has its own classes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from llm_sync import errors
from llm_sync.errors import LLMConnectorError
from llm_sync.models.record import billed_text

TIMEOUT, CONNECTION, UNUSABLE, STATUS, OTHER = "timeout", "connection", "unusable", "status", "other"

# The status for errors that were raised before anything was sent.
_UNSENT: tuple[tuple[type[LLMConnectorError], int], ...] = (
    (errors.AuthenticationError, 401),
    (errors.PermissionDeniedError, 403),
    (errors.QuotaExceededError, 429),
    (errors.RateLimitError, 429),
    (errors.QueueFullError, 429),
    (errors.ModelNotFoundError, 404),
    (errors.InvalidRequestError, 400),
    (errors.ProviderUnavailableError, 503),
)


class NotSupportedError(errors.InvalidRequestError):
    """The script uses something of the original that its shim does not support; nothing was sent."""


class Classification(NamedTuple):
    """``kind``: one of the constants above; ``status``: an HTTP status of 400 or more if ``kind`` is STATUS, else None."""

    kind: str
    status: int | None


def classify(error: LLMConnectorError) -> Classification:
    """Classify an error as SDKs do: a status, a timeout, a lost connection, an unusable answer, or something else."""
    if error.status is not None and error.status >= 400:
        return Classification(STATUS, error.status)
    if isinstance(error, NotSupportedError):
        return Classification(OTHER, None)
    if isinstance(error, errors.RequestTimeoutError):
        return Classification(TIMEOUT, None)
    if isinstance(error, errors.UnusableAnswerError):
        return Classification(UNUSABLE, None)
    if isinstance(error, errors.ProviderConnectionError):
        return Classification(CONNECTION, None)
    status = next((status for kind, status in _UNSENT if isinstance(error, kind)), None)
    if status is not None:
        return Classification(STATUS, status)
    return Classification(CONNECTION if isinstance(error, errors.ProviderError) else OTHER, None)


def provider_message(error: LLMConnectorError) -> tuple[str, dict[str, Any] | None]:
    """The provider's message, else ours; and the ``error`` object of its body, or None."""
    body = getattr(error, "body", None)
    body = body[0] if isinstance(body, list) and body else body
    inner = body.get("error", body) if isinstance(body, dict) else None
    if isinstance(inner, str):
        inner = {"message": inner}
    if isinstance(inner, dict):
        message = inner.get("message")
        return (message if isinstance(message, str) else error.message), inner
    return error.message, None


class Headers(dict[str, str]):
    """Header fields, looked up in any case; their own names are in lower case."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        """The field, or ``default``."""
        return super().get(name.lower(), default)


class ErrorResponse:
    """The HTTP response that SDKs attach to an error: ``status_code``, ``headers`` (the known ones), ``text``, ``json()``."""

    request = url = None  # not kept: the URLs of some providers contain keys

    def __init__(self, status_code: int, headers: Mapping[str, str] | None = None, body: Any = None) -> None:
        self.status_code = status_code
        self.headers = Headers(headers or {})
        self.text = body if isinstance(body, str) else "" if body is None else json.dumps(body)
        self.content = self.text.encode("utf-8", "backslashreplace")

    @classmethod
    def of(cls, error: LLMConnectorError, status: int, id_header: str) -> ErrorResponse:
        """The response for ``error``; ``id_header`` is the header for its request id."""
        headers = {"content-type": "application/json"}
        if error.request_id:
            headers[id_header] = error.request_id
        if error.retry_after is not None:
            headers["retry-after"] = f"{error.retry_after:g}"
        return cls(status, headers, getattr(error, "body", None))

    @property
    def reason_phrase(self) -> str:
        """The status as a phrase; empty if unknown."""
        from http import HTTPStatus

        known = {status.value: status.phrase for status in HTTPStatus}
        return known.get(self.status_code, "")

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status_code < 300

    @property
    def is_client_error(self) -> bool:
        """Whether the status is 4xx."""
        return 400 <= self.status_code < 500

    @property
    def is_server_error(self) -> bool:
        """Whether the status is 5xx."""
        return 500 <= self.status_code < 600

    @property
    def is_error(self) -> bool:
        """Whether the status is 4xx or 5xx."""
        return 400 <= self.status_code < 600

    def json(self) -> Any:
        """The parsed body. Raises ValueError if it is not JSON."""
        return json.loads(self.text)

    def __repr__(self) -> str:
        return f"<Response [{self.status_code}]>"


class ShimError(LLMConnectorError):
    """Base of every shim's root exception: pickles and copies whatever the constructor of the subclass.

    ``__cause__`` is the error of llm-sync that caused it; its ``guidance`` says what to do.
    """

    @property
    def message(self) -> str:
        """The message, as the original has it."""
        return str(self.args[0]) if self.args else ""

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.args), self.__dict__


def _restored(kind: type[ShimError], args: tuple[Any, ...]) -> ShimError:
    made = kind.__new__(kind, *args)
    made.args = args
    return made


def describe(made: ShimError, error: LLMConnectorError) -> ShimError:
    """Copy provider, model, attempts, guidance and so on from ``error`` to ``made``, and the text that was paid for, as
    ``partial_text``."""
    for name in ("provider", "model", "status", "retryable", "retry_after", "attempts", "guidance"):
        value = getattr(error, name)
        if value is not None and name not in made.__dict__:
            made.__dict__[name] = value
    text = billed_text(error)
    if text:
        made.__dict__["partial_text"] = text
    return made


class translate_errors:  # noqa: N801  (a context manager, named like those of contextlib; every call uses it)
    """Context manager that turns our errors into the shim's, with ours as the cause."""

    __slots__ = ("_map_error",)

    def __init__(self, map_error: Callable[[LLMConnectorError], BaseException]) -> None:
        self._map_error = map_error

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, LLMConnectorError) and not isinstance(error, ShimError):
            raise self._map_error(error) from error
