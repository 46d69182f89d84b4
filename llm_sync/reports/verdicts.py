"""What a check says of an answer, and what a check is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from llm_sync.reports.rows import RecordRow


class Verdict(NamedTuple):
    """``score``: 0 to 1, None without a verdict, for the reason ``unscored``."""

    score: float | None
    passed: bool | None
    unscored: str | None = None


class Check(Protocol):
    """Judges answers. ``description``: what is compared, in words. ``needs_expectation``: answers without one are skipped."""

    description: str
    needs_expectation: bool

    def verdicts(self, rows: Iterable[RecordRow]) -> Iterator[tuple[RecordRow, Verdict]]:
        """Each row, in order, with its verdict. Only rows with an answer and, if it is needed, an expectation are judged."""
        ...


def without_verdict(check: Check, row: RecordRow) -> Verdict | None:
    """The verdict of a row that is not judged; None for one that is."""
    if not row.has_answer:
        return Verdict(None, None)  # a failure is no wrong answer
    return Verdict(None, None, "no expectation") if check.needs_expectation and row.expected is None else None
