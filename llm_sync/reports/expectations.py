"""The expected answers: a field that was kept of the input, or a file that is joined by the records' ids."""

from __future__ import annotations

import csv
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from llm_sync.errors import InvalidRequestError
from llm_sync.reports.rows import RecordRow

_COLUMNS = ("expected", "answer", "reference", "target")
_MAX_LISTED = 10


class Expectations(Protocol):
    """Gives the expected value of a record; None without any."""

    def of(self, row: RecordRow) -> Any:
        """The value for this row."""
        ...

    def problem(self) -> str | None:
        """After all rows: why none had an expectation; None if one had."""
        ...

    def close(self) -> None:
        """Free what is held."""
        ...


def open_expectations(name: str | os.PathLike[str]) -> Expectations:
    """Of a file (``FILE`` or ``FILE:COLUMN``) if there is one of that name, else of the kept field ``name``.

    Raises OSError, and InvalidRequestError for a file that cannot be used.
    """
    text = os.fspath(name)
    path, colon, column = text.rpartition(":")
    if os.path.isfile(text):
        return ExpectedFile(text, None)
    if colon and os.path.isfile(path):
        return ExpectedFile(path, column)
    if os.sep in text:
        raise FileNotFoundError(2, "No such file or directory", text)
    return KeptColumn(text)


class KeptColumn:
    """Expectations in the records: a field of ``input``; dots lead into objects."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._hit = False
        self._names: dict[str, None] = {}

    def of(self, row: RecordRow) -> Any:
        """The kept field."""
        value: Any = row.input.get(self._name)
        if value is None and "." in self._name:
            value = row.input
            for part in self._name.split("."):
                value = value.get(part) if isinstance(value, Mapping) else None
        self._hit = self._hit or value is not None
        if not self._hit and len(self._names) < _MAX_LISTED:
            self._names.update(dict.fromkeys(row.input))
        return value

    def problem(self) -> str | None:
        """Names the fields that there are."""
        if self._hit:
            return None
        kept = ", ".join(self._names)
        there = (
            f"The fields kept are: {kept}." if kept else "The records keep no fields: run batch again with --keep or --keep-all."
        )
        return f"no record has a kept field {self._name!r}, and there is no such file. {there}"

    def close(self) -> None:
        """Nothing is held."""


class ExpectedFile:
    """Expectations in a file: CSV or TSV with a header line, JSON Lines, or a JSON object of values by id.

    The values are in a temporary database, so that memory does not grow with them. For one thread.
    """

    def __init__(self, path: str, column: str | None) -> None:
        self._path = path
        self._hit = False
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)  # unnamed, on disk when it is large
        self._database.execute("CREATE TABLE expected (id TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID")
        self._database.execute("BEGIN")
        try:
            for record_id, value in _entries(path, column):
                self._add(record_id, json.dumps(value))
        except (ValueError, RecursionError, csv.Error) as error:
            raise InvalidRequestError(f"the expectations in {path!r} cannot be read: {error}") from None
        self._database.execute("COMMIT")

    def _add(self, record_id: str, value: str) -> None:
        record_id = _storable(record_id)
        before = self._database.execute("SELECT value FROM expected WHERE id = ?", (record_id,)).fetchone()
        if before is not None and before[0] != value:
            raise InvalidRequestError(f"{self._path!r} has two expectations for the id {record_id!r}")
        self._database.execute("INSERT OR REPLACE INTO expected VALUES (?, ?)", (record_id, value))

    def of(self, row: RecordRow) -> Any:
        """The value for the record's id."""
        stored = None
        if row.id is not None:
            stored = self._database.execute("SELECT value FROM expected WHERE id = ?", (_storable(str(row.id)),)).fetchone()
        self._hit = self._hit or stored is not None
        return None if stored is None else json.loads(stored[0])

    def problem(self) -> str | None:
        """Says that no id is in both."""
        return None if self._hit else f"no record's id is in {self._path!r}, which is joined by id"

    def close(self) -> None:
        """Drop the database."""
        self._database.close()


def _storable(record_id: str) -> str:
    """An id without halves of surrogate pairs, which no database takes."""
    return record_id.encode("utf-8", "backslashreplace").decode("utf-8")


def _entries(path: str, column: str | None) -> Iterator[tuple[str, Any]]:
    if path.endswith((".csv", ".tsv")):
        with open(path, encoding="utf-8-sig", newline="") as file:
            yield from _of_objects(csv.DictReader(file, delimiter="\t" if path.endswith(".tsv") else ","), column)
        return
    with open(path, encoding="utf-8-sig") as file:
        if path.endswith(".json"):
            document = json.load(file)
            if isinstance(document, dict):
                yield from document.items()
                return
            yield from _of_objects(document, column)
        else:
            yield from _of_objects((json.loads(line) for line in file if line.strip()), column)


def _of_objects(rows: Iterable[Any], column: str | None) -> Iterator[tuple[str, Any]]:
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict) or row.get("id", row.get("custom_id")) is None:
            raise ValueError(f"entry {number} has no id")
        name = column or _value_column(row)
        if name not in row:
            raise ValueError(f"entry {number} has no {name!r}")
        if row[name] is not None:
            yield str(row.get("id", row.get("custom_id"))), row[name]


def _value_column(row: Mapping[str, Any]) -> str:
    others = [name for name in row if name not in ("id", "custom_id")]
    usual = [name for name in _COLUMNS if name in others]
    if usual or len(others) == 1:
        return (usual or others)[0]
    raise ValueError(f"which of its columns is expected? Name it as FILE:COLUMN; there are: {', '.join(map(str, others))}")
