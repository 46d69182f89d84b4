"""Which texts have an outcome, and which are still to be sent: by the hash of their content, in a file, whatever their number."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

_SIGN = 1 << 63
_SCHEMA = (
    "PRAGMA journal_mode = OFF",
    "PRAGMA synchronous = OFF",
    "PRAGMA cache_size = -4000",  # KiB
    "CREATE TABLE outcome (key INTEGER PRIMARY KEY, place INTEGER, journal INTEGER, answered INTEGER, again INTEGER)",
    "CREATE TABLE waiting (key INTEGER PRIMARY KEY)",
)


class Outcome(NamedTuple):
    """Where the record of a text is: its offset in the store, and whether that line is a journal's or an output's."""

    offset: int
    in_journal: bool
    answered: bool
    again: bool


class Known:
    """A private database, on disk when it is large. One thread at a time. Raises OSError (disk full)."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)  # unnamed: nothing is left after a kill
        for statement in _SCHEMA:
            self._database.execute(statement)

    def add(self, key: int, outcome: Outcome) -> None:
        """Note the outcome of a text. A vector is not replaced by a failure."""
        former = self.get(key)
        if former is None or outcome.answered or not former.answered:
            values = (_signed(key), outcome.offset, outcome.in_journal, outcome.answered, outcome.again)
            self._execute("INSERT OR REPLACE INTO outcome VALUES (?, ?, ?, ?, ?)", *values)

    def get(self, key: int) -> Outcome | None:
        """The outcome of a text."""
        row = self._execute("SELECT place, journal, answered, again FROM outcome WHERE key = ?", _signed(key)).fetchone()
        return None if row is None else Outcome(row[0], bool(row[1]), bool(row[2]), bool(row[3]))

    def wait_for(self, key: int) -> bool:
        """Note that a text is to be sent; False if an equal one is already."""
        return self._execute("INSERT OR IGNORE INTO waiting VALUES (?)", _signed(key)).rowcount == 1

    def take(self, key: int) -> bool:
        """Whether a text is to be sent; from now on it is not any more."""
        return self._execute("DELETE FROM waiting WHERE key = ?", _signed(key)).rowcount == 1

    def _execute(self, statement: str, *values: object) -> sqlite3.Cursor:
        try:
            return self._database.execute(statement, values)
        except sqlite3.Error as error:
            raise OSError(0, f"the temporary database of the batch failed ({error})") from error

    def close(self) -> None:
        """Close it; then it is gone."""
        self._database.close()


def _signed(key: int) -> int:
    """SQLite's whole numbers have a sign."""
    return key - (_SIGN << 1) if key >= _SIGN else key
