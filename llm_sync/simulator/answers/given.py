"""What a simulated model is told to say, in no dialect's words: from an answers file, from a replayed run, from a test."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

FINISHES = ("stop", "length", "tool_calls", "content_filter")


@dataclass(frozen=True)
class ToolUse:
    """One call of a tool. ``raw``: the arguments as JSON text; ``arguments``: as an object, None where ``raw`` is none."""

    name: str
    arguments: dict[str, Any] | None
    raw: str

    @staticmethod
    def of(name: str, arguments: dict[str, Any]) -> ToolUse:
        """A call with these arguments."""
        return ToolUse(name, arguments, json.dumps(arguments, ensure_ascii=False))


@dataclass(frozen=True)
class Failure:
    """An error in place of an answer. ``kind`` is the name of one of llm-sync's error classes, ``status`` None its usual one."""

    kind: str
    message: str
    status: int | None = None
    retry_after: float | None = None


@dataclass(frozen=True)
class Billed:
    """Tokens as llm-sync counts them: ``input`` holds ``cached``, ``output`` holds ``reasoning``. None: count them here."""

    input: int | None = None
    output: int | None = None
    cached: int | None = None
    reasoning: int | None = None


@dataclass(frozen=True)
class Given:
    """One answer. ``finish``: one of FINISHES, any other word goes out as it stands, None is what the rest implies.

    ``raw_finish`` is the word the dialect itself once used, taken where this dialect has such a word. ``refusal`` makes the
    dialect's form of a refusal, ``failure`` an error; ``model`` is who answers, None the one asked. ``whole``: neither token
    limit nor stop sequences cut it.
    """

    text: str = ""
    calls: tuple[ToolUse, ...] = ()
    thinking: str | None = None
    refusal: str | None = None
    finish: str | None = None
    raw_finish: str | None = None
    failure: Failure | None = None
    model: str | None = None
    billed: Billed = field(default_factory=Billed)
    whole: bool = False
