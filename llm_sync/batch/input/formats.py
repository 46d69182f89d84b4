"""The formats of an input's lines: JSON objects, OpenAI batch requests, plain text, or rows of a table with a template."""

from __future__ import annotations

import csv
import json
import re
import string
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn, Protocol

from llm_sync.batch.input.source import Line, Source
from llm_sync.errors import InvalidRequestError
from llm_sync.models.field_checks import kind

_OPENAI_KEYS = frozenset({"custom_id", "method", "url", "body"})
_MODEL = re.compile(rb'"model"\s*:\s*"([^"\\]*)"')


NOT_AN_OBJECT = "Give one JSON object a line; plain prompts need --text (text=True)."
"""The guidance for a line that is not an object. If no line is one, they are probably plain prompts."""


class LineFormat(Protocol):
    """Splits one input into records and reads them. ``openai``: results take the form of OpenAI's, too.

    ``settings``: what the prompt depends on beside the record itself, such as the template.
    """

    openai: bool
    settings: Mapping[str, Any]

    def begin(self, source: Source) -> None:
        """Examine the first line. Raises InvalidRequestError if the input does not fit the format."""

    def records(self, source: Source) -> Iterator[Line]:
        """The records in order, without blank lines. A record is one line, or several lines of a table."""

    def at(self, source: Source, offset: int) -> bytes:
        """The content of the record at ``offset``."""

    def read(self, content: bytes) -> Mapping[str, Any]:
        """The fields in a record. Raises InvalidRequestError if it cannot be read."""

    def model(self, content: bytes) -> str | None:
        """The model that a record names, or None. Does not parse the record if it need not."""


class _Lines:
    """One record per line."""

    openai = False

    def __init__(self) -> None:
        self.settings: Mapping[str, Any] = {}

    def begin(self, source: Source) -> None:
        """Nothing to examine."""

    def records(self, source: Source) -> Iterator[Line]:
        """Every line that is not blank."""
        return (line for line in source.lines() if line.content.strip())

    def at(self, source: Source, offset: int) -> bytes:
        """The line at ``offset``."""
        return next(source.from_line(offset), b"")

    def model(self, content: bytes) -> str | None:  # noqa: ARG002  (a prompt may look like anything)
        """None: the format has no field for it."""
        return None


class TextLines(_Lines):
    """Every line is a prompt."""

    def __init__(self) -> None:
        self.settings: Mapping[str, Any] = {"text": True}

    def read(self, content: bytes) -> Mapping[str, Any]:
        """The prompt."""
        return {"prompt": _decoded(bare(content))}


class JSONLines(_Lines):
    """Every line is an object: the fields of a request, or an OpenAI batch request. The first line decides which."""

    def begin(self, source: Source) -> None:
        """Find out which of the two it is."""
        first = next(self.records(source), None)
        try:
            self.openai = first is not None and is_openai(_object(first.content))
        except InvalidRequestError:  # reported when the line is read
            self.openai = False

    def read(self, content: bytes) -> Mapping[str, Any]:
        """The object, checked to be of the same kind as the first line's."""
        line = _object(content)
        if self.openai and not is_openai(line):
            missing = ", ".join(sorted(_OPENAI_KEYS - line.keys()))
            raise InvalidRequestError(f"an OpenAI batch request has no {missing}", guidance="Give every line all four.")
        if is_openai(line) and not self.openai:
            raise InvalidRequestError(
                "the line is an OpenAI batch request, the first line is not", guidance="Use one format per file."
            )
        return line

    def model(self, content: bytes) -> str | None:
        """Its ``model``, or its body's. Most lines are searched, not parsed."""
        if b"\\u" not in content:  # an escape could hide the key itself
            count = content.count(b'"model"')
            if not count:
                return None
            match = _MODEL.search(content) if count == 1 and content.count(b"{") == 1 else None
            if match is not None:
                return match[1].decode("utf-8", "replace")
        try:
            value: Any = json.loads(content)
            model = (value["body"] if is_openai(value) else value).get("model")
        except (ValueError, AttributeError, RecursionError):
            return None
        return model if isinstance(model, str) else None


class Table:
    """Rows of CSV, inserted into a template: ``{column}`` stands for a value, ``{{`` and ``}}`` for braces.

    The first row names the columns; a column ``id`` gives the requests' ids.
    """

    openai = False

    def __init__(self, template: str, delimiter: str = ",") -> None:
        self._delimiter = delimiter
        self._pieces = _pieces(template)
        self._columns: list[str] = []
        self.settings: Mapping[str, Any] = {"template": template, "delimiter": delimiter}

    def begin(self, source: Source) -> None:
        """Read the column names, and check that the template uses only these."""
        header = next(self._rows(source.lines()), None)
        if header is None:
            return
        self._columns = self._cells(header.content)
        self.settings = {**self.settings, "columns": self._columns}  # other names for the same rows make other prompts
        listed = ", ".join(self._columns)
        for _, column in self._pieces:
            if column is not None and column not in self._columns:
                raise InvalidRequestError(f"the template names a column {column!r}", guidance=f"The columns are: {listed}.")
            if column is not None and self._columns.count(column) > 1:
                raise InvalidRequestError(f"there are two columns {column!r}", guidance="Give each column a name of its own.")

    def records(self, source: Source) -> Iterator[Line]:
        """The rows after the first."""
        rows = self._rows(source.lines())
        next(rows, None)
        return rows

    def at(self, source: Source, offset: int) -> bytes:
        """The row at ``offset``."""
        lines = (Line(0, 0, content) for content in source.from_line(offset))
        return next(self._rows(lines), Line(0, 0, b"")).content

    def read(self, content: bytes) -> Mapping[str, Any]:
        """The row's prompt, and its id if there is one."""
        cells = self._cells(content)
        if len(cells) != len(self._columns):
            raise InvalidRequestError(
                f"the row has {len(cells)} values for {len(self._columns)} columns",
                guidance='Put values that hold the separator into quotation marks: "a, b".',
            )
        row = dict(zip(self._columns, cells, strict=True))
        prompt = "".join(text + (row[column] if column is not None else "") for text, column in self._pieces)
        return {"prompt": prompt, "id": row["id"]} if row.get("id") else {"prompt": prompt}

    def model(self, content: bytes) -> str | None:  # noqa: ARG002  (a column may have any name)
        """None: the format has no field for it."""
        return None

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
                blank = not next(reader)
            except StopIteration:
                return
            except csv.Error:  # reported when the row is read
                blank = False
            if not blank and taken:
                yield Line(taken[0].offset, taken[0].number, b"".join(line.content for line in taken))
            taken.clear()

    def _cells(self, content: bytes) -> list[str]:
        try:
            return next(self._reader(iter([_decoded(content)])), [])
        except csv.Error as error:
            raise InvalidRequestError(f"the row cannot be read: {error}", guidance="Check its quotation marks.") from None

    def _reader(self, lines: Iterator[str]) -> Iterator[list[str]]:
        csv.field_size_limit(max(csv.field_size_limit(), 2**31 - 1))  # the default is 128 KiB; it applies to the whole process
        return csv.reader(lines, delimiter=self._delimiter, strict=True)


def is_openai(line: Mapping[str, Any]) -> bool:
    """Whether an object is an OpenAI batch request."""
    return line.keys() >= _OPENAI_KEYS


def bare(content: bytes) -> bytes:
    """A line without its line end: the part that is compared and hashed."""
    return content.removesuffix(b"\n").removesuffix(b"\r")


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidRequestError(
            f"it is not UTF-8 (byte {error.start + 1} of the line)", guidance="Convert the file: iconv -t UTF-8"
        ) from None


def _object(content: bytes) -> dict[str, Any]:
    text = _decoded(bare(content))
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise InvalidRequestError("the JSON is nested too deeply", guidance="Give a plain request object.") from None
    except ValueError as error:
        raise InvalidRequestError(f"it is not JSON: {error}", guidance=NOT_AN_OBJECT) from None
    if not isinstance(value, dict):
        raise InvalidRequestError(f"it is a {kind(value)}, not an object", guidance=NOT_AN_OBJECT)
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _pieces(template: str) -> list[tuple[str, str | None]]:
    """The template as pairs (text, column that follows it or None)."""
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError as error:
        raise InvalidRequestError(
            f"the template {template!r} cannot be read: {error}", guidance="Write {column}; a brace itself is {{ or }}."
        ) from None
    pieces = [(text, None if name is None else _column(name, form, convert)) for text, name, form, convert in parsed]
    if not any(column for _, column in pieces):
        raise InvalidRequestError(f"the template {template!r} names no column", guidance="Write {column} where its value goes.")
    return pieces


def _column(name: str, form: str | None, convert: str | None) -> str:
    """The whole text between the braces: a column's name may contain ``!`` and ``:``, which Python's formatter splits off."""
    return name + (f"!{convert}" if convert else "") + (f":{form}" if form else "")
