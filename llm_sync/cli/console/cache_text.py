"""Stored answers in words: an overview, a line for each, one in full."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from llm_sync.cache.entry import Entry
from llm_sync.cache.housekeeping import Overview, Removed
from llm_sync.cli.console.quantities import cost, count
from llm_sync.cli.console.table import labelled

_KEY_DIGITS = 12  # of a key that are shown
_PROMPT = 60  # characters
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def overview_lines(overview: Overview) -> list[str]:
    """A few lines and the models."""
    lines = [f"{count(overview.answers, 'answer')}, {size(overview.bytes)}", *labelled("in", overview.folder)]
    if overview.oldest is not None and overview.newest is not None:
        lines += labelled(
            "from", f"{overview.oldest.astimezone():%Y-%m-%d %H:%M} to {overview.newest.astimezone():%Y-%m-%d %H:%M}"
        )
    lines += labelled("worth", cost(overview.cost) if overview.cost else "")
    lines += labelled("unread", _no_answers(overview.unreadable, "is", "are") if overview.unreadable else "")
    return [*lines, *(f"  {number:>8,}  {model}" for model, number in overview.models.most_common())]


def entry_line(entry: Entry) -> str:
    """Key, time, model and the beginning of the prompt."""
    shown = entry.key[:_KEY_DIGITS] + (f"-{entry.sample}" if entry.sample else "")
    return f"{shown}  {entry.stored.astimezone():%Y-%m-%d %H:%M}  {entry.dialect}/{entry.model}  {beginning_of_prompt(entry)}"


def entry_record(entry: Entry) -> dict[str, Any]:
    """The same, JSON-ready."""
    return {
        "key": entry.key,
        "stored": entry.stored.isoformat(),
        "dialect": entry.dialect,
        "url": entry.url,
        "model": entry.model,
        "sample": entry.sample,
        "usage": dict(entry.usage),
        "cost_estimate": entry.cost,
        "prompt": beginning_of_prompt(entry),
    }


def entry_text(entry: Entry) -> str:
    """Request and answer, readable."""
    answer: Any = entry.response
    if entry.reply is not None:
        answer = entry.reply.content.decode("utf-8", "replace")
        with contextlib.suppress(ValueError, RecursionError):
            answer = json.loads(answer)
    head = [
        f"key      {entry.key}",
        f"stored   {entry.stored.isoformat(timespec='seconds')}",
        f"address  {entry.url}",
        f"model    {entry.dialect}/{entry.model}",
    ]
    if entry.reply is not None and entry.reply.status != 200:
        head.append(f"status   {entry.reply.status}")
    return "\n".join([*head, "", "request", _pretty(entry.request()), "", "answer", _pretty(answer)])


def removed_line(removed: Removed) -> str:
    """What was removed."""
    parts = [f"{count(removed.answers, 'answer')} removed"]
    if removed.bytes:
        parts.append(size(removed.bytes))
    if removed.unreadable:
        parts.append(_no_answers(removed.unreadable, "was", "were"))
    if removed.leftovers:
        parts.append(f"{count(removed.leftovers, 'leftover')} of killed processes")
    return ", ".join(parts)


def _no_answers(number: int, singular: str, plural: str) -> str:
    return f"{count(number, 'file')} that {f'{singular} no answer' if number == 1 else f'{plural} no answers'}"


def imported_line(name: str, counts: Mapping[str, int]) -> str:
    """What became of the answers of a file."""
    labels = {"present": "were stored before", "refused": "lines are no answers", "left": "requests without a usable answer"}
    more = "".join(f", {number:,} {labels[kind]}" for kind, number in counts.items() if kind in labels and number)
    return f"{name}: {count(counts['stored'], 'answer')} stored{more}"


def size(number: float) -> str:
    """Bytes in the largest unit that leaves a whole part."""
    unit = 0
    while number >= 1000 and unit < len(_UNITS) - 1:
        number, unit = number / 1000, unit + 1
    return f"{number:,.0f} {_UNITS[unit]}" if unit == 0 or number >= 100 else f"{number:.1f} {_UNITS[unit]}"


def beginning_of_prompt(entry: Entry) -> str:
    """The beginning of the last text that the request has."""
    last = ""
    for text in _texts(entry.request()):
        last = text
    words = " ".join(last.split())
    return words if len(words) <= _PROMPT else f"{words[: _PROMPT - 1]}…"


def _texts(value: Any, name: str = "", depth: int = 0) -> Iterator[str]:
    """The texts under the names that dialects give to prompts."""
    if isinstance(value, str):
        if name in ("content", "text", "input", "prompt"):
            yield value
    elif isinstance(value, dict) and depth < 12:
        for key, item in value.items():
            yield from _texts(item, key, depth + 1)
    elif isinstance(value, list) and depth < 12:
        for item in value:
            yield from _texts(item, name, depth + 1)


def _pretty(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
