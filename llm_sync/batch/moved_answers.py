"""Matches answers of previous runs to lines that have moved to another position of the input."""

from __future__ import annotations

from collections import deque

from llm_sync.batch.state.index import Entry
from llm_sync.errors import InvalidRequestError

_MAX_ANSWERS = 200_000  # answers whose lines are searched for: with more, it is another input
_MAX_LINES = 10_000  # unanswered lines remembered, because their answer may follow at a later position

LineAndRoute = tuple[str, int]
"""A line's hash, and the number of its route."""


class MovedAnswers:
    """Answers whose line is at another position or gone, and lines (slots) that have no answer yet.

    Whichever of the two comes second finds the other one. Only the latest 10,000 lines are remembered.
    """

    def __init__(self) -> None:
        self._answers: dict[LineAndRoute, list[Entry]] = {}
        self._lines: dict[LineAndRoute, deque[int]] = {}
        self._lines_in_order: deque[tuple[LineAndRoute, int]] = deque()  # the contents of _lines, oldest first
        self._forgot = False

    @property
    def forgot_lines(self) -> bool:
        """Whether there are answers left whose lines may be among those that were forgotten."""
        return self._forgot and bool(self._answers)

    def left(self) -> list[Entry]:
        """The answers that no line has taken."""
        return [entry for entries in self._answers.values() for entry in entries]

    def want(self, key: LineAndRoute, slot: int) -> None:
        """Remember that the slot has no answer; forget the oldest one if there are too many."""
        self._lines.setdefault(key, deque()).append(slot)
        self._lines_in_order.append((key, slot))
        if len(self._lines_in_order) > _MAX_LINES:
            oldest_key, oldest = self._lines_in_order.popleft()
            slots = self._lines.get(oldest_key)
            if slots and slots[0] == oldest:
                slots.popleft()
                self._forgot = True
            if not slots:
                self._lines.pop(oldest_key, None)

    def add(self, key: LineAndRoute, entry: Entry) -> int | None:
        """Add an answer. If a line without an answer is waiting for it, return that line's slot instead.

        Raises InvalidRequestError if there are too many answers.
        """
        slots = self._lines.get(key)
        if slots:
            return slots.popleft()
        self._answers.setdefault(key, []).append(entry)
        if len(self._answers) > _MAX_ANSWERS:
            raise InvalidRequestError(
                f"more than {_MAX_ANSWERS:,} answers of the output are to lines that this input has elsewhere, or not at all",
                guidance="Name another output, or start over with --restart (restart=True).",
            )
        return None

    def take(self, key: LineAndRoute) -> Entry | None:
        """Remove and return an answer to such a line."""
        entries = self._answers.get(key)
        if entries is None:
            return None
        entry = entries.pop()
        if not entries:
            del self._answers[key]
        return entry
