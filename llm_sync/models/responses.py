"""What comes out: an answer, what it used, and what was sent differently from what was asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Any

from llm_sync.models import grammar
from llm_sync.models.frozen import Frozen, dataclass
from llm_sync.models.pending_cost import PRICE_SOURCE, CostField
from llm_sync.models.route import RouteField, RouteStep

_NOT_IN_RECORDS = ("raw", "state", "tier")  # the metadata that to_dict leaves out, or has elsewhere
FINISH_REASONS = ("stop", "length", "tool_calls", "other")


@dataclass(frozen=True, repr=False, eq=False)
class Usage(Frozen):
    """Tokens as billed; None is unknown.

    ``input_tokens`` includes ``cached_tokens`` (read from the provider's prompt cache) and ``cache_write_tokens`` (written to
    it), ``output_tokens`` includes ``reasoning_tokens``, however the provider itself counts.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cache_write_tokens: int | None = None


@dataclass(frozen=True, repr=False, eq=False)
class Adjustment(Frozen):
    """Something that was sent differently from what was asked: ``sent`` is None where it was dropped."""

    parameter: str
    asked: Any
    sent: Any
    reason: str

    def without_text(self) -> str:
        """The adjustment in words, for logs: numbers are shown, texts and structures are not."""
        plain = isinstance(self.asked, (int, float)) and not isinstance(self.asked, bool)
        asked = f"{self.parameter}={self.asked}" if plain else self.parameter
        if self.sent is None:
            return f"{asked} is not sent: {self.reason}"
        return f"{asked} is sent as {self.sent}: {self.reason}" if plain else f"{asked} is sent otherwise: {self.reason}"

    def __str__(self) -> str:
        change = "is not sent" if self.sent is None else f"is sent as {self.sent!r}"
        return f"{self.parameter}={self.asked!r} {change}: {self.reason}"


@dataclass(frozen=True, repr=False, eq=False)
class ToolCall(Frozen):
    """A call of a tool that the model asks for. ``arguments`` is a dict, or None if ``raw_arguments`` is not a JSON object.

    In a request, one of the two is enough. ``state``: what the provider wants back with the call (a signature …), as in
    ``Message.state``; hand it back unchanged.
    """

    id: str
    name: str
    arguments: dict[str, Any] | None
    raw_arguments: str = ""
    state: Mapping[str, Any] | None = field(default=None, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: the fields by name, without a ``state`` that is None."""
        return {name: value for name, value in vars(self).items() if name != "state" or value is not None}


@dataclass(frozen=True, repr=False, eq=False)
class ModelResponse(Frozen):
    """One answer.

    ``model``: the name in the provider's answer. ``finish_reason``: stop, length, tool_calls or other (the provider's own word
    in ``metadata["finish_reason_raw"]``). ``timestamp``: aware UTC, when the answer was complete. ``latency_ms``: milliseconds
    of the last attempt. ``attempts``: HTTP exchanges made. ``cost_estimate``: USD, or None where no price is known. ``id``: the
    request's. ``metadata``: ``finish_reason_raw``, ``thinking``, ``parsed``, ``raw`` (the body), ``state`` (what the
    provider wants back with this turn; ``message`` carries it), ``tier`` (the service tier that served the answer, in lower case,
    unless it is the usual one) and ``price_source`` (where the cost's price comes from: provider, configuration or
    genai-prices), where there is such. ``cached``: the answer was stored, or came for an equal
    request that was in flight: nothing was sent for this one (``attempts`` and ``cost_estimate`` are 0), and ``saved_estimate``
    is the cost in USD that another answer would have had, where the price is known. ``route``: who was asked, the model that
    answered last; () if the request named a single model.

    Raises ValueError or TypeError when built with an impossible value: a response never has empty text unless it has tool calls.
    """

    text: str
    model: str
    provider: str
    finish_reason: str
    usage: Usage
    timestamp: datetime
    latency_ms: float
    attempts: int = 1
    request_id: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    adjustments: tuple[Adjustment, ...] = ()
    cost_estimate: float | None = CostField()  # type: ignore[assignment]  # a descriptor, whose default is None
    metadata: dict[str, Any] = field(default_factory=dict)
    id: str | int | None = None
    cached: bool = False
    saved_estimate: float | None = CostField()  # type: ignore[assignment]  # likewise
    route: tuple[RouteStep, ...] = RouteField()  # type: ignore[assignment]  # likewise, whose default is ()

    def __post_init__(self) -> None:
        given: Any = self  # what it was built with, of whatever type
        texts_fit = isinstance(given.text, str) and isinstance(given.model, str) and isinstance(given.provider, str)
        if not (texts_fit and isinstance(given.usage, Usage) and isinstance(given.timestamp, datetime)):
            raise self._wrong_type()
        if self.timestamp.utcoffset() is None:
            raise ValueError("the timestamp of a response has no time zone: make it with datetime.now(timezone.utc)")
        if self.finish_reason not in FINISH_REASONS:
            raise ValueError(f"finish_reason {self.finish_reason!r} is none of {FINISH_REASONS}")
        if not self.tool_calls and not self.text.strip() and not self._may_be_empty():
            raise ValueError("a response without tool calls has text")

    def _wrong_type(self) -> TypeError:
        kinds = {"text": str, "model": str, "provider": str, "usage": Usage, "timestamp": datetime}
        name, kind = next((name, kind) for name, kind in kinds.items() if not isinstance(getattr(self, name), kind))
        given, wanted = grammar.type_name(getattr(self, name)), grammar.with_article(kind.__name__)
        return TypeError(f"{name} of a response is {given}, not {wanted}")

    def _may_be_empty(self) -> bool:
        return False

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "cost_estimate": self.cost_estimate, "route": self.route}

    @property
    def message(self) -> Any:
        """The assistant's turn, a Message to be appended to ``messages``: text, tool calls, and what the provider wants back.

        Raises InvalidRequestError where nothing came (an UnusableResponse without text).
        """
        from importlib import import_module  # by name: messages raise errors, and errors hold responses

        kind = import_module("llm_sync.models.messages").Message
        return kind("assistant", self.text or None, tool_calls=self.tool_calls, state=self.metadata.get("state"))

    @property
    def token_count(self) -> int | None:
        """Input and output tokens together, or None where either is unknown."""
        if self.usage.input_tokens is None or self.usage.output_tokens is None:
            return None
        return self.usage.input_tokens + self.usage.output_tokens

    @property
    def truncated(self) -> bool:
        """Whether the token limit or the context window cut the answer."""
        return self.finish_reason == "length"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: the fields by name, ``timestamp`` in ISO 8601, ``token_count`` and ``truncated`` beside them.

        ``message`` is among them where it holds state: the turn can be handed back from a record; ``route`` and ``tier`` where
        there is one. ``metadata["raw"]``, the whole body, stays out: it would double the size of every record.
        """
        metadata = self.metadata
        metadata.get(PRICE_SOURCE)  # becomes one of them now, if the cost was pending
        out = dict(vars(self))  # in the order of the fields
        steps = self.route
        out.pop("route", None)
        out["usage"] = dict(vars(self.usage))
        out["timestamp"] = self.timestamp.isoformat()
        out["tool_calls"] = [_without_state(call) for call in self.tool_calls] if self.tool_calls else []
        out["adjustments"] = [dict(vars(adjustment)) for adjustment in self.adjustments] if self.adjustments else []
        out["cost_estimate"], out["saved_estimate"] = self.cost_estimate, self.saved_estimate
        out["metadata"] = {key: value for key, value in metadata.items() if key not in _NOT_IN_RECORDS}
        if (metadata.get("state") or any(call.state for call in self.tool_calls)) and (self.tool_calls or self.text.strip()):
            out["message"] = self.message.to_dict()
        if steps:
            out["route"] = [step.to_dict() for step in steps]
        if "tier" in metadata:
            out["tier"] = metadata["tier"]
        out["token_count"], out["truncated"] = self.token_count, self.truncated
        return out


@dataclass(frozen=True, repr=False, eq=False)
class UnusableResponse(ModelResponse):
    """What came instead of an answer, on ``UnusableAnswerError.response``: like a ModelResponse, but may have no text."""

    def _may_be_empty(self) -> bool:
        return True


def _without_state(call: ToolCall) -> dict[str, Any]:
    return {name: value for name, value in vars(call).items() if name != "state"}
