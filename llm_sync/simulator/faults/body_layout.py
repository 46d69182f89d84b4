"""Where things are in the good answer of each dialect, so that a script can take an answer and make it a bad one.

Every method changes the body it is given, a document of its own. Those that change what was generated return the output tokens
there are now; ``reasoning`` goes on counting, as it does for real models.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from llm_sync.simulator.answers.tokens import split
from llm_sync.simulator.faults.error_table import said

Body = dict[str, Any]


class Anatomy(ABC):
    """One dialect's. ``wrong``: a field every client reads, by path, and a value of a type it never has."""

    wrong: ClassVar[Mapping[str, Any]]
    wrong_listing: ClassVar[Mapping[str, Any]] = {"data": "none"}
    listed: ClassVar[str] = "data"

    @abstractmethod
    def cut(self, body: Body, tokens: int) -> int:
        """Ends after ``tokens`` tokens, as the limit does; 0 leaves no text, as where reasoning took them all."""

    @abstractmethod
    def silence(self, body: Body) -> int:
        """Nothing was said, and the model calls that an end."""

    @abstractmethod
    def refuse(self, body: Body, text: str) -> int:
        """The model declines in its own words."""

    @abstractmethod
    def block(self, body: Body, reason: str) -> int:
        """A filter behind the model took the answer away."""

    def fail(self, body: Body, word: str) -> None:
        """The error ``word`` inside a body that says success."""
        found = said(word, "openai")
        body.clear()
        body["error"] = {"message": found.text(), "param": None, **found.members}

    def frames(self, body: Body) -> Iterator[str]:
        """The answer as the events of a stream."""
        yield frame(body)


def cut_text(text: str, tokens: int) -> tuple[str, int]:
    """The first ``tokens`` tokens, and how many these are."""
    pieces = split(text)[:tokens]
    return "".join(pieces), len(pieces)


def joined(frames: Iterable[str]) -> bytes:
    """A whole stream."""
    return "".join(frames).encode("utf-8", "surrogatepass")


def frame(event: Any, name: str = "") -> str:
    """One event, by its name where the dialect gives them names."""
    return (f"event: {name}\n" if name else "") + f"data: {json.dumps(event)}\n\n"
