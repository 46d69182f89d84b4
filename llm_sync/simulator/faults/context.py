"""One request as a script sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from llm_sync.simulator.dialects.base import Call, Dialect
from llm_sync.simulator.faults.seeded_random import Draws
from llm_sync.simulator.server.response import Response

DOORS = ("generate", "models")


@dataclass
class Scene:
    """``name``: the dialect's, as configured types are called; ``root``: the simulator's own address; ``key``: a hash of it.

    ``draws`` and ``attempt`` are filled in by a script that asks for them.
    """

    name: str
    dialect: Dialect
    call: Call
    root: str
    key: str | None
    draws: Draws | None = None
    attempt: int = 1
    _good: Response | None = field(default=None, repr=False)
    _text: str | None = field(default=None, repr=False)

    @property
    def door(self) -> str:
        """What is asked for: generate, models, or "" for anything else."""
        if self.call.method == "POST":
            return "generate"
        return "models" if self.call.method == "GET" and "/models" in self.call.path else ""

    @property
    def text(self) -> str:
        """What the user said last."""
        if self._text is None:
            self._text = last_user_text(self.call.payload)
        return self._text

    def of_attempt(self, name: str) -> float:
        """A draw of this attempt."""
        return self.draws.of_attempt(name) if self.draws else 0.5

    def of_request(self, name: str) -> float:
        """A draw of this request, the same for all its attempts."""
        return self.draws.of_request(name) if self.draws else 0.5

    def good(self) -> Response:
        """What the dialect answers, where nothing is in its way; asked once."""
        if self._good is None:
            self._good = self.dialect.answer(self.call)
        return self._good


def last_user_text(payload: Any) -> str:
    """The text of the last message that is the user's, in any dialect; "" where there is none."""
    if not isinstance(payload, dict):
        return ""
    turns = payload.get("messages") or payload.get("contents") or payload.get("input")
    if isinstance(turns, str):
        return turns
    for turn in reversed(turns) if isinstance(turns, list) else ():
        if isinstance(turn, dict) and turn.get("role", "user") == "user" and turn.get("type", "message") == "message":
            return _text(turn.get("content", turn.get("parts")))
    return ""


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    return "\n".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))
