"""What a report remembers of each record: a small row in a temporary database, so that memory does not grow with the outputs."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from typing import NamedTuple

_SCHEMA = """
CREATE TABLE records (
  output INTEGER, number INTEGER, offset INTEGER, col INTEGER, item INTEGER, place INTEGER, status TEXT, score REAL,
  passed INTEGER, unscored TEXT, expected INTEGER, latency REAL, cost REAL, text INTEGER, PRIMARY KEY (output, number)
) WITHOUT ROWID
"""
_CACHE_KIB = 16_384
_BATCH = 2_000


class Kept(NamedTuple):
    """The row of a record. ``place``: its line's position in the input; ``text``: a hash of the answer's text; ``latency``:
    milliseconds, of answers that were not cached; ``expected``: whether there is an expectation."""

    output: int
    number: int
    offset: int
    col: int
    item: int
    place: int | None
    status: str
    score: float | None
    passed: bool | None
    unscored: str | None
    expected: bool
    latency: float | None
    cost: float | None
    text: int | None


def text_hash(text: str) -> int:
    """64 bits of a text."""
    content = text.encode("utf-8", "backslashreplace")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big", signed=True)


class Store:
    """The rows of all records, in a file that is removed with the process, or by ``close``. For one thread."""

    def __init__(self) -> None:
        handle, self._path = tempfile.mkstemp(prefix="llm-sync-report-", suffix=".sqlite")
        os.close(handle)
        self._connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        self._waiting: list[Kept] = []
        for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE_KIB}", "temp_store = FILE"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute(_SCHEMA)
        if os.name == "posix":  # nothing is left after a kill
            os.unlink(self._path)

    def close(self) -> None:
        """Remove it."""
        self._connection.close()
        if os.name != "posix":
            os.unlink(self._path)

    def add(self, kept: Kept) -> None:
        """Add a row."""
        self._waiting.append(kept)
        if len(self._waiting) >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        marks = ", ".join("?" * len(Kept._fields))
        self._connection.execute("BEGIN")
        self._connection.executemany(f"INSERT INTO records VALUES ({marks})", self._waiting)  # noqa: S608  (constants only)
        self._connection.execute("COMMIT")
        self._waiting.clear()

    def finish(self) -> None:
        """Call it after the last row: separates records of one model with the same id, and makes the index by item."""
        self._flush()
        rows = self._connection.execute(
            "SELECT * FROM (SELECT output, number, item, ROW_NUMBER() OVER (PARTITION BY col, item ORDER BY number) - 1 AS repeat"
            " FROM records) WHERE repeat > 0"
        )
        writer = self._connection.cursor()
        writer.execute("CREATE TEMP TABLE repeats (output INTEGER, number INTEGER, item INTEGER)")
        writer.executemany(
            "INSERT INTO repeats VALUES (?, ?, ?)",
            ((output, number, text_hash(f"{item} {n}")) for output, number, item, n in rows),
        )
        writer.execute(
            "UPDATE records SET item = (SELECT item FROM repeats r WHERE r.output = records.output AND r.number = records.number)"
            " WHERE EXISTS (SELECT 1 FROM repeats r WHERE r.output = records.output AND r.number = records.number)"
            if writer.execute("SELECT COUNT(*) FROM repeats").fetchone()[0]
            else "SELECT 1"
        )
        writer.execute("DROP TABLE repeats")
        writer.execute("CREATE INDEX by_item ON records (item, col)")
        writer.execute("CREATE INDEX by_latency ON records (col, latency)")

    def latency(self, col: int, share: float) -> float | None:
        """The quantile of a column's latencies, exact, with linear interpolation between two; None without any."""
        query = "SELECT COUNT(latency) FROM records WHERE col = ?"
        count: int = self._connection.execute(query, (col,)).fetchone()[0]
        if not count:
            return None
        position = share * (count - 1)
        query = "SELECT latency FROM records WHERE col = ? AND latency IS NOT NULL ORDER BY latency LIMIT 2 OFFSET ?"
        values = [row[0] for row in self._connection.execute(query, (col, int(position)))]
        below, above = values[0], values[-1]
        return float(below + (above - below) * (position - int(position)))

    def count(self, col: int) -> int:
        """The number of records in a column."""
        return int(self._connection.execute("SELECT COUNT(*) FROM records WHERE col = ?", (col,)).fetchone()[0])

    def of_output(self, output: int) -> Iterator[Kept]:
        """The rows of an output, in its order."""
        for row in self._connection.execute("SELECT * FROM records WHERE output = ? ORDER BY number", (output,)):
            yield Kept(*row)

    def by_item(self) -> Iterator[Kept]:
        """All rows: those of an item together, the items in the order of their first record."""
        query = (
            "SELECT r.* FROM (SELECT item, MIN(output * 4294967296 + number) AS first FROM records GROUP BY item) i"
            " JOIN records r ON r.item = i.item ORDER BY i.first, r.col, r.number"
        )
        for row in self._connection.execute(query):
            yield Kept(*row)

    def pairs(self, a: int, b: int) -> Iterator[tuple[Kept, Kept]]:
        """The rows of the items that have one in both columns."""
        width = len(Kept._fields)
        query = (
            "SELECT x.*, y.* FROM records x JOIN records y ON y.item = x.item AND y.col = ? WHERE x.col = ?"
            " ORDER BY x.output, x.number"
        )
        for row in self._connection.execute(query, (b, a)):
            yield Kept(*row[:width]), Kept(*row[width:])
