"""Every exception llm-sync raises, as one tree.

::

    LLMConnectorError
    ├── ConfigurationError            a config file is missing, unreadable or wrong; .problems lists all of them
    ├── StreamingNotSupportedError    streaming was asked for, or a stream or a deferred job came back
    ├── ClientClosedError             the client is closed, or the interpreter is ending, or the future was inherited by a fork
    ├── QueueFullError                block=False and max_queue reached
    ├── BatchError                    some of several requests failed; .results holds answers and exceptions in place
    ├── ToolRunError                  run_tools ended before the model answered; .tool_run has everything so far
    ├── CacheMissError                offline, and the answer is not stored; .nearest is the most similar stored request
    ├── BudgetExceededError           a budget has no money left for this request: .budget .spent .reserved .asked .opens_at
    ├── ProviderError                 the provider, or the way to it, failed (also: refused redirect, answer over the size cap)
    │   ├── AuthenticationError       the key is missing, impossible or refused
    │   ├── PermissionDeniedError     the key is good but may not do this
    │   ├── QuotaExceededError        money or a daily quota is spent: waiting does not help
    │   ├── RateLimitError            too fast: waiting helps
    │   ├── ModelNotFoundError        no such model here
    │   ├── InvalidRequestError       the request is wrong and will stay wrong
    │   │   └── ContextLengthExceededError
    │   ├── ProviderUnavailableError  overloaded, down, or a gateway in front of it is
    │   ├── RequestTimeoutError       .phase (connect, headers, body), .elapsed: seconds per attempt
    │   ├── ProviderConnectionError   no connection, or it broke
    │   └── UnusableAnswerError       something was answered (and billed) that is not an answer; .response is what came
    │       ├── ContentBlockedError   .reason
    │       ├── ResponseValidationError  .fields
    │       ├── EmptyResponseError
    │       └── TruncatedResponseError

Every error carries ``provider``, ``model``, ``status`` (HTTP), ``request_id``, ``retryable``, ``retry_after`` (seconds),
``attempts`` and ``guidance`` (what to do next); each is None where unknown. All of them pickle and copy: the constructor
takes a message and keyword attributes, and the state is the instance's ``__dict__``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime

    from llm_sync.models.responses import ModelResponse, ToolCall
    from llm_sync.models.route import RouteStep

# fmt: off
__all__ = [
    "AuthenticationError", "BatchError", "BudgetExceededError", "CacheMissError", "ClientClosedError", "ConfigurationError",
    "ContentBlockedError", "ContextLengthExceededError", "EmptyResponseError", "FieldProblem", "InvalidRequestError",
    "LLMConnectorError", "ModelNotFoundError", "PermissionDeniedError", "Problem", "ProviderConnectionError", "ProviderError",
    "ProviderUnavailableError", "QueueFullError", "QuotaExceededError", "RateLimitError", "RequestTimeoutError",
    "ResponseValidationError", "StreamingNotSupportedError", "ToolRunError", "TruncatedResponseError", "UnusableAnswerError",
]
# fmt: on


class LLMConnectorError(Exception):
    """Root of every error of this library.

    ``message`` is what happened; ``str(error)`` puts the provider and model before it and the guidance behind it.
    An unknown keyword attribute is a TypeError. ``possibly_billed``: how many attempts were sent in full without a complete
    answer; the provider may bill them. ``route``: who was asked, if the request named a route; () otherwise. ``tool_run``: all
    that a run_tools had done until then, a ToolRun; None for other calls.
    """

    provider: str | None = None
    model: str | None = None
    status: int | None = None
    request_id: str | None = None
    retryable: bool | None = None
    retry_after: float | None = None
    attempts: int | None = None
    possibly_billed: int = 0
    guidance: str | None = None
    route: tuple[RouteStep, ...] = ()
    tool_run: Any = None

    def __init__(self, message: str = "", **attributes: Any) -> None:
        super().__init__(message)
        for name, value in attributes.items():
            if name.startswith("_") or hasattr(Exception, name) or not hasattr(type(self), name):
                raise TypeError(f"{type(self).__name__} has no attribute {name!r}")
            setattr(self, name, value)

    @property
    def message(self) -> str:
        """What happened, without provider, model and guidance."""
        return str(self.args[0]) if self.args else ""

    def __str__(self) -> str:
        where = "/".join(part for part in (self.provider, self.model) if part)
        text = f"{where}: {self.message}" if where else self.message
        if not self.guidance or not text:
            return text or self.guidance or ""
        return f"{text}{'' if text.endswith(('.', '!', '?')) else '.'} {self.guidance}"


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a configuration; ``str()`` gives ``file:line: field.path: message (hint)``."""

    message: str
    field: str = ""
    file: str | None = None
    line: int | None = None
    hint: str | None = None

    def __str__(self) -> str:
        location = ":".join(str(part) for part in (self.file, self.line) if part is not None)
        text = ": ".join(part for part in (location, self.field, self.message) if part)
        return f"{text} ({self.hint})" if self.hint else text


class ConfigurationError(LLMConnectorError):
    """A configuration cannot be found, read or used. ``problems`` holds every problem found, in file order.

    ``warnings``: what a file with problems also asks for and would not get, as in ``LLMConfig.warnings``.
    """

    retryable = False
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join([super().__str__(), *(f"  {problem}" for problem in self.problems)])


class StreamingNotSupportedError(LLMConnectorError):
    """Streaming (or a deferred job) was asked for, is all the model offers, or came back."""

    retryable = False


class ClientClosedError(LLMConnectorError):
    """The client takes no more work, or this future will never be run in this process."""

    retryable = False


class QueueFullError(LLMConnectorError):
    """The provider's queue holds ``max_queue`` requests and the caller did not want to wait."""

    retryable = True


class BatchError(LLMConnectorError):
    """At least one of several requests failed. ``results``: answers and exceptions, in input order."""

    retryable = False
    results: Sequence[Any] = ()


class BudgetExceededError(LLMConnectorError):
    """A budget has less left than this attempt can cost, or cannot be checked; nothing was sent. ``budget``: its name, or
    "max_cost"; ``spent``, ``reserved``, ``asked``: USD; ``opens_at``: when its next window begins (aware, UTC). None: unknown."""

    retryable = False
    budget: str | None = None
    spent: float | None = None
    reserved: float | None = None
    asked: float | None = None
    opens_at: datetime | None = None


class ToolRunError(LLMConnectorError):
    """``run_tools`` ended before the model answered. ``call``: whose tool failed or took too long (its exception is the
    cause); None: the model still called tools after ``max_rounds`` answers. ``tool_run`` has everything so far."""

    retryable = False
    call: ToolCall | None = None


class CacheMissError(LLMConnectorError):
    """Only stored answers may be used (``--offline``, ``llm_recorded``), and there is none to this request.

    ``nearest``: the key of the stored request that differs least, as ``llm-sync cache show`` takes it; None if there is none.
    """

    retryable = False
    nearest: str | None = None


class ProviderError(LLMConnectorError):
    """The provider, or the way to it, failed. ``partial_text`` is what text had come before the failure.

    ``body``: the provider's own error, parsed JSON or text, without keys it may have echoed; None where none came.
    """

    retryable = False
    partial_text: str | None = None
    body: Any = None


class AuthenticationError(ProviderError):
    """The key is unset or of an impossible form (``status`` None), or the provider refused it."""


class PermissionDeniedError(ProviderError):
    """The key is known, but may not use this model, region or feature."""


class QuotaExceededError(ProviderError):
    """Credit, a spend limit or a daily quota is used up. Never retried."""


class RateLimitError(ProviderError):
    """Too many requests or tokens in too short a time; ``retry_after`` is the provider's own hint, in seconds."""

    retryable = True


class ModelNotFoundError(ProviderError):
    """The provider does not serve this model to this key, or not through this API."""


class InvalidRequestError(ProviderError):
    """The request cannot be answered as it is: a bad parameter, a bad payload, an unsupported feature."""


class ContextLengthExceededError(InvalidRequestError):
    """Prompt and answer together do not fit the model's context window."""


class ProviderUnavailableError(ProviderError):
    """The provider is overloaded or down."""

    retryable = True


class RequestTimeoutError(ProviderError):
    """An attempt took longer than ``timeout``, or the ``deadline`` or the caller's ``wait_timeout`` is spent.

    ``phase``: connect, headers or body, None where a gateway gave up; a retry after the latter two may be billed twice.
    ``elapsed``: seconds of each attempt.
    """

    retryable = True
    phase: str | None = None
    elapsed: tuple[float, ...] = ()


class ProviderConnectionError(ProviderError):
    """No connection could be made, TLS failed, or the connection broke before the answer was complete.

    ``stale_connection``: the provider had closed the idle connection before the request could reach it.
    """

    retryable = True
    stale_connection: bool = False


class UnusableAnswerError(ProviderError):
    """The provider answered, and billed, something that must not be taken for an answer.

    ``response``: what came, with its usage and cost, or None where nothing could be read. Its text may be empty.
    """

    response: ModelResponse | None = None


class ContentBlockedError(UnusableAnswerError):
    """A refusal, a safety or a policy block. ``reason`` is the provider's word for it."""

    reason: str | None = None


class FieldProblem(NamedTuple):
    """One field of an answer that breaks the dialect's schema."""

    path: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.path}: expected {self.expected}, found {self.found}"


class ResponseValidationError(UnusableAnswerError):
    """The answer is not of the shape this dialect answers in. ``fields``: every wrong field (at most 20)."""

    fields: tuple[FieldProblem, ...] = ()


class EmptyResponseError(UnusableAnswerError):
    """No text, only white space, and no tool call."""


class TruncatedResponseError(UnusableAnswerError):
    """The token limit or the context window cut the answer: before any text, within the JSON that a ``response_schema`` asks for,
    or, with ``strict``, within any text."""
