"""Counting outcomes, for progress and for the summary."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from llm_sync.batch.state.records import TRUNCATED, Head

BLOCKED = "ContentBlockedError"


@dataclass
class Tally:
    """What came of the requests of one provider, or of all. ``answered`` includes those truncated. ``cost``: USD.

    ``input_tokens``, ``output_tokens`` and ``cost`` are sums of what is known; ``unpriced``: answers whose cost is not.
    """

    answered: int = 0
    truncated: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    unpriced: int = 0

    @property
    def outcomes(self) -> int:
        """How many there are."""
        return self.answered + self.failed.total()

    def add(self, head: Head, count: int = 1) -> None:
        """Count an outcome; with ``count`` -1, count it no more."""
        if head.answered:
            self.answered += count
            self.truncated += count * (head.outcome == TRUNCATED)
            self.unpriced += count * (head.cost is None)
        else:
            self.failed[head.outcome] += count
        self.input_tokens += count * (head.input_tokens or 0)
        self.output_tokens += count * (head.output_tokens or 0)
        self.cost += count * (head.cost or 0.0)

    def include(self, other: Tally) -> None:
        """Add what another one counted."""
        self.answered += other.answered
        self.truncated += other.truncated
        self.failed.update(other.failed)
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.cost += other.cost
        self.unpriced += other.unpriced
