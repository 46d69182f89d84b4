"""The body layout of a dialect: where the parts of its answers are, so that a script can turn a normal answer into a faulty one.

Every method changes the body in place. Methods that change the generated content return the new number of output tokens, which
still includes reasoning tokens, as with real models.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from llm_sync.simulator.answers.tokens import split_tokens
from llm_sync.simulator.faults.error_table import spelling_of

Body = dict[str, Any]


class BodyLayout(ABC):
    """The layout of one dialect. ``wrong_types``: the path of a field that every client reads, and a value of a wrong type."""

    wrong_types: ClassVar[Mapping[str, Any]]
    wrong_listing_types: ClassVar[Mapping[str, Any]] = {"data": "none"}
    listing_key: ClassVar[str] = "data"

    @abstractmethod
    def truncate(self, body: Body, tokens: int) -> int:
        """Cuts the answer after ``tokens`` tokens, as the token limit does; 0 leaves no text."""

    @abstractmethod
    def make_empty(self, body: Body) -> int:
        """Removes all content; the answer ends normally."""

    @abstractmethod
    def make_refusal(self, body: Body, text: str) -> int:
        """Turns the answer into a refusal by the model."""

    @abstractmethod
    def make_blocked(self, body: Body, reason: str) -> int:
        """Turns the answer into one that a safety filter has removed."""

    def make_error(self, body: Body, kind: str) -> None:
        """Turns the body into an error of this kind; the status stays 200."""
        spelling = spelling_of(kind, "openai")
        body.clear()
        body["error"] = {"message": spelling.render(), "param": None, **spelling.members}

    def stream_frames(self, body: Body) -> Iterator[str]:
        """The answer as the events of a stream."""
        yield frame(body)


def truncate_text(text: str, tokens: int) -> tuple[str, int]:
    """The first ``tokens`` tokens of a text, and their number."""
    pieces = split_tokens(text)[:tokens]
    return "".join(pieces), len(pieces)


def join_frames(frames: Iterable[str]) -> bytes:
    """The body of a stream."""
    return "".join(frames).encode("utf-8", "surrogatepass")


def frame(event: Any, name: str = "") -> str:
    """One server-sent event, with a name if the dialect uses names."""
    return (f"event: {name}\n" if name else "") + f"data: {json.dumps(event)}\n\n"
