"""Keeps the ledger small: what was settled long ago is kept as sums, by the hour after a day and by the day after 90 days.

The rows of one hour that agree in all that ``llm-sync spend`` tells apart become one row of a new number, which counts their
requests. The sums of budgets are kept apart (``totals``) and do not change. What is reserved is never folded, and what may have
been billed only after 90 days, as the job that it belongs to may be collected until then.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any, NamedTuple

from llm_sync.spending.ledger_file import transaction

HOUR_S, DAY_S = 3600, 86_400
SINGLE_DAYS, HOURLY_DAYS = 1, 90  # how long requests are kept one by one, and sums by the hour
RUN = "run/"  # what the names of budgets of single runs begin with; on its own: of all runs that were folded
_CHUNK = 500  # rows of one transaction: a few milliseconds, in which no other process can reserve
_INTERVAL_S = 300.0  # between two looks for what is to be folded, over all processes
_MAX_AMOUNT = 2**63 - 1
_COLUMNS = "id, at, state, amount, provider, model, config, tag, input_tokens, output_tokens, requests"


class _Row(NamedTuple):
    """A row of ``entries``."""

    entry: int
    at: float
    state: str
    amount: int
    provider: str
    model: str
    config: str
    tag: str
    input_tokens: int | None
    output_tokens: int | None
    requests: int


def fold(connection: sqlite3.Connection, now: float) -> bool:
    """Fold some of what is old enough at ``now``, by the ledger's time; False if nothing is left to do for the time being.

    Raises sqlite3.Error; then nothing was changed.
    """
    if _was_done(connection, "folded_hours", now, _INTERVAL_S):
        return False
    limit = (now - SINGLE_DAYS * DAY_S) // HOUR_S * HOUR_S
    if _fold_chunk(connection, HOUR_S, "span = 0 AND state IN ('spent', 'cached') AND at < ?", limit):
        return True
    if not _was_done(connection, "folded_days", now, DAY_S):
        limit = (now - HOURLY_DAYS * DAY_S) // DAY_S * DAY_S
        if _fold_chunk(connection, DAY_S, f"span < {DAY_S} AND state != 'reserved' AND at < ?", limit):
            return True
        _note_done(connection, "folded_days", now)
    _note_done(connection, "folded_hours", now)
    return False


def _was_done(connection: sqlite3.Connection, name: str, now: float, interval: float) -> bool:
    """Whether that was less than ``interval`` seconds ago; a time in the future counts as never."""
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return row is not None and isinstance(row[0], float) and 0 <= now - row[0] < interval


def _note_done(connection: sqlite3.Connection, name: str, now: float) -> None:
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, float(now)))


def _fold_chunk(connection: sqlite3.Connection, span: int, condition: str, limit: float) -> bool:
    """Fold the oldest rows that fulfil ``condition``, a constant, into sums over ``span`` seconds; whether there may be more."""
    oldest = f"SELECT {_COLUMNS} FROM entries WHERE {condition} ORDER BY at LIMIT {_CHUNK}"  # noqa: S608  (constants)
    if connection.execute(oldest, (limit,)).fetchone() is None:  # mostly; without a lock
        return False
    with transaction(connection):
        rows = [_Row(*row) for row in connection.execute(oldest, (limit,))]
        starts = {row.at // span * span for row in rows}
        sums = f"SELECT {_COLUMNS} FROM entries WHERE span = {span} AND at >= ? AND at < ?"  # noqa: S608
        former = [_Row(*row) for start in starts for row in connection.execute(sums, (start, start + span))]
        groups: dict[tuple[Any, ...], list[_Row]] = {}
        charges = _charges(connection, (row.entry for row in (*rows, *former)), keep_runs=span < DAY_S)
        for row in (*rows, *former):
            key = (row.at // span, row.state, row.provider, row.model, row.config, row.tag, charges[row.entry])
            groups.setdefault(key, []).append(row)
        runs = _runs(connection, rows) if span == DAY_S else set()
        for key, group in groups.items():
            _replace(connection, group, key[-1], span)
        _forget_unused(connection, runs)
    return len(rows) == _CHUNK


def _charges(connection: sqlite3.Connection, entries: Iterable[int], *, keep_runs: bool) -> dict[int, tuple[str, ...]]:
    """The budgets of each entry, in order; those of single runs as one, unless they are to be kept."""
    found = {}
    for entry in entries:
        names = (name for (name,) in connection.execute("SELECT budget FROM charges WHERE entry = ?", (entry,)))
        found[entry] = tuple(sorted({RUN if name.startswith(RUN) and not keep_runs else name for name in names}))
    return found


def _replace(connection: sqlite3.Connection, rows: list[_Row], budgets: tuple[str, ...], span: int) -> None:
    """Put one row in place of these."""
    first = min(rows, key=lambda row: row.at)
    cursor = connection.execute(
        """INSERT INTO entries
        (at, state, amount, owner, provider, model, config, tag, run, input_tokens, output_tokens, requests, span)
        VALUES (?,?,?,'',?,?,?,?,'',?,?,?,?)""",
        (
            first.at,
            first.state,
            min(sum(row.amount for row in rows), _MAX_AMOUNT),
            *(first.provider, first.model, first.config, first.tag),
            *(_total(row.input_tokens for row in rows), _total(row.output_tokens for row in rows)),
            *(sum(row.requests for row in rows), span),
        ),
    )
    connection.executemany("DELETE FROM charges WHERE entry = ?", [(row.entry,) for row in rows])
    connection.executemany("DELETE FROM entries WHERE id = ?", [(row.entry,) for row in rows])
    connection.executemany("INSERT INTO charges VALUES (?,?)", [(cursor.lastrowid, budget) for budget in budgets])


def _total(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return min(sum(known), _MAX_AMOUNT) if known else None


def _runs(connection: sqlite3.Connection, rows: Iterable[_Row]) -> set[str]:
    """The budgets of single runs that entries count for."""
    query = "SELECT budget FROM charges WHERE entry = ?"
    found = {name for row in rows for (name,) in connection.execute(query, (row.entry,))}
    return {name for name in found if name.startswith(RUN) and name != RUN}


def _forget_unused(connection: sqlite3.Connection, runs: set[str]) -> None:
    """Forget the sums of runs that have asked nothing for 90 days."""
    if runs:
        marks = ",".join("?" * len(runs))
        used = connection.execute(f"SELECT DISTINCT budget FROM charges WHERE budget IN ({marks})", tuple(runs))  # noqa: S608
        unused = runs - {name for (name,) in used}
        connection.executemany("DELETE FROM totals WHERE budget = ?", [(name,) for name in unused])
