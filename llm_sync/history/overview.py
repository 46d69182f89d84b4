"""What conversations there are, and where in them a text stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from llm_sync.errors import ConfigurationError
from llm_sync.events import logger
from llm_sync.history import conversation, folder
from llm_sync.history.turn import Turn
from llm_sync.models import Message
from llm_sync.models.frozen import Frozen

_log = logger("history")


@dataclass(frozen=True, repr=False, eq=False)
class Overview(Frozen):
    """One conversation. ``began`` and ``last``: when its first and its last answer were complete, ISO 8601 in UTC; ``model``:
    the one asked last; ``prompt``: the first text of the user; ``cost``: USD, None where that of any turn is unknown;
    ``damaged``: lines that are no turns."""

    name: str
    turns: int
    began: str
    last: str
    model: str
    prompt: str
    cost: float | None
    damaged: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, the name as ``conversation``."""
        values = dict(vars(self))
        return {"conversation": values.pop("name"), **values}


@dataclass(frozen=True, repr=False, eq=False)
class Match(Frozen):
    """A text in which what was searched for stands. ``turn``: its number, from 1; ``role``: user, assistant, system or tool;
    ``start``: the place in ``text`` where it stands."""

    name: str
    turn: int
    role: str
    text: str
    start: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"conversation": self.name, "turn": self.turn, "role": self.role, "text": self.text}


def overviews(path: str) -> Iterator[Overview]:
    """All conversations of a folder, the one used last first. What cannot be read is left out, with a warning."""
    for name, content in _contents(path):
        if content.turns:
            yield _overview(name, content)


def search(path: str, text: str) -> Iterator[Match]:
    """Every text of the conversations that contains ``text``, in whatever case, those of the one used last first."""
    wanted = text.casefold()
    for name, content in _contents(path):
        for number, turn in enumerate(content.turns, 1):
            for role, each in texts(turn):
                start = _place(each, wanted)
                if start >= 0:
                    yield Match(name, number, role, each, start)


def _place(text: str, wanted: str) -> int:
    """Where ``wanted``, a case-folded text, stands in a text; -1: nowhere. Case-folded, some characters are several."""
    folded = text.casefold()
    at = folded.find(wanted)
    if at < 0 or len(folded) == len(text):
        return at
    for place, character in enumerate(text):
        at -= len(character.casefold())
        if at < 0:
            return place
    return len(text)


def texts(turn: Turn) -> Iterator[tuple[str, str]]:
    """The texts of a turn with the roles of those who said them."""
    if turn.system_prompt:
        yield "system", turn.system_prompt
    for message in (*turn.asked, turn.answer):
        if message.content:
            yield message.role, message.content


def _contents(path: str) -> Iterator[tuple[str, conversation.Content]]:
    for name in folder.names(path):
        try:
            yield name, conversation.read(path, name)
        except folder.NoConversation:  # noqa: PERF203  (deleted meanwhile)
            continue
        except ConfigurationError as error:
            _log.warning("%s", error.message)


def _overview(name: str, content: conversation.Content) -> Overview:
    first, last = content.turns[0], content.turns[-1]
    costs = [turn.cost for turn in content.turns if turn.cost is not None]
    total = sum(costs) if len(costs) == len(content.turns) else None
    return Overview(name, len(content.turns), first.at, last.at, last.model, _prompt(first.asked), total, content.damaged)


def _prompt(asked: tuple[Message, ...]) -> str:
    return next((message.content for message in asked if message.role == "user" and message.content), "")
