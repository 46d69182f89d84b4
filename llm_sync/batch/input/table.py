"""Rows of CSV, inserted into a template."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from shlex import quote
from typing import Any

from llm_sync.batch.input.formats import decoded
from llm_sync.batch.input.source import Line, Source
from llm_sync.batch.input.template import Template
from llm_sync.errors import InvalidRequestError
from llm_sync.events import logger

_SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a vertical bar"}

_log = logger("batch")


class Table:
    """The first row names the columns; a column ``id``, or the one named by ``id_column``, gives the requests' ids.

    ``delimiter``: None guesses it by the first row. Blank rows, also those of separators only, are no rows, nor are rows with a
    blank value in a column of ``skip_blank``.
    """

    openai = False

    def __init__(
        self, template: str, delimiter: str | None = ",", *, id_column: str | None = None, skip_blank: Sequence[str] = ()
    ) -> None:
        self._template = Template(template)
        self._delimiter = delimiter or ","
        self._is_guessed = delimiter is None
        self._id_column = id_column
        self._skip_blank = frozenset(skip_blank)
        self._columns: list[str] = []
        self.request_fields = frozenset((id_column or "id",))
        self.settings: Mapping[str, Any] = {"template": template, "delimiter": self._delimiter}

    def begin(self, source: Source) -> None:
        """Read the column names, and check that the template and the options use only these."""
        if self._is_guessed:
            self._guess_delimiter(source)
        header = next(self._rows(source.lines()), None)
        if header is None:
            return
        self._columns = self._cells(header.content)
        # Other names for the same rows make other prompts.
        self.settings = {**self.settings, "delimiter": self._delimiter, "columns": self._columns}
        self._template.check(self._columns)
        for option, names in (("--id-column", (self._id_column,)), ("--skip-blank", sorted(self._skip_blank))):
            for name in names:
                if name is not None and name not in self._columns:
                    listed = ", ".join(self._columns)
                    raise InvalidRequestError(f"{option} names a column {name!r}", guidance=f"The columns are: {listed}.")

    def records(self, source: Source) -> Iterator[Line]:
        """The rows after the first."""
        rows = self._rows(source.lines())
        next(rows, None)
        return (row for row in rows if not self._is_skipped(row.content)) if self._skip_blank else rows

    def at(self, source: Source, offset: int) -> bytes:
        """The row at ``offset``."""
        lines = (Line(0, 0, content) for content in source.from_line(offset))
        return next(self._rows(lines), Line(0, 0, b"")).content

    @property
    def columns(self) -> Sequence[str]:
        """The names of the columns; known after ``begin``."""
        return self._columns

    def read(self, content: bytes) -> Mapping[str, Any]:
        """The row's prompt, and its id if there is one."""
        row = self.fields(content)
        prompt = self._template.fill(row)
        if not prompt.strip():
            columns = " ".join(f"--skip-blank {quote(column)}" for column in sorted(self._template.columns))
            raise InvalidRequestError("the prompt is empty", guidance=f"To leave such rows out: {columns} (skip_blank=[…]).")
        row_id = row.get(self._id_column or "id")
        return {"prompt": prompt, "id": row_id} if row_id else {"prompt": prompt}

    def fields(self, content: bytes) -> dict[str, str]:
        """The row's values by column."""
        cells = self._cells(content)
        if len(cells) != len(self._columns):
            raise InvalidRequestError(
                f"the row has {len(cells)} values for {len(self._columns)} columns",
                guidance='Put values that hold the separator into quotation marks: "a, b".',
            )
        return dict(zip(self._columns, cells, strict=True))

    def model(self, content: bytes) -> str | None:  # noqa: ARG002  (a column may have any name)
        """None: the format has no field for it."""
        return None

    def _guess_delimiter(self, source: Source) -> None:
        """Take the separator with which the first row has the template's columns; if none does, the one it holds most often."""
        header = next((line.content for line in source.lines() if line.content.strip(b"\r\n\t ,;|")), b"")
        counts = {}
        for separator in _SEPARATORS:
            self._delimiter = separator
            try:
                columns = self._cells(header)
            except InvalidRequestError:  # reported with the separator that is chosen
                columns = []
            if self._template.columns <= set(columns):
                break
            counts[separator] = len(columns)
        else:
            self._delimiter = max(counts, key=counts.__getitem__)
        if self._delimiter != ",":
            _log.warning("the values of %s are separated by %s", source.name, _SEPARATORS[self._delimiter])

    def _is_skipped(self, content: bytes) -> bool:
        """Whether a well-formed row has a blank value where none may be."""
        try:
            cells = self._cells(content)
        except InvalidRequestError:
            return False
        row = zip(self._columns, cells, strict=False)
        return len(cells) == len(self._columns) and any(name in self._skip_blank and not cell.strip() for name, cell in row)

    def _rows(self, lines: Iterator[Line]) -> Iterator[Line]:
        """The lines of each row together: a value in quotation marks may contain line ends."""
        taken: list[Line] = []

        def texts() -> Iterator[str]:
            for line in lines:
                taken.append(line)
                yield line.content.decode("utf-8", "surrogateescape")

        reader = self._reader(texts())
        while True:
            try:
                cells = next(reader)
                blank = not any(cells) or not any(map(str.strip, cells))
            except StopIteration:
                return
            except csv.Error:  # reported when the row is read
                blank = False
            if not blank and taken:
                yield Line(taken[0].offset, taken[0].number, b"".join(line.content for line in taken))
            taken.clear()

    def _cells(self, content: bytes) -> list[str]:
        try:
            return next(self._reader(iter([decoded(content)])), [])
        except csv.Error as error:
            raise InvalidRequestError(f"the row cannot be read: {error}", guidance="Check its quotation marks.") from None

    def _reader(self, lines: Iterator[str]) -> Iterator[list[str]]:
        csv.field_size_limit(max(csv.field_size_limit(), 2**31 - 1))  # the default is 128 KiB; it applies to the whole process
        return csv.reader(lines, delimiter=self._delimiter, strict=True)
