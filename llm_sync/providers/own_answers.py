"""Providers that make their answers themselves: subclasses of LLMProvider with a ``generate_response`` of their own.

The client prepares and sends; such a class does both in one method, and has perhaps no dialect at all. So its requests are
prepared without a payload (or by its dialect, if it has one), and sending one calls the method, on a worker thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from llm_sync.errors import ConfigurationError
from llm_sync.models import Adjustment, AttemptOptions, ModelRequest, ModelResponse, PreparedRequest
from llm_sync.providers.adjustments import Adjustments
from llm_sync.providers.answer import Answer
from llm_sync.providers.dialect import Dialect
from llm_sync.runtime.steps import Steps

_Method = Callable[..., Any]


class NoDialect(Dialect):
    """For a provider that speaks to its endpoint itself: nothing can be asked of this."""

    def prepare_request(self, request: ModelRequest, adjustments: Adjustments) -> dict[str, Any]:
        """Never called for such a provider's requests."""
        raise ConfigurationError(f"type {self.config.type!r} has no payload: it makes its answers itself")

    def read_answer(self, body: Any) -> Answer:
        """Likewise."""
        raise ConfigurationError(f"type {self.config.type!r} has no answers to read: it makes them itself")


def adapt(cls: Any, own: dict[str, Any]) -> dict[str, Any]:
    """The attributes that make a class with its ``own`` methods work in a client; empty if it overrides none of them."""
    made: dict[str, Any] = {}
    if "list_models" in own:
        made["list_models"] = _with_its_arguments(own["list_models"])
    if "generate_response" in own:
        answer = own["generate_response"]
        made["send"], made["steps"] = _sending(answer), _steps(answer)
        if cls.dialect_class is Dialect:
            made["dialect_class"], made["prepare"], made["check"] = NoDialect, _prepare, _check
    return made


def _with_its_arguments(method: _Method) -> _Method:
    """``method``, which may take fewer arguments than the client gives."""
    code = getattr(method, "__code__", None)
    if code is None or code.co_flags & 0x04:  # *arguments
        return method
    count = code.co_argcount

    def call(self: Any, *arguments: Any) -> Any:
        return method(self, *arguments[: count - 1])

    return call


def _sending(method: _Method) -> _Method:
    answer = _with_its_arguments(method)

    def send(self: Any, prepared: PreparedRequest, control: Any = None, *, keep: Any = None) -> ModelResponse:  # noqa: ARG001
        response: ModelResponse = answer(self, prepared.request, prepared.options, control, prepared.adjustments)
        if not isinstance(response, ModelResponse):
            raise TypeError(f"{type(self).__name__}.generate_response returns {type(response).__name__}, not ModelResponse")
        return response

    return send


def _steps(method: _Method) -> _Method:
    send = _sending(method)

    def steps(self: Any, prepared: PreparedRequest, control: Any = None, *, keep: Any = None) -> Steps[ModelResponse]:
        yield from ()
        response: ModelResponse = send(self, prepared, control, keep=keep)
        return response

    return steps


def _prepare(
    self: Any,
    request: ModelRequest,
    options: AttemptOptions | None = None,
    adjustments: Iterable[Adjustment] = (),
    *,
    keyless: bool = False,
) -> PreparedRequest:
    """The request as it is: the class makes of it what it sends."""
    self.config.require_variables(without_secrets=keyless)
    return PreparedRequest(
        self.name,
        self.config.type,
        request.model or "",
        "POST",
        self.config.base_url or "",
        b"{}",
        {},
        options or self.config.attempts,
        request,
        tuple(adjustments),
    )


def _check(self: Any) -> None:
    self.config.require_variables()
    if self.validate_config() is False:
        raise ConfigurationError("validate_config() says that the configuration cannot be used", provider=self.name)
