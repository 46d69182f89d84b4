"""The forms an input's lines may have: JSON objects, OpenAI's batch requests, plain text, rows of a table with a template."""

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


PLAIN = "Give one JSON object a line; plain prompts need --text (text=True)."
"""The guidance for a line that is no object: where every line is such, they are plain prompts."""


class Form(Protocol):
    """How the lines of one input are told apart and read. ``openai``: results take the form of OpenAI's too.

    ``settings``: how lines become prompts, beside what stands in them.
    """

    openai: bool
    settings: Mapping[str, Any]

    def begin(self, source: Source) -> None:
        """Look at the input's first line. Raises InvalidRequestError where nothing can be made of the input."""

    def records(self, source: Source) -> Iterator[Line]:
        """The requests, in order: one line each, or several lines of a table. Blank lines are none."""

    def at(self, source: Source, offset: int) -> bytes:
        """The content of the record that begins at ``offset``."""

    def read(self, content: bytes) -> Mapping[str, Any]:
        """What a record says. Raises InvalidRequestError for one that cannot be read."""

    def model(self, content: bytes) -> str | None:
        """The model that a record names, found without reading more of it than that takes; None where it names none."""


class _Lines:
    """One record a line."""

    openai = False

    def __init__(self) -> None:
        self.settings: Mapping[str, Any] = {}

    def begin(self, source: Source) -> None:
        """Nothing to look at."""

    def records(self, source: Source) -> Iterator[Line]:
        """Every line but blank ones."""
        return (line for line in source.lines() if line.content.strip())

    def at(self, source: Source, offset: int) -> bytes:
        """The line that begins there."""
        return next(source.from_line(offset), b"")

    def model(self, content: bytes) -> str | None:  # noqa: ARG002  (whatever a prompt may look like)
        """None: it has no place for one."""
        return None


class TextLines(_Lines):
    """Every line is a prompt."""

    def __init__(self) -> None:
        self.settings: Mapping[str, Any] = {"text": True}

    def read(self, content: bytes) -> Mapping[str, Any]:
        """The prompt."""
        return {"prompt": _decoded(bare(content))}


class JSONLines(_Lines):
    """Every line is an object: a request's fields, or a request of OpenAI's batch files; the first line tells which."""

    def begin(self, source: Source) -> None:
        """Look which of the two it is."""
        first = next(self.records(source), None)
        try:
            self.openai = first is not None and is_openai(_object(first.content))
        except InvalidRequestError:  # told when its turn comes
            self.openai = False

    def read(self, content: bytes) -> Mapping[str, Any]:
        """The object."""
        found = _object(content)
        if self.openai and not is_openai(found):
            missing = ", ".join(sorted(_OPENAI_KEYS - found.keys()))
            raise InvalidRequestError(f"a line of OpenAI's batch files has no {missing}", guidance="Give every line all four.")
        if is_openai(found) and not self.openai:
            raise InvalidRequestError(
                "the line is a request of OpenAI's batch files, the first line is not", guidance="Keep to one form in one file."
            )
        return found

    def model(self, content: bytes) -> str | None:
        """Its ``model``, or its body's; without parsing the line where its text is plain enough."""
        if b"\\u" not in content:  # else the key itself may be spelt that way
            count = content.count(b'"model"')
            if not count:
                return None
            told = _MODEL.search(content) if count == 1 and content.count(b"{") == 1 else None
            if told is not None:
                return told[1].decode("utf-8", "replace")
        try:
            found: Any = json.loads(content)
            model = (found["body"] if is_openai(found) else found).get("model")
        except (ValueError, AttributeError, RecursionError):
            return None
        return model if isinstance(model, str) else None


class Table:
    """Rows with named columns, put into a template: ``{column}`` stands for a value, ``{{`` and ``}}`` for braces.

    The first row names the columns; a column ``id`` is the requests' id.
    """

    openai = False

    def __init__(self, template: str, delimiter: str = ",") -> None:
        self._delimiter = delimiter
        self._pieces = _pieces(template)
        self._columns: list[str] = []
        self.settings: Mapping[str, Any] = {"template": template, "delimiter": delimiter}

    def begin(self, source: Source) -> None:
        """Read the columns, and hold the template against them."""
        header = next(self._rows(source.lines()), None)
        if header is None:
            return
        self._columns = self._cells(header.content)
        self.settings = {**self.settings, "columns": self._columns}  # other names above the same rows are other prompts
        listed = ", ".join(self._columns)
        for _, column in self._pieces:
            if column is not None and column not in self._columns:
                raise InvalidRequestError(f"the template names a column {column!r}", guidance=f"The columns are: {listed}.")
            if column is not None and self._columns.count(column) > 1:
                raise InvalidRequestError(f"there are two columns {column!r}", guidance="Give each column a name of its own.")

    def records(self, source: Source) -> Iterator[Line]:
        """The rows below the first."""
        rows = self._rows(source.lines())
        next(rows, None)
        return rows

    def at(self, source: Source, offset: int) -> bytes:
        """The row that begins there."""
        lines = (Line(0, 0, content) for content in source.from_line(offset))
        return next(self._rows(lines), Line(0, 0, b"")).content

    def read(self, content: bytes) -> Mapping[str, Any]:
        """The prompt that the row makes, and its id."""
        cells = self._cells(content)
        if len(cells) != len(self._columns):
            raise InvalidRequestError(
                f"the row has {len(cells)} values for {len(self._columns)} columns",
                guidance='Put values that hold the separator into quotation marks: "a, b".',
            )
        row = dict(zip(self._columns, cells, strict=True))
        prompt = "".join(text + (row[column] if column is not None else "") for text, column in self._pieces)
        return {"prompt": prompt, "id": row["id"]} if row.get("id") else {"prompt": prompt}

    def model(self, content: bytes) -> str | None:  # noqa: ARG002  (whatever a column is called)
        """None: a row says no more than its prompt."""
        return None

    def _rows(self, lines: Iterator[Line]) -> Iterator[Line]:
        """The lines that belong together: a value in quotation marks may go over several."""
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
            except csv.Error:  # told when the row is read
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
        csv.field_size_limit(max(csv.field_size_limit(), 2**31 - 1))  # the module's own is 128 KiB, for the whole process
        return csv.reader(lines, delimiter=self._delimiter, strict=True)


def is_openai(line: Mapping[str, Any]) -> bool:
    """Whether an object is a request of OpenAI's batch files."""
    return line.keys() >= _OPENAI_KEYS


def bare(content: bytes) -> bytes:
    """A line without its end, whichever it is: what counts of it."""
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
        found = json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise InvalidRequestError("the JSON is nested too deeply", guidance="Give a plain request object.") from None
    except ValueError as error:
        raise InvalidRequestError(f"it is not JSON: {error}", guidance=PLAIN) from None
    if not isinstance(found, dict):
        raise InvalidRequestError(f"it is a {kind(found)}, not an object", guidance=PLAIN)
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _pieces(template: str) -> list[tuple[str, str | None]]:
    """(text, the column that follows it), …"""
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
    """A column's name may hold what Python's format strings take for more than a name."""
    return name + (f"!{convert}" if convert else "") + (f":{form}" if form else "")
