"""The result of ``batch merge`` in words."""

from __future__ import annotations

from llm_sync.batch import Merged
from llm_sync.cli.console.quantities import count

_MAX_NAMED = 10  # ranges of missing lines


def merged_line(result: Merged, output: str) -> str:
    """How many records were merged."""
    duplicates = f"; {count(result.doubles, 'duplicate record')} left out" if result.doubles else ""
    return f"{output}: {count(result.records, 'record')}, {result.answered:,} answered{duplicates}"


def missing_line(result: Merged) -> str:
    """Which lines of the input are in none of the outputs."""
    named = [str(first) if first == last else f"{first}–{last}" for first, last in result.missing[:_MAX_NAMED]]
    more = " and more" if len(result.missing) > _MAX_NAMED else ""
    return f"{count(result.missing_count, 'line')} of the input missing: index {', '.join(named)}{more}"
