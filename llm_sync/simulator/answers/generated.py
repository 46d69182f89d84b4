"""Generates the answers of the simulated models from dialect, model, messages and seed, and from nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from llm_sync.simulator.answers.canned_answer import CannedAnswer, TokenCounts, ToolCall
from llm_sync.simulator.answers.described_schema import described_schema
from llm_sync.simulator.answers.schema_instances import make_instance
from llm_sync.simulator.answers.sentences import make_text
from llm_sync.simulator.answers.tokens import count_tokens, split_tokens
from llm_sync.simulator.answers.turns import CALLS

_COUNTED_HERE = TokenCounts()


@dataclass
class ParsedRequest:
    """What a dialect has parsed from a payload. ``turns``: (role, text) in order, the system prompt first."""

    dialect: str
    model: str
    turns: Sequence[tuple[str, str]]
    seed: object
    max_tokens: int | None = None
    stop_sequences: Sequence[str] = ()
    schema: Any = None  # JSON Schema that the text has to match
    json_mode: bool = False
    tools: Sequence[tuple[str, Any]] = ()  # tools that may be called: name, JSON Schema of the arguments
    must_call_tool: bool = False
    reasoning_tokens: int = 0  # tokens spent before the answer
    canned: CannedAnswer | None = None  # the answer to give instead of a generated one

    def prompt_tokens(self) -> int:
        """Estimated tokens of the turns."""
        return sum(count_tokens(text) + 4 for role, text in self.turns if role != CALLS)


@dataclass(frozen=True)
class Answer:
    """An answer, before a dialect writes its body.

    ``visible_tokens`` counts text and tool calls, ``reasoning_tokens`` the reasoning before them. ``finish_reason`` is one of
    FINISH_REASONS, or is sent unchanged; ``stop_sequence`` is the one that ended the answer. ``digest`` is the number from
    which the answer was generated, for further choices. A tool call that the token limit cut has ``arguments`` None and the
    beginning of its JSON in ``raw_arguments``.
    """

    text: str
    tool_calls: tuple[ToolCall, ...]
    visible_tokens: int
    reasoning_tokens: int
    finish_reason: str
    digest: int
    stop_sequence: str | None = None
    thinking: str | None = None
    refusal: str | None = None
    raw_finish_reason: str | None = None
    model: str | None = None
    token_counts: TokenCounts = _COUNTED_HERE

    @property
    def truncated(self) -> bool:
        """Whether the token limit ended the answer."""
        return self.finish_reason == "length"

    @property
    def output_tokens(self) -> int:
        """All output tokens, reasoning included."""
        return self.visible_tokens + self.reasoning_tokens if self.token_counts.output is None else self.token_counts.output

    def input_tokens(self, counted: int) -> int:
        """Tokens of the prompt: ``counted``, unless the canned answer sets them."""
        return counted if self.token_counts.input is None else self.token_counts.input

    def cached_tokens(self, drawn: int) -> int:
        """Cached tokens of the prompt: ``drawn``, unless the canned answer sets them."""
        return drawn if self.token_counts.input is None else self.token_counts.cached or 0

    def cache_write_tokens(self, drawn: int) -> int:
        """Tokens of the prompt that are written to the cache: ``drawn``, unless the canned answer sets them."""
        return drawn if self.token_counts.input is None else self.token_counts.cache_write or 0


def generate_answer(request: ParsedRequest, choice: int = 0) -> Answer:
    """The answer; ``choice`` is the index among the alternatives of one request (``n``)."""
    number = request_digest(request, choice)
    if request.canned is not None:
        return _from_canned(request, request.canned, number)
    prompt = next((text for role, text in reversed(request.turns) if role in ("user", "tool")), "")
    text, calls = "", tuple[ToolCall, ...]()
    if request.must_call_tool and request.tools:
        name, schema = request.tools[number % len(request.tools)]
        arguments = make_instance(schema, number)
        calls = (ToolCall.of_arguments(name, arguments if isinstance(arguments, dict) else {}),)
    elif (schema := request.schema if request.schema is not None else described_schema(request.turns)) is not None:
        text = json.dumps(make_instance(schema, number), ensure_ascii=False)
    elif request.json_mode:
        text = json.dumps({"answer": make_text(prompt, request.model, number)}, ensure_ascii=False)
    else:
        text = make_text(prompt, request.model, number)
    return _within_limits(request, number, text, calls)


def _from_canned(request: ParsedRequest, canned: CannedAnswer, number: int) -> Answer:
    """The canned answer, cut at the token limit and stop sequences unless it ignores them."""
    reasoning = count_tokens(canned.thinking) if canned.thinking else request.reasoning_tokens
    if canned.token_counts.reasoning is not None:
        reasoning = canned.token_counts.reasoning
    elif canned.token_counts.output is not None:
        reasoning = 0
    bounds = replace(request, reasoning_tokens=reasoning)
    if canned.ignores_limits:
        bounds = replace(bounds, max_tokens=None, stop_sequences=())
    answer = _within_limits(bounds, number, canned.text, canned.tool_calls)
    return replace(
        answer,
        finish_reason=answer.finish_reason if answer.truncated else canned.finish_reason or answer.finish_reason,
        raw_finish_reason=canned.raw_finish_reason,
        thinking=canned.thinking,
        refusal=canned.refusal,
        model=canned.model,
        token_counts=canned.token_counts,
    )


def _within_limits(request: ParsedRequest, number: int, text: str, calls: Sequence[ToolCall]) -> Answer:
    """Text and tool calls up to the first stop sequence or the token limit, whichever comes first."""
    stop = None
    for candidate in request.stop_sequences:
        before, separator, _ = text.partition(candidate)
        if separator:
            text, stop, calls = before, candidate, ()
    reasoning, tokens_left = request.reasoning_tokens, None
    if request.max_tokens is not None:
        reasoning = min(reasoning, request.max_tokens)
        tokens_left = request.max_tokens - reasoning
    pieces = split_tokens(text)
    tokens, calls_made, finish = len(pieces), list[ToolCall](), "stop"
    if tokens_left is not None and tokens > tokens_left:
        text, tokens, stop, calls, finish = "".join(pieces[:tokens_left]), tokens_left, None, (), "length"
    for call in calls:
        overhead = 8 + len(split_tokens(call.name))  # the call's syntax is billed, too
        pieces = split_tokens(call.raw_arguments)
        if tokens_left is not None and tokens + overhead + len(pieces) > tokens_left:
            raw = "".join(pieces[: max(0, tokens_left - tokens - overhead)])
            calls_made += [ToolCall(call.name, None, raw)] if raw else []
            tokens, finish = tokens_left, "length"
            break
        tokens += overhead + len(pieces)
        calls_made.append(call)
    if calls_made and finish == "stop":
        finish = "tool_calls"
    return Answer(text, tuple(calls_made), tokens, reasoning, finish, number, stop)


def request_digest(request: ParsedRequest, choice: int = 0) -> int:
    """A number of 64 bits that depends only on dialect, model, turns, seed and choice."""
    digest = hashlib.blake2b(digest_size=8)
    for part in (request.dialect, request.model, repr(request.seed), str(choice)):
        digest.update(part.encode("utf-8", "surrogatepass") + b"\0")
    for role, text in request.turns:
        if role == CALLS:
            continue
        digest.update(role.encode("utf-8", "surrogatepass") + b"\1" + text.encode("utf-8", "surrogatepass") + b"\2")
    return int.from_bytes(digest.digest(), "big")
