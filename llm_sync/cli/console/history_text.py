"""Conversations as text for people."""

from __future__ import annotations

from collections.abc import Iterator

from llm_sync.cli.console.quantities import count
from llm_sync.cli.console.terminal import BOLD
from llm_sync.history.overview import Match, Overview
from llm_sync.history.turn import Turn
from llm_sync.models import Message

_PROMPT = 60  # characters of a prompt in a line
_AROUND = 40  # characters shown on either side of what was found

Piece = str | tuple[str, str]


def overview_line(overview: Overview) -> str:
    """A conversation in a line of a listing."""
    damaged = f", {count(overview.damaged, 'damaged line')}" if overview.damaged else ""
    facts = f"{count(overview.turns, 'turn')}{damaged}  {overview.model}"
    return f"{overview.name}  {_when(overview.last)}  {facts}  {beginning(overview.prompt)}"


def match_line(match: Match) -> str:
    """Where a text stands, and what stands around it."""
    start, end = max(0, match.start - _AROUND), match.start + 2 * _AROUND
    around = " ".join(match.text[start:end].split())
    before, after = "…" if start else "", "…" if end < len(match.text) else ""
    return f"{match.name}  turn {match.turn}  {match.role}: {before}{around}{after}"


def conversation_pieces(turns: tuple[Turn, ...]) -> Iterator[list[Piece]]:
    """A conversation, message by message, each with a heading: what Output.write takes."""
    system = None
    separator = ""
    for turn in turns:
        if turn.system_prompt and turn.system_prompt != system:
            system = turn.system_prompt
            yield [separator, ("== system ==", BOLD), "\n", system]
            separator = "\n"
        for message in turn.asked:
            yield [separator, (f"== {message.role} ==", BOLD), "\n", _said(message)]
            separator = "\n"
        yield [separator, (f"== {turn.model}, {_when(turn.at)} ==", BOLD), "\n", _said(turn.answer)]


def beginning(text: str) -> str:
    """The first words of a text, in one line."""
    words = " ".join(text[: 4 * _PROMPT].split())
    return words if len(words) <= _PROMPT else f"{words[: _PROMPT - 1]}…"


def _said(message: Message) -> str:
    """The text of a message, and what else it has."""
    files = [part.type for part in message.parts if part.type != "text"] or ["image"] * len(message.images)
    calls = [f"({call.name} is called with {call.raw_arguments or call.arguments})" for call in message.tool_calls]
    return "\n".join([*(f"({kind})" for kind in files), *([message.content] if message.content else []), *calls])


def _when(at: str) -> str:
    """A time in ISO 8601, to the minute."""
    return at[:16].replace("T", " ")
