"""The columns of a table of answers: those of the input, and those of each model (wide) or of each record (long)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from llm_sync.reports.rows import RecordRow
from llm_sync.reports.summary import Report

TEXT, INTEGER, NUMBER, BOOLEAN = "text", "integer", "number", "boolean"
_MAX_INTEGER = 2**63 - 1


@dataclass
class Field:
    """A column: its title, what its cells hold (TEXT, INTEGER, NUMBER or BOOLEAN), and how one is taken from a record."""

    title: str
    kind: str
    cell: Callable[[RecordRow], Any]


@dataclass
class _Seen:
    """The flattened names that records have, with the kinds of their values."""

    kinds: dict[str, set[str]] = field(default_factory=dict)

    def add(self, values: dict[str, Any]) -> None:
        """Note the names and kinds."""
        for name, value in values.items():
            kinds = self.kinds.setdefault(name, set())
            if value is not None:
                kinds.add(_kind(value))

    def kind(self, name: str) -> str:
        """The one kind that takes all values of a name."""
        kinds = self.kinds[name]
        if len(kinds) == 1:
            return next(iter(kinds))
        return NUMBER if kinds and kinds <= {INTEGER, NUMBER} else TEXT


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return BOOLEAN
    if isinstance(value, int):
        return INTEGER if abs(value) <= _MAX_INTEGER else TEXT
    return NUMBER if isinstance(value, float) else TEXT


def flattened(value: Any, prefix: str = "") -> dict[str, Any]:
    """The members of an object by name, those of objects in it as ``outer.inner``; lists and other values stay as they are."""
    if not isinstance(value, dict) or not value:
        return {prefix.removesuffix("."): value} if prefix else {}
    flat: dict[str, Any] = {}
    for name, member in value.items():
        flat.update(flattened(member, f"{prefix}{name}.") if isinstance(member, dict) and member else {f"{prefix}{name}": member})
    return flat


def as_cell(value: Any, kind: str) -> Any:
    """A value as a cell of this kind holds it: a text stays one; anything else in a column of texts becomes JSON."""
    if value is None or kind == BOOLEAN:
        return value
    if kind == NUMBER:
        return float(value)
    return value if kind == INTEGER or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@dataclass
class Columns:
    """The columns of all records of a report, by what they belong to."""

    common: list[Field]
    of_record: list[Field]

    @property
    def long(self) -> list[Field]:
        """A row for each record."""
        model = Field("model", TEXT, lambda row: row.column)
        return [*self.common, model, *self.of_record]


def columns_of(report: Report) -> Columns:
    """Read all records once to find the columns there are."""
    inputs, parsed, ids = _Seen(), _Seen(), _Seen()
    for row in report.rows():
        ids.add({"id": row.id})
        inputs.add(flattened(row.input))
        parsed.add(flattened(row.parsed) if isinstance(row.parsed, dict) else {})
    common = [_id_field(ids), Field("index", INTEGER, lambda row: row.index)]
    has_expected = report.check is not None and report.expect not in inputs.kinds
    taken = {"id", "index", "model", *(["expected"] if has_expected else [])}
    common += [_input_field(name, inputs.kind(name), taken) for name in inputs.kinds]
    if has_expected:
        common.append(Field("expected", TEXT, lambda row: as_cell(row.expected, TEXT)))
    return Columns(common, _record_fields(parsed, scored=report.check is not None))


def _id_field(ids: _Seen) -> Field:
    kind = ids.kind("id") if ids.kinds else TEXT
    return Field("id", kind, lambda row: as_cell(row.id, kind))


def _input_field(name: str, kind: str, taken: set[str]) -> Field:
    title = f"input.{name}" if name in taken else name
    return Field(title, kind, lambda row: as_cell(flattened(row.input).get(name), kind))


def _parsed_field(name: str, kind: str) -> Field:
    def cell(row: RecordRow) -> Any:
        return as_cell(flattened(row.parsed).get(name) if isinstance(row.parsed, dict) else None, kind)

    return Field(f"answer.{name}", kind, cell)


def _record_fields(parsed: _Seen, *, scored: bool) -> list[Field]:
    fields = [Field("status", TEXT, lambda row: row.status), Field("text", TEXT, lambda row: row.text)]
    fields += [_parsed_field(name, parsed.kind(name)) for name in parsed.kinds]
    if scored:
        fields += [Field("passed", BOOLEAN, lambda row: row.passed), Field("score", NUMBER, lambda row: row.score)]
    return [
        *fields,
        Field("finish", TEXT, lambda row: row.finish),
        Field("error", TEXT, lambda row: row.error),
        Field("message", TEXT, lambda row: row.message),
        Field("input_tokens", INTEGER, lambda row: row.input_tokens),
        Field("output_tokens", INTEGER, lambda row: row.output_tokens),
        Field("cost", NUMBER, lambda row: row.cost),
        Field("latency_ms", NUMBER, lambda row: row.latency_ms),
        Field("attempts", INTEGER, lambda row: row.attempts),
    ]


@dataclass
class Table:
    """A table of answers: ``titles`` and ``kinds`` of its columns, and its rows, which are made as they are read."""

    titles: list[str]
    kinds: list[str]
    rows: Iterator[list[Any]]


def answer_table(report: Report, *, long: bool = False) -> Table:
    """``long``: a row for each record. Else a row for each input line, with a group of columns for each model."""
    columns = columns_of(report)
    if long:
        fields = columns.long
        rows: Iterator[list[Any]] = ([each.cell(row) for each in fields] for row in report.rows())
        return Table([each.title for each in fields], [each.kind for each in fields], rows)
    titles, kinds = [each.title for each in columns.common], [each.kind for each in columns.common]
    models = [model.column for model in report.models]
    for model in models:
        titles += [f"{model} {each.title}" for each in columns.of_record]
        kinds += [each.kind for each in columns.of_record]
    return Table(titles, kinds, (_wide_row(columns, models, item) for item in report.items()))


def _wide_row(columns: Columns, models: list[str], item: list[RecordRow]) -> list[Any]:
    by_model = {row.column: row for row in item}
    cells = [each.cell(item[0]) for each in columns.common]
    for model in models:
        row = by_model.get(model)
        cells += [None] * len(columns.of_record) if row is None else [each.cell(row) for each in columns.of_record]
    return cells
