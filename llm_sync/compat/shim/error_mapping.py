"""What an error of ours is in the words of the SDKs: a kind, a status, the provider's body. Each shim names its classes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from llm_sync import errors
from llm_sync.errors import LLMConnectorError

TIMEOUT, CONNECTION, UNUSABLE, STATUS, OTHER = "timeout", "connection", "unusable", "status", "other"

# The status the provider would have answered with, where an error was raised before anything was sent.
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
    """The script asks for something of the original that its shim does not have; nothing was sent."""


class Classification(NamedTuple):
    """``kind``: one of the words above; ``status``: an HTTP status of 400 or more where ``kind`` is STATUS, else None."""

    kind: str
    status: int | None


def classify(error: LLMConnectorError) -> Classification:
    """What happened, as SDKs tell it apart: a status, a timeout, a lost connection, an unusable answer, or none of these."""
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
    """The provider's message, else ours, and the ``error`` object of its body, else one made of ours; None without either."""
    body = getattr(error, "body", None)
    body = body[0] if isinstance(body, list) and body else body
    inner = body.get("error", body) if isinstance(body, dict) else None
    if isinstance(inner, str):
        inner = {"message": inner}
    if isinstance(inner, dict):
        told = inner.get("message")
        return (told if isinstance(told, str) else error.message), inner
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
    """What SDKs keep of a refused exchange: ``status_code``, ``headers`` (those that are known), ``text``, ``json()``."""

    request = url = None  # not kept: some providers' URLs hold keys

    def __init__(self, status_code: int, headers: Mapping[str, str] | None = None, body: Any = None) -> None:
        self.status_code = status_code
        self.headers = Headers(headers or {})
        self.text = body if isinstance(body, str) else "" if body is None else json.dumps(body)
        self.content = self.text.encode("utf-8", "backslashreplace")

    @classmethod
    def of(cls, error: LLMConnectorError, status: int, id_header: str) -> ErrorResponse:
        """The exchange that ended with ``error``; ``id_header`` carries its request id."""
        headers = {"content-type": "application/json"}
        if error.request_id:
            headers[id_header] = error.request_id
        if error.retry_after is not None:
            headers["retry-after"] = f"{error.retry_after:g}"
        return cls(status, headers, getattr(error, "body", None))

    @property
    def reason_phrase(self) -> str:
        """The status in words; nothing for one that is not known."""
        from http import HTTPStatus

        known = {status.value: status.phrase for status in HTTPStatus}
        return known.get(self.status_code, "")

    @property
    def is_success(self) -> bool:
        """Whether the status is of the 200s."""
        return 200 <= self.status_code < 300

    @property
    def is_client_error(self) -> bool:
        """Whether the status is of the 400s."""
        return 400 <= self.status_code < 500

    @property
    def is_server_error(self) -> bool:
        """Whether the status is of the 500s."""
        return 500 <= self.status_code < 600

    @property
    def is_error(self) -> bool:
        """Whether the status is of the 400s or 500s."""
        return 400 <= self.status_code < 600

    def json(self) -> Any:
        """The body, parsed. Raises ValueError where it is no JSON."""
        return json.loads(self.text)

    def __repr__(self) -> str:
        return f"<Response [{self.status_code}]>"


class ShimError(LLMConnectorError):
    """What every shim's root exception is: any constructor, and it pickles and copies all the same.

    ``__cause__`` is the error of llm-sync behind it, whose ``guidance`` tells what to do.
    """

    @property
    def message(self) -> str:
        """What happened, in the original's words."""
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
    """Give ``made`` what ours knows: provider, model, attempts and the rest; and the way out as a note behind its text."""
    for name in ("provider", "model", "status", "retryable", "retry_after", "attempts", "guidance"):
        value = getattr(error, name)
        if value is not None and name not in made.__dict__:
            made.__dict__[name] = value
    return made


class translate_errors:  # noqa: N801  (a context, used as contextlib's are; every call goes through it)
    """Errors of ours leave as the shim's, with ours as their cause."""

    __slots__ = ("_map_error",)

    def __init__(self, map_error: Callable[[LLMConnectorError], BaseException]) -> None:
        self._map_error = map_error

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, LLMConnectorError) and not isinstance(error, ShimError):
            raise self._map_error(error) from error
