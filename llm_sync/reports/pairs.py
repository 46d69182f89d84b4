"""Two models, or two runs, on the same input lines: what differs, which of them is better, and how sure that is."""

from __future__ import annotations

from collections import Counter

from llm_sync.reports.rows import ANSWERED, CUT, PairRow
from llm_sync.reports.statistics import mcnemar, paired_interval
from llm_sync.reports.store import Kept, Store

_ROUND = 9  # digits of a difference of scores, so that equal ones are counted together


class _Differences:
    """Sums over the items of a pair."""

    def __init__(self, pair: PairRow) -> None:
        self.pair = pair
        self.scores: Counter[float] = Counter()
        self._cost: list[float] = [0.0, 0]
        self._latency: list[float] = [0.0, 0]

    def add(self, a: Kept, b: Kept) -> None:
        """Count an item."""
        pair = self.pair
        pair.items += 1
        has_a, has_b = a.status in (ANSWERED, CUT), b.status in (ANSWERED, CUT)
        pair.fixed += has_b and not has_a
        pair.broken += has_a and not has_b
        if has_a and has_b:
            pair.both_answered += 1
            pair.same_text += a.text == b.text
            pair.changed += a.text != b.text
        if a.score is not None and b.score is not None:
            self._add_scores(a, b, b.score - a.score)
        for total, x, y in ((self._cost, a.cost, b.cost), (self._latency, a.latency, b.latency)):
            if x is not None and y is not None:
                total[0] += y - x
                total[1] += 1

    def _add_scores(self, a: Kept, b: Kept, difference: float) -> None:
        pair = self.pair
        pair.both_scored += 1
        pair.only_a += bool(a.passed) and not b.passed
        pair.only_b += bool(b.passed) and not a.passed
        pair.improved += difference > 0
        pair.worsened += difference < 0
        self.scores[round(difference, _ROUND)] += 1

    def finish(self, seed: int) -> PairRow:
        """The row with all that follows."""
        pair = self.pair
        interval = paired_interval(self.scores, seed)
        if interval is not None:
            pair.difference, pair.difference_low, pair.difference_high, pair.method = interval
            pair.seed = seed if pair.method == "bootstrap" else None
            pair.p_value = mcnemar(pair.only_a, pair.only_b)
        pair.cost_difference = self._cost[0] if self._cost[1] else None
        pair.latency_difference_ms = self._latency[0] / self._latency[1] if self._latency[1] else None
        return pair


def compare_columns(store: Store, a: tuple[str, int], b: tuple[str, int], seed: int) -> PairRow:
    """The row of two columns, each given by its name and its number in the store."""
    differences = _Differences(PairRow(a[0], b[0]))
    for left, right in store.pairs(a[1], b[1]):
        differences.add(left, right)
    pair = differences.finish(seed)
    pair.only_in_a, pair.only_in_b = store.count(a[1]) - pair.items, store.count(b[1]) - pair.items
    return pair
