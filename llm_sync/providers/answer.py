"""What counts as an answer. Dialects only read; whether the result is an answer or an error is decided here, for all of them."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import InitVar, field
from typing import Any, ClassVar

from llm_sync import errors
from llm_sync.errors import FieldProblem
from llm_sync.models import ModelRequest, ToolCall, Usage
from llm_sync.models.frozen import Frozen, dataclass
from llm_sync.providers.json_body import parse_strictly
from llm_sync.runtime.import_lock import import_lock

OUTPUT_LIMIT = "the output token limit"
CONTEXT_LIMIT = "the context window"
PAUSE = "a pause of the turn, which is not finished,"
_MAX_TOKENS = 2**53  # a larger count is not believed


@dataclass(frozen=True, repr=False, eq=False)
class Completed(Frozen):
    """The model ended its answer, or the provider says nothing else."""


@dataclass(frozen=True, repr=False, eq=False)
class Cut(Frozen):
    """The answer is not finished. ``limit``: what cut it: ``Cut.OUTPUT`` (tokens of the answer), ``Cut.CONTEXT`` (tokens of the
    whole context), ``Cut.PAUSE`` (the provider paused a long turn), or other words before "cut the answer"."""

    OUTPUT: ClassVar[str] = OUTPUT_LIMIT
    CONTEXT: ClassVar[str] = CONTEXT_LIMIT
    PAUSE: ClassVar[str] = PAUSE

    limit: str = OUTPUT_LIMIT


@dataclass(frozen=True, repr=False, eq=False)
class Blocked(Frozen):
    """A refusal, a safety or a policy block; ``reason``: the provider's word for it."""

    reason: str


@dataclass(frozen=True, repr=False, eq=False)
class Failed(Frozen):
    """The provider broke the answer off; ``message``: what it says went wrong."""

    message: str


@dataclass(frozen=True, repr=False, eq=False)
class Malformed(Frozen):
    """The model wrote something that the provider cannot read, as a rule a tool call; ``reason``: the provider's word for it.
    Tool calls that came all the same count."""

    reason: str


@dataclass(frozen=True, repr=False, eq=False)
class Deferred(Frozen):
    """The answer is not there yet: a job in ``state`` was made instead."""

    state: str


Outcome = Completed | Cut | Blocked | Failed | Malformed | Deferred
"""What an answer came to: exactly one of these."""

_COMPLETED, _CUT = Completed(), Cut()


@dataclass(frozen=True, repr=False, eq=False)
class Answer(Frozen):
    """What a dialect read from a body that fits its schema. Whether it is an answer is not decided yet.

    ``finish_reason``: stop, length, tool_calls or other; tool calls, or their absence, correct it here. ``finish_reason_raw``:
    the provider's word. ``outcome``: without one, "length" is ``Cut()`` and everything else ``Completed()``. ``cost``: USD, if
    the provider reports it. ``parsed``: the object, if the provider returns one. ``state``: what the provider wants back with
    this turn, of JSON's types; also on each ToolCall. It comes back in the messages of a later request (``own_state``).

    Raises ValueError for an answer that is completed and cut at once. ``limit``, ``blocked``, ``failed`` and ``deferred`` are
    the former way to say the outcome: deprecated, they still work.
    """

    text: str = ""
    finish_reason: str = "other"
    finish_reason_raw: str | int | None = None
    usage: Usage = field(default_factory=Usage)
    model: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    thinking: str | None = None
    outcome: Outcome | None = None  # given as None only: it is one of them in every Answer
    cost: float | None = None
    parsed: Any = None
    state: Any = None
    limit: InitVar[str | None] = None
    blocked: InitVar[str | None] = None
    failed: InitVar[str | None] = None
    deferred: InitVar[str | None] = None

    def __post_init__(self, limit: str | None, blocked: str | None, failed: str | None, deferred: str | None) -> None:
        outcome, finish = self.outcome, self.finish_reason
        if outcome is None:
            outcome = _CUT if finish == "length" else _COMPLETED
            if not (limit is blocked is failed is deferred is None):
                outcome = _former_outcome(finish, {"deferred": deferred, "blocked": blocked, "failed": failed, "limit": limit})
        if isinstance(outcome, Cut):
            finish = "length"
        elif isinstance(outcome, Completed) and finish == "length":
            raise ValueError("an answer that was completed has no finish_reason of 'length': its outcome is Cut(limit)")
        elif self.tool_calls:
            finish = "length" if finish == "length" else "tool_calls"
        elif finish == "tool_calls":
            finish = "stop"
        object.__setattr__(self, "outcome", outcome)
        if finish != self.finish_reason:
            object.__setattr__(self, "finish_reason", finish)


def _former_outcome(finish: str, given: Mapping[str, str | None]) -> Outcome:
    """The outcome by the former keywords. Several could stand side by side: the first of them counts, as it did."""
    name, value = next((name, str(value)) for name, value in given.items() if value is not None)
    warnings.warn(
        f"Answer({name}=…) is deprecated: give outcome=, one of Cut, Blocked, Failed and Deferred of llm_sync.providers",
        DeprecationWarning,
        stacklevel=4,
    )
    if name == "limit":
        return Cut(value) if finish == "length" else _COMPLETED
    if name == "deferred":
        return Deferred(value)
    return Blocked(value) if name == "blocked" else Failed(value)


def problem_with(answer: Answer, *, strict: bool, structured: bool = False) -> errors.LLMConnectorError | None:
    """The error that ``answer`` is instead of an answer; None when it is one. ``structured``: JSON was asked for."""
    outcome = answer.outcome
    if isinstance(outcome, Malformed) and not answer.tool_calls:
        return errors.ResponseValidationError(
            f"the model wrote something that the provider could not read (finish reason {outcome.reason})",
            partial_text=answer.text or None,
            guidance="Ask again; simpler tools and fewer of them make it less likely.",
        )
    if outcome is None or isinstance(outcome, (Completed, Malformed)):
        return (_nameless_call(answer) if answer.tool_calls else None) or _empty(answer)
    if isinstance(outcome, Cut):
        structured = structured and not answer.tool_calls
        return _nameless_call(answer) or _truncated(answer, outcome, strict=strict, structured=structured)
    if isinstance(outcome, Blocked):
        return errors.ContentBlockedError(
            f"the answer is blocked: {outcome.reason}",
            reason=outcome.reason,
            partial_text=answer.text or None,
            guidance="Change the prompt or the provider's safety settings; the same request is blocked again.",
        )
    if isinstance(outcome, Failed):
        return errors.ProviderUnavailableError(
            f"the provider broke off the answer: {outcome.message}", partial_text=answer.text or None, guidance="Ask again."
        )
    return errors.StreamingNotSupportedError(
        f"the provider deferred the answer (status {outcome.state!r}) instead of giving it",
        guidance="It has no id by which it could be fetched: send the request without background or deferred mode.",
    )


def _nameless_call(answer: Answer) -> errors.LLMConnectorError | None:
    if all(call.name for call in answer.tool_calls):
        return None
    nameless = tuple(
        FieldProblem(f"tool_calls[{number}].name", "non-empty string", "nothing")
        for number, call in enumerate(answer.tool_calls)
        if not call.name
    )[:20]
    return errors.ResponseValidationError(
        "the answer calls a tool without naming it: " + "; ".join(map(str, nameless)),
        fields=nameless,
        partial_text=answer.text or None,
        guidance="Ask again, or use a model that is good with tools.",
    )


def _empty(answer: Answer) -> errors.LLMConnectorError | None:
    if answer.text.strip() or answer.tool_calls:
        return None
    return errors.EmptyResponseError(
        f"the answer has no text and no tool call (finish reason {answer.finish_reason_raw!r})",
        guidance="Ask again or otherwise: a local server may have run out of context, a provider may be warming up.",
    )


def _truncated(answer: Answer, cut: Cut, *, strict: bool, structured: bool) -> errors.LLMConnectorError | None:
    """A cut answer without text is an error, so is half a JSON text; other text only under ``strict``. A tool call that was
    cut is none: what is left of its arguments may parse all the same."""
    empty = not answer.text.strip()
    if not empty and not strict and not structured:
        return None
    reasoning = answer.usage.reasoning_tokens
    spent = f"; {reasoning} tokens went into reasoning" if reasoning else ""
    what = "cut the answer" + (" before any text" if empty else " before its JSON was complete" if structured else "")
    return errors.TruncatedResponseError(
        f"{cut.limit} {what}{spent}", partial_text=answer.text or None, guidance=way_out_of(cut, reasoning)
    )


def way_out_of(cut: Cut, reasoning: int | None = None) -> str:
    """What to do about an answer that was cut; ``reasoning``: how many tokens went into it."""
    if cut.limit == CONTEXT_LIMIT:
        return "Shorten the prompt or use a model with a longer context."
    if cut.limit == OUTPUT_LIMIT:
        return "Raise max_tokens" + (", or lower the reasoning effort." if reasoning else ".")
    if cut.limit == PAUSE:
        return "Ask for less at once, or allow the provider's own tools fewer uses (max_uses)."
    return "Ask again, or otherwise."


def parsed_object(answer: Answer, request: ModelRequest) -> tuple[Any, tuple[FieldProblem, ...]]:
    """The answer as an object of ``request.response_schema``, and what is wrong with it.

    Answers that were cut, or that call tools instead, are not held against the schema.
    """
    schema = request.response_schema
    if schema is None or isinstance(answer.outcome, Cut) or answer.tool_calls:
        return answer.parsed, ()
    try:
        document = parse_strictly(answer.text)
    except ValueError as error:
        return None, (FieldProblem("$", f"JSON of the response_schema ({error})", "other text"),)
    with import_lock:  # few answers have a schema
        from llm_sync.validation.json_schema import misfits

    return document, misfits(document, schema)


def tool_call(call_id: Any, name: Any, arguments: Any) -> ToolCall:
    """A ToolCall from arguments as JSON text (OpenAI's way), as an object (the others'), or absent."""
    if isinstance(arguments, dict):
        return ToolCall(str(call_id or ""), str(name or ""), arguments, json.dumps(arguments, ensure_ascii=False))
    raw = arguments if isinstance(arguments, str) else ""
    try:
        parsed = parse_strictly(raw) if raw.strip() else {}
    except ValueError:
        parsed = None
    if parsed is None and raw.strip() == "null":
        parsed = {}  # no arguments
    return ToolCall(str(call_id or ""), str(name or ""), parsed if isinstance(parsed, dict) else None, raw)


def texts_of(parts: Any, wanted: Callable[[Mapping[str, Any]], bool]) -> str:
    """The ``text`` of the mappings in a list that are ``wanted``, as far as each has one; "" for anything but a list."""
    found = [part for part in parts if isinstance(part, Mapping) and wanted(part)] if isinstance(parts, list) else []
    return "".join(part["text"] for part in found if isinstance(part.get("text"), str))


def label(value: Any) -> str | None:
    """A name that may come as a number; None for anything else."""
    return str(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else None


def count(mapping: Any, *path: str) -> int | None:
    """The token count at ``path``, or None where it is absent or no plain whole number."""
    for key in path:
        if not isinstance(mapping, dict):
            return None
        mapping = mapping.get(key)
    if mapping is None:
        return None
    if type(mapping) is int:  # nearly always
        return mapping if 0 <= mapping <= _MAX_TOKENS else None
    if isinstance(mapping, float) and mapping.is_integer():
        mapping = int(mapping)
    return mapping if isinstance(mapping, int) and not isinstance(mapping, bool) and 0 <= mapping <= _MAX_TOKENS else None


def total(*counts: int | None) -> int | None:
    """The sum of the known counts; None if none is known."""
    known = [number for number in counts if number is not None]
    return sum(known) if known else None
