"""What one reading of the records gives a page, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from llm_sync.reports.page.sample import Sample
from llm_sync.reports.page.timeline import Timeline
from llm_sync.reports.rows import BLOCKED, FAILED, RecordRow

_MAX_EXAMPLES = 200


@dataclass
class Failures:
    """Failed and blocked requests of one class and model, with the first as an example."""

    error: str
    column: str
    example: RecordRow
    count: int = 0


@dataclass
class Collected:
    """What one reading of the records gives a page."""

    sample: Sample = field(default_factory=Sample)
    times: Timeline = field(default_factory=Timeline)
    failures: dict[tuple[str, str], Failures] = field(default_factory=dict)
    records: int = 0

    def add(self, row: RecordRow) -> None:
        """Add a record."""
        self.records += 1
        self.times.add(row)
        if row.status in (FAILED, BLOCKED):
            self._add_failure(row)
        self.sample.add(row)

    def _add_failure(self, row: RecordRow) -> None:
        error = (row.error or "unknown")[:200]
        key = (error, row.column)
        if key not in self.failures and len(self.failures) >= _MAX_EXAMPLES:
            return
        self.failures.setdefault(key, Failures(error, row.column, row)).count += 1
