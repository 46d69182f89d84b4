"""What counts as an answer: the one place where what a dialect read is judged, case by case."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from llm_sync import errors
from llm_sync.errors import FieldProblem
from llm_sync.models import ModelRequest, ToolCall, Usage
from llm_sync.models.frozen import Frozen
from llm_sync.providers.json_body import parse_strictly
from llm_sync.validation.json_schema import misfits

OUTPUT_LIMIT = "the output token limit"
CONTEXT_LIMIT = "the context window"
_MOST_TOKENS = 2**53  # what is more counts nothing


@dataclass(frozen=True, repr=False, eq=False)
class Answer(Frozen):
    """What a dialect read out of a good-looking body, before anyone decides whether it is an answer.

    ``finish_reason`` is one of ours; what tool calls make of it is settled here, for all dialects. ``finish_reason_raw``:
    the provider's word. ``limit`` names what cut it when that is "length". ``blocked``: the reason of a refusal or block.
    ``deferred``: the state of a job that is not done.
    ``failed``: what the provider says went wrong within the answer. ``cost``: USD, where the provider tells.
    """

    text: str = ""
    finish_reason: str = "other"
    finish_reason_raw: str | int | None = None
    usage: Usage = field(default_factory=Usage)
    model: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    thinking: str | None = None
    limit: str = OUTPUT_LIMIT
    blocked: str | None = None
    deferred: str | None = None
    failed: str | None = None
    cost: float | None = None
    parsed: Any = None

    def __post_init__(self) -> None:
        if self.tool_calls and self.finish_reason != "length":
            object.__setattr__(self, "finish_reason", "tool_calls")
        elif self.finish_reason == "tool_calls" and not self.tool_calls:
            object.__setattr__(self, "finish_reason", "stop")


def problem_with(answer: Answer, *, strict: bool) -> errors.LLMConnectorError | None:
    """The error that ``answer`` is instead of an answer; None when it is one."""
    if answer.deferred is not None:
        return errors.StreamingNotSupportedError(
            f"the provider deferred the answer (status {answer.deferred!r}) instead of giving it",
            guidance="Send the request without background or deferred mode: llm-sync waits for the whole answer.",
        )
    if answer.blocked is not None:
        return errors.ContentBlockedError(
            f"the answer is blocked: {answer.blocked}",
            reason=answer.blocked,
            partial_text=answer.text or None,
            guidance="Change the prompt or the provider's safety settings; the same request is blocked again.",
        )
    if answer.failed is not None:
        return errors.ProviderUnavailableError(
            f"the provider broke off the answer: {answer.failed}", partial_text=answer.text or None, guidance="Ask again."
        )
    nameless = tuple(
        FieldProblem(f"tool_calls[{number}].name", "non-empty string", "nothing")
        for number, call in enumerate(answer.tool_calls)
        if not call.name
    )
    if nameless:
        return errors.ResponseValidationError(
            "the answer calls a tool without naming it: " + "; ".join(map(str, nameless[:20])),
            fields=nameless[:20],
            partial_text=answer.text or None,
            guidance="Ask again, or use a model that is good with tools.",
        )
    silent = not answer.text.strip()
    if answer.finish_reason == "length" and (silent or strict):
        return _truncated(answer, silent)  # a call that was cut is no call: what is left of its arguments may parse
    if silent and not answer.tool_calls:
        return errors.EmptyResponseError(
            f"the answer has no text and no tool call (finish reason {answer.finish_reason_raw!r})",
            guidance="Ask again or otherwise: a local server may have run out of context, a provider may be warming up.",
        )
    return None


def parsed_object(answer: Answer, request: ModelRequest) -> tuple[Any, tuple[FieldProblem, ...]]:
    """The answer as an object of ``request.response_schema``, and what is wrong with it.

    Answers that were cut, or that call tools instead, are not held against the schema.
    """
    schema = request.response_schema
    if schema is None or answer.finish_reason == "length" or answer.tool_calls:
        return answer.parsed, ()
    try:
        document = parse_strictly(answer.text)
    except ValueError as error:
        return None, (FieldProblem("$", f"JSON of the response_schema ({error})", "other text"),)
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
    return ToolCall(str(call_id or ""), str(name or ""), parsed if isinstance(parsed, dict) else None, raw)


def count(mapping: Any, *path: str) -> int | None:
    """The token count at ``path``, or None where it is absent or no plain whole number."""
    for key in path:
        if not isinstance(mapping, dict):
            return None
        mapping = mapping.get(key)
    if isinstance(mapping, float) and mapping.is_integer():
        mapping = int(mapping)
    return mapping if isinstance(mapping, int) and not isinstance(mapping, bool) and 0 <= mapping <= _MOST_TOKENS else None


def total(*counts: int | None) -> int | None:
    """The sum of the known counts; None when none is known."""
    known = [number for number in counts if number is not None]
    return sum(known) if known else None


def _truncated(answer: Answer, empty: bool) -> errors.TruncatedResponseError:
    thought = answer.usage.reasoning_tokens
    spent = f"; {thought} tokens went into reasoning" if thought else ""
    what = "cut the answer before any text" if empty else "cut the answer"
    way_out = "Raise max_tokens" + (", or lower the reasoning effort." if thought else ".")
    if answer.limit == CONTEXT_LIMIT:
        way_out = "Shorten the prompt or use a model with a longer context."
    return errors.TruncatedResponseError(f"{answer.limit} {what}{spent}", partial_text=answer.text or None, guidance=way_out)


def skeleton(body: Any, depth: int = 4) -> Any:
    """The keys and types of ``body`` without its values, for logs: what a malformed answer looked like."""
    if isinstance(body, dict):
        return {str(key)[:40]: skeleton(value, depth - 1) for key, value in list(body.items())[:20]} if depth else "{…}"
    if isinstance(body, list):
        return [skeleton(body[0], depth - 1) if depth else "…", f"× {len(body)}"] if body else []
    return type(body).__name__
