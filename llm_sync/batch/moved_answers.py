"""Matches answers of previous runs to lines that have moved to another position of the input, edited or not."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from llm_sync.batch.state.index import Entry
from llm_sync.batch.state.records import Head
from llm_sync.errors import InvalidRequestError

_MAX_ANSWERS = 200_000  # answers whose lines are searched for: with more, it is another input
_MAX_LINES = 10_000  # unanswered lines remembered, because their answer may follow at a later position

_Key = tuple[str, str, int]  # what the hash is of, the hash, and the number of the route


class UnansweredLine(NamedTuple):
    """A line that has no answer in its slot: its hash, the hash of what is sent of it, its id, and its route's number."""

    slot: int
    line: str
    content: str
    id: str | int | None
    route: int

    @property
    def keys(self) -> tuple[_Key, _Key]:
        """What its answer is found by: best by the line, else by what is sent of it."""
        return ("line", self.line, self.route), ("content", self.content, self.route)


class MovedAnswers:
    """Answers whose line is at another position or gone, and lines that have no answer yet.

    Whichever of the two comes second finds the other one. Only the latest 10,000 lines are remembered.
    """

    def __init__(self) -> None:
        self._answers: dict[Entry, None] = {}  # those that no line has taken
        self._answers_by_key: dict[_Key, deque[Entry]] = {}  # also some that are taken
        self._lines: dict[int, UnansweredLine] = {}  # those that have got no answer, by slot
        self._lines_by_key: dict[_Key, deque[UnansweredLine]] = {}  # also some that have got one, or were forgotten
        self._forgot = False

    @property
    def forgot_lines(self) -> bool:
        """Whether there are answers left whose lines may be among those that were forgotten."""
        return self._forgot and bool(self._answers)

    def left(self) -> list[Entry]:
        """The answers that no line has taken."""
        return list(self._answers)

    def want(self, line: UnansweredLine) -> None:
        """Remember a line that has no answer; forget the oldest one if there are too many."""
        self._lines[line.slot] = line
        for key in line.keys:
            self._lines_by_key.setdefault(key, deque()).append(line)
        if len(self._lines) > _MAX_LINES:
            self._forgot = True
            oldest = self._lines.pop(next(iter(self._lines)))
            for key in oldest.keys:
                self._next_line(key)

    def add(self, head: Head, route: int, entry: Entry) -> UnansweredLine | None:
        """Add an answer. If a line is waiting for it, return that line instead.

        Raises InvalidRequestError if there are too many answers.
        """
        keys: list[_Key] = [("line", head.line, route)]
        if head.content:
            keys.append(("content", head.content, route))
        for key in keys:
            line = self._next_line(key)
            if line is not None:
                del self._lines[line.slot]
                return line
        self._answers[entry] = None
        for key in keys:
            self._answers_by_key.setdefault(key, deque()).append(entry)
        if len(self._answers) > _MAX_ANSWERS:
            raise InvalidRequestError(
                f"more than {_MAX_ANSWERS:,} answers of the output are to lines that this input has elsewhere, or not at all",
                guidance="Name another output, or start over with --restart (restart=True).",
            )
        return None

    def take(self, line: UnansweredLine) -> Entry | None:
        """Remove and return an answer to a line."""
        for key in line.keys:
            entries = self._answers_by_key.get(key)
            while entries:
                entry = entries.popleft()
                if entry in self._answers:
                    del self._answers[entry]
                    return entry
            self._answers_by_key.pop(key, None)
        return None

    def _next_line(self, key: _Key) -> UnansweredLine | None:
        """The oldest line with a key that is still waiting; those before it are dropped from the key's list."""
        lines = self._lines_by_key.get(key)
        while lines:
            if self._lines.get(lines[0].slot) is lines[0]:
                return lines[0]
            lines.popleft()
        self._lines_by_key.pop(key, None)
        return None
