"""Chooses what of the records goes into a page: all of them, or a random sample of the input lines if there are too many."""

from __future__ import annotations

import heapq
import json
from typing import Any

from llm_sync.reports.rows import RecordRow

MAX_ITEMS = 20_000
"""Input lines in a page."""
MAX_RECORDS = 100_000
MAX_CHARACTERS = 40_000_000
"""Characters of all texts of a page."""
MAX_TEXT = 20_000
"""Characters of one text."""
_HALF_RANGE = 1 << 63


class Sample:
    """Input lines with all their records, chosen by the hash that their number is: so a uniform sample, the same each time.

    Its memory is bounded. For one thread.
    """

    def __init__(self, max_items: int = MAX_ITEMS, max_records: int = MAX_RECORDS, max_characters: int = MAX_CHARACTERS) -> None:
        self._limits = max_items, max_records, max_characters
        self._items: dict[int, list[RecordRow]] = {}
        self._largest: list[int] = []  # a heap of the kept items' hashes, negated
        self._bound = 2 * _HALF_RANGE
        self._records = self._characters = 0
        self.is_whole = True

    def add(self, row: RecordRow) -> None:
        """Add a record. An input line that was dropped once stays out, so those kept are complete."""
        place = row.item + _HALF_RANGE
        if place >= self._bound:
            return
        if place not in self._items:
            self._items[place] = []
            heapq.heappush(self._largest, -place)
        _shorten(row)
        self._items[place].append(row)
        self._records += 1
        self._characters += _size(row)
        while self._is_too_large():
            self._drop()

    def _is_too_large(self) -> bool:
        sizes = len(self._items), self._records, self._characters
        return len(self._items) > 1 and any(size > limit for size, limit in zip(sizes, self._limits, strict=True))

    def _drop(self) -> None:
        self.is_whole = False
        self._bound = -heapq.heappop(self._largest)
        dropped = self._items.pop(self._bound)
        self._records -= len(dropped)
        self._characters -= sum(map(_size, dropped))

    def items(self) -> list[list[RecordRow]]:
        """The records of each input line, in the order in which the lines came."""
        return sorted(self._items.values(), key=lambda rows: (rows[0].index is None, rows[0].index or 0, rows[0].number))


def _shorten(row: RecordRow) -> None:
    """Cut texts that are too long for a page, in place; say how much is missing."""
    row.text = shortened(row.text)
    row.message = shortened(row.message)
    row.parsed = None
    row.expected = shortened(as_text(row.expected))
    row.input = {str(name)[:200]: shortened(as_text(value)) for name, value in row.input.items()}


def as_text(value: Any) -> str | None:
    """A value as a reader sees it: text as it is, other values as JSON; None for None."""
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def shortened(text: str | None) -> str | None:
    """The text, cut to MAX_TEXT characters with a note of what is missing."""
    if text is None or len(text) <= MAX_TEXT:
        return text
    return f"{text[:MAX_TEXT]}\n[… {len(text) - MAX_TEXT:,} more characters in the output]"


def _size(row: RecordRow) -> int:
    texts = row.text, row.message, row.expected, *row.input.values()
    return 200 + sum(len(text) for text in texts if text is not None)
