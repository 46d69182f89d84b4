"""Answers that are not generated but come from an answers file or a replayed batch, independent of any dialect."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

FINISH_REASONS = ("stop", "length", "tool_calls", "content_filter")


@dataclass(frozen=True)
class ToolCall:
    """A tool call. ``raw_arguments``: the arguments as JSON text; ``arguments``: the same parsed, None if it is no object."""

    name: str
    arguments: dict[str, Any] | None
    raw_arguments: str

    @staticmethod
    def of_arguments(name: str, arguments: dict[str, Any]) -> ToolCall:
        """A tool call with these arguments."""
        return ToolCall(name, arguments, json.dumps(arguments, ensure_ascii=False))


@dataclass(frozen=True)
class CannedError:
    """An error instead of an answer. ``error_class`` names one of llm-sync's classes; ``status`` None: the usual one."""

    error_class: str
    message: str
    status: int | None = None
    retry_after: float | None = None


@dataclass(frozen=True)
class TokenCounts:
    """Tokens as llm-sync counts them: ``input`` includes ``cached`` and ``cache_write``, ``output`` includes ``reasoning``.

    None: the simulator counts.
    """

    input: int | None = None
    output: int | None = None
    cached: int | None = None
    reasoning: int | None = None
    cache_write: int | None = None


@dataclass(frozen=True)
class CannedAnswer:
    """One answer. ``finish_reason``: one of FINISH_REASONS; other values are sent unchanged; None: implied by the other fields.

    ``raw_finish_reason`` is the provider's own finish reason in a former run, used if this dialect has it. ``refusal`` is sent
    as a refusal in the dialect's form, ``error`` as an error. ``model`` is the model named in the answer, None the requested
    one. ``ignores_limits``: neither the token limit nor stop sequences cut the text.
    """

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    thinking: str | None = None
    refusal: str | None = None
    finish_reason: str | None = None
    raw_finish_reason: str | None = None
    error: CannedError | None = None
    model: str | None = None
    token_counts: TokenCounts = field(default_factory=TokenCounts)
    ignores_limits: bool = False
