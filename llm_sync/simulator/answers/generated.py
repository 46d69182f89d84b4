"""What the simulated models say: decided by dialect, model, messages and seed, and by nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from llm_sync.simulator.answers.given import Billed, Given, ToolUse
from llm_sync.simulator.answers.schema_instances import instance
from llm_sync.simulator.answers.sentences import sentence
from llm_sync.simulator.answers.tokens import count, split

_COUNTED = Billed()


@dataclass
class Asked:
    """What a dialect read from a payload. ``turns``: (role, text) in order, the system prompt first."""

    dialect: str
    model: str
    turns: Sequence[tuple[str, str]]
    seed: object
    limit: int | None = None
    stops: Sequence[str] = ()
    schema: Any = None  # a JSON Schema the text has to be an instance of
    any_json: bool = False
    tools: Sequence[tuple[str, Any]] = ()  # name and JSON Schema of the arguments; those that may be called
    forced: bool = False
    reasoning: int = 0  # tokens spent before the first word
    given: Given | None = None  # what to say, where something else than the draw decides

    def weight(self) -> int:
        """Tokens of the turns."""
        return sum(count(text) + 4 for _, text in self.turns)


@dataclass(frozen=True)
class Answer:
    """``tokens`` counts text and calls, ``reasoning`` what came before. ``finish`` is one of given.FINISHES or goes out as it
    stands; ``stop`` is the stop sequence that ended it. ``number`` is the digest everything was drawn from, for further draws.

    A call that the limit cut has ``arguments`` None and the beginning of its JSON in ``raw``.
    """

    text: str
    calls: tuple[ToolUse, ...]
    tokens: int
    reasoning: int
    finish: str
    number: int
    stop: str | None = None
    thinking: str | None = None
    refusal: str | None = None
    raw_finish: str | None = None
    model: str | None = None
    billed: Billed = _COUNTED

    @property
    def cut(self) -> bool:
        """Whether the token limit ended it."""
        return self.finish == "length"

    @property
    def output(self) -> int:
        """All output tokens, reasoning among them."""
        return self.tokens + self.reasoning if self.billed.output is None else self.billed.output

    def input(self, counted: int) -> int:
        """The prompt's tokens, ``counted`` unless something else is given."""
        return counted if self.billed.input is None else self.billed.input

    def cached(self, drawn: int) -> int:
        """How many of them were cached, ``drawn`` unless something else is given."""
        return drawn if self.billed.input is None else self.billed.cached or 0


def answer(asked: Asked, choice: int = 0) -> Answer:
    """The answer; ``choice`` counts the alternatives of one request."""
    number = draw(asked, choice)
    if asked.given is not None:
        return _told(asked, asked.given, number)
    prompt = next((text for role, text in reversed(asked.turns) if role in ("user", "tool")), "")
    text, calls = "", tuple[ToolUse, ...]()
    if asked.forced and asked.tools:
        name, schema = asked.tools[number % len(asked.tools)]
        arguments = instance(schema, number)
        calls = (ToolUse.of(name, arguments if isinstance(arguments, dict) else {}),)
    elif asked.schema is not None:
        text = json.dumps(instance(asked.schema, number), ensure_ascii=False)
    elif asked.any_json:
        text = json.dumps({"answer": sentence(prompt, asked.model, number)}, ensure_ascii=False)
    else:
        text = sentence(prompt, asked.model, number)
    return _limited(asked, number, text, calls)


def _told(asked: Asked, given: Given, number: int) -> Answer:
    """What was given, within the limits of the request unless it is to be whole."""
    reasoning = count(given.thinking) if given.thinking else asked.reasoning
    if given.billed.reasoning is not None:
        reasoning = given.billed.reasoning
    elif given.billed.output is not None:
        reasoning = 0
    bounds = replace(asked, reasoning=reasoning)
    if given.whole:
        bounds = replace(bounds, limit=None, stops=())
    made = _limited(bounds, number, given.text, given.calls)
    return replace(
        made,
        finish=made.finish if made.cut else given.finish or made.finish,
        raw_finish=given.raw_finish,
        thinking=given.thinking,
        refusal=given.refusal,
        model=given.model,
        billed=given.billed,
    )


def _limited(asked: Asked, number: int, text: str, calls: Sequence[ToolUse]) -> Answer:
    """Text and calls up to the first stop sequence and the token limit, whichever comes first."""
    stop = None
    for candidate in asked.stops:
        before, found, _ = text.partition(candidate)
        if found:
            text, stop, calls = before, candidate, ()
    reasoning, left = asked.reasoning, None
    if asked.limit is not None:
        reasoning = min(reasoning, asked.limit)
        left = asked.limit - reasoning
    pieces = split(text)
    tokens, made, finish = len(pieces), list[ToolUse](), "stop"
    if left is not None and tokens > left:
        text, tokens, stop, calls, finish = "".join(pieces[:left]), left, None, (), "length"
    for call in calls:
        overhead, pieces = 8 + len(split(call.name)), split(call.raw)  # the call's own syntax is billed too
        if left is not None and tokens + overhead + len(pieces) > left:
            raw = "".join(pieces[: max(0, left - tokens - overhead)])
            made += [ToolUse(call.name, None, raw)] if raw else []
            tokens, finish = left, "length"
            break
        tokens += overhead + len(pieces)
        made.append(call)
    if made and finish == "stop":
        finish = "tool_calls"
    return Answer(text, tuple(made), tokens, reasoning, finish, number, stop)


def draw(asked: Asked, choice: int = 0) -> int:
    """A number that depends on dialect, model, turns and seed alone."""
    digest = hashlib.blake2b(digest_size=8)
    for part in (asked.dialect, asked.model, repr(asked.seed), str(choice)):
        digest.update(part.encode("utf-8", "surrogatepass") + b"\0")
    for role, text in asked.turns:
        digest.update(role.encode("utf-8", "surrogatepass") + b"\1" + text.encode("utf-8", "surrogatepass") + b"\2")
    return int.from_bytes(digest.digest(), "big")
