"""Reads outputs once into the rows of a report, and gives the records again, one at a time."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from llm_sync.errors import InvalidRequestError
from llm_sync.reports.checks import make_check
from llm_sync.reports.expectations import Expectations, open_expectations
from llm_sync.reports.pairs import compare_columns
from llm_sync.reports.reading import OutputFile, read_row
from llm_sync.reports.rows import ANSWERED, BLOCKED, CUT, ModelRow, PairRow, RecordRow
from llm_sync.reports.statistics import SEED, wilson
from llm_sync.reports.store import Kept, Store, text_hash
from llm_sync.reports.verdicts import Check, Verdict


class Report:
    """The figures of some outputs: ``models``, a row each, and the records behind them.

    ``outputs``: their paths; ``expect`` and ``check_name``: as they were
    given; ``check``: what is compared, in words, or None; ``seed``: of the bootstrap. It holds the outputs and
    a temporary file open: close it, or use it in ``with``. For one thread. The outputs must not change while it is open.
    """

    def __init__(
        self,
        files: Sequence[OutputFile],
        expectations: Expectations | None,
        check: Check | None,
        seed: int,
        names: tuple[str | None, str | None] = (None, None),
    ) -> None:
        self.outputs = tuple(file.path for file in files)
        self.check = None if check is None else check.description
        self.expect, self.check_name = names
        self.seed = seed
        self.models: list[ModelRow] = []
        self.records = 0
        self._files = files
        self._expectations = expectations
        self._store = Store()

    def __enter__(self) -> Report:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the outputs, and remove the temporary file."""
        self._store.close()
        for file in self._files:
            file.close()
        if self._expectations is not None:
            self._expectations.close()

    def to_dicts(self) -> list[dict[str, Any]]:
        """The rows of the models as dictionaries, which pandas and polars take."""
        return [model.to_dict() for model in self.models]

    def rows(self) -> Iterator[RecordRow]:
        """The rows of all records, output by output, in the order of each. Reads the outputs again."""
        for output in range(len(self._files)):
            for kept in self._store.of_output(output):
                yield self._row(kept)

    def items(self) -> Iterator[list[RecordRow]]:
        """The rows of each input line together, in the order of ``models``; the lines in the order in which they came."""
        for _, together in itertools.groupby(self._store.by_item(), lambda kept: kept.item):
            yield [self._row(kept) for kept in together]

    def pair(self, a: str, b: str) -> PairRow:
        """Two models, by their columns, on the same input lines. Raises KeyError for a column that there is not."""
        columns = {model.column: col for col, model in enumerate(self.models)}
        return compare_columns(self._store, (a, columns[a]), (b, columns[b]), self.seed)

    def pairs(self) -> Iterator[PairRow]:
        """Each two of the models."""
        for a, b in itertools.combinations(self.models, 2):
            yield self.pair(a.column, b.column)

    def digests(self) -> dict[str, str]:
        """The SHA-256 of each output's records, unpacked, in hexadecimal."""
        return {file.path: file.digest() for file in self._files}

    def _row(self, kept: Kept) -> RecordRow:
        file = self._files[kept.output]
        row = read_row(file.at(kept.offset), file.path, kept.number)
        row.column, row.item = self.models[kept.col].column, kept.item
        row.score, row.passed, row.unscored = kept.score, None if kept.passed is None else bool(kept.passed), kept.unscored
        row.expected = None if self._expectations is None else self._expectations.of(row)
        return row


def summarize(
    outputs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    expect: str | os.PathLike[str] | None = None,
    check: str | Check | None = None,
    seed: int = SEED,
) -> Report:
    """Read finished outputs into a report.

    ``expect``: a field that was kept of the input (``batch --keep``), or a file of expectations that is joined by id. ``check``:
    exact (if only ``expect`` is given), contains, regex, number, json, schema:FILE, command:CMD, or a Check of your own.
    Memory does not grow with the number of records. Raises OSError; InvalidRequestError for a file that is no finished output,
    and for expectations that fit no record.
    """
    paths = [outputs] if isinstance(outputs, (str, os.PathLike)) else list(outputs)
    names = [os.fspath(path) for path in paths]
    if not names or len({os.path.realpath(name) for name in names}) < len(names):
        raise InvalidRequestError("no output is named" if not names else "an output is named twice")
    if check is None and expect is not None:
        check = "exact"
    chosen = make_check(check) if isinstance(check, str) else check
    if chosen is not None and expect is None and chosen.needs_expectation:
        raise InvalidRequestError(f"the check {check!r} needs expectations", guidance="Give --expect COLUMN or FILE (expect=…).")
    with contextlib.ExitStack() as undo:
        files = []
        for name in names:
            files.append(OutputFile(name))
            undo.callback(files[-1].close)
        expectations = None if expect is None else open_expectations(expect)
        given = (None if expect is None else os.fspath(expect), check if check is None or isinstance(check, str) else "custom")
        report = Report(files, expectations, chosen, seed, given)
        undo.callback(report.close)
        _Reader(report, files, expectations, chosen).read()
        undo.pop_all()
        return report


class _Column:
    """What is added up for a model besides its row."""

    def __init__(self, row: ModelRow) -> None:
        self.row = row
        self.cost = 0.0
        self.priced = False
        self.score = 0.0
        self.first: datetime | None = None
        self.last: datetime | None = None

    def add(self, row: RecordRow, verdict: Verdict) -> None:
        """Count a record."""
        model = self.row
        model.requests += 1
        _count_status(model, row)
        model.cached += row.cached
        model.input_tokens += row.input_tokens or 0
        model.output_tokens += row.output_tokens or 0
        model.retries += max(0, (row.attempts or 1) - 1)
        if row.cost is not None:
            self.cost, self.priced = self.cost + row.cost, True
        model.unpriced += row.has_answer and row.cost is None
        for counts, name in ((model.answered_as, row.answered_as), (model.tiers, row.tier), (model.settings, row.settings)):
            if name is not None:
                counts[name] = counts.get(name, 0) + 1
        self._add_times(row)
        self._add_verdict(row, verdict)

    def _add_times(self, row: RecordRow) -> None:
        if row.cached:  # its times are those of the run that asked
            return
        if row.started is not None:
            self.first = min(self.first or row.started, row.started)
        if row.finished is not None:
            self.last = max(self.last or row.finished, row.finished)

    def _add_verdict(self, row: RecordRow, verdict: Verdict) -> None:
        model = self.row
        model.expected += row.expected is not None
        if verdict.score is not None:
            model.scored += 1
            model.passed += bool(verdict.passed)
            self.score += verdict.score
        elif verdict.unscored is not None:
            reason = verdict.unscored[:_MAX_REASON]
            if reason not in model.unscored and len(model.unscored) >= _MAX_REASONS:
                reason = "other"
            model.unscored[reason] = model.unscored.get(reason, 0) + 1

    def finish(self, store: Store, col: int, *, needs_expectation: bool) -> None:
        """Compute what follows from the counts."""
        model = self.row
        model.cost = self.cost if self.priced else None
        model.latency_p50_ms, model.latency_p95_ms = store.latency(col, 0.5), store.latency(col, 0.95)
        if self.first is not None and self.last is not None:
            model.wall_seconds = (self.last - self.first).total_seconds()
        interval = wilson(model.passed, model.scored)
        if interval is not None:
            model.accuracy, (model.accuracy_low, model.accuracy_high) = model.passed / model.scored, interval
            model.mean_score = self.score / model.scored
            cases = model.expected if needs_expectation else model.requests
            model.passed_of_all = model.passed / cases


_MAX_REASON, _MAX_REASONS = 200, 10


def _count_status(model: ModelRow, row: RecordRow) -> None:
    if row.status == ANSWERED:
        model.answered += 1
    elif row.status == CUT:
        model.cut += 1
    elif row.status == BLOCKED:
        model.blocked += 1
    else:
        kind = row.error or "unknown"
        model.failed[kind] = model.failed.get(kind, 0) + 1


class _Reader:
    """Reads the outputs once, and fills the report."""

    def __init__(
        self, report: Report, files: Sequence[OutputFile], expectations: Expectations | None, check: Check | None
    ) -> None:
        self._report = report
        self._store = report._store  # noqa: SLF001  (the report's own reader)
        self._files = files
        self._expectations = expectations
        self._check = check
        self._columns: dict[tuple[int, str | None, str | None, str | None], tuple[int, _Column]] = {}
        self._offsets: dict[int, int] = {}  # of the rows that are being judged, by their number

    def read(self) -> None:
        """Read all."""
        for output, file in enumerate(self._files):
            rows = self._rows(file)
            judged = ((row, Verdict(None, None)) for row in rows) if self._check is None else self._check.verdicts(rows)
            for row, verdict in judged:
                self._add(output, row, verdict)
        problem = self._expectations.problem() if self._expectations is not None and self._report.records else None
        if problem is not None:
            raise InvalidRequestError(problem)
        self._store.finish()
        needs_expectation = self._check is not None and self._check.needs_expectation
        for col, column in self._columns.values():
            column.finish(self._store, col, needs_expectation=needs_expectation)
            self._report.models.append(column.row)
        _name_columns(self._report.models)

    def _rows(self, file: OutputFile) -> Iterator[RecordRow]:
        for number, (offset, values) in enumerate(file.records()):
            row = read_row(values, file.path, number)
            if self._expectations is not None:
                row.expected = self._expectations.of(row)
            self._offsets[number] = offset
            yield row

    def _add(self, output: int, row: RecordRow, verdict: Verdict) -> None:
        key = (output, row.provider, row.model, row.route_of)
        if key not in self._columns:
            model = ModelRow(row.column, row.output, row.provider, row.model, route_of=row.route_of)
            self._columns[key] = len(self._columns), _Column(model)
        col, column = self._columns[key]
        column.add(row, verdict)
        self._report.records += 1
        self._store.add(
            Kept(
                output,
                row.number,
                self._offsets.pop(row.number),
                col,
                row.item,
                row.index,
                row.status,
                verdict.score,
                verdict.passed,
                verdict.unscored,
                row.expected is not None,
                None if row.cached or row.latency_ms is None or math.isnan(row.latency_ms) else row.latency_ms,
                row.cost,
                None if row.text is None else text_hash(row.text),
            )
        )


def _name_columns(models: list[ModelRow]) -> None:
    """Give models that are in several outputs different names."""
    names = [model.column for model in models]
    files = [os.path.basename(model.output) for model in models]
    for model, name, file in zip(models, names, files, strict=True):
        if names.count(name) > 1:
            model.column = f"{name} [{file if len(set(files)) == len({m.output for m in models}) else model.output}]"
