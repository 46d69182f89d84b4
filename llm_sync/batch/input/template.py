"""A template for rows of a table: ``{column}`` stands for a value, ``{{`` and ``}}`` for braces."""

from __future__ import annotations

import difflib
import re
import string
from collections.abc import Mapping, Sequence

from llm_sync.errors import InvalidRequestError
from llm_sync.events import logger

_DOUBLE_BRACES = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")

_log = logger("batch")


class Template:
    """The text with its columns. Immutable. Raises InvalidRequestError if it cannot be read, or names no column."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._pieces = _pieces(text)
        self.columns = frozenset(column for _, column in self._pieces if column is not None)

    def check(self, columns: Sequence[str]) -> None:
        """Raise InvalidRequestError if the template names anything else than one of these columns."""
        for column in sorted(self.columns):
            if column not in columns:
                raise InvalidRequestError(f"the template names a column {column!r}", guidance=_which_columns(column, columns))
            if columns.count(column) > 1:
                raise InvalidRequestError(f"there are two columns {column!r}", guidance="Give each column a name of its own.")
        for match in _DOUBLE_BRACES.finditer(self._text):
            if match[1] in columns:
                _log.warning(
                    "%s in the template is sent as text in single braces; for the value of the column write {%s}",
                    match[0],
                    match[1],
                )

    def fill(self, row: Mapping[str, str]) -> str:
        """The prompt of a row."""
        return "".join(text + (row[column] if column is not None else "") for text, column in self._pieces)


def _which_columns(name: str, columns: Sequence[str]) -> str:
    """The guidance for a name that is no column's."""
    listed = f"The columns are: {', '.join(columns)}."
    if name.strip() in columns:
        return f"Write {{{name.strip()}}}, without blanks. {listed}"
    by_name = {column.strip().casefold(): column for column in columns}
    near = difflib.get_close_matches(name.strip().casefold(), by_name, n=1)
    return f"Did you mean {by_name[near[0]]!r}? {listed}" if near else listed


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
        doubled = _DOUBLE_BRACES.search(template)
        guidance = "Write {column} where its value goes."
        if doubled is not None and doubled[1]:
            guidance = f"Write {{{doubled[1]}}} in single braces where its value goes; double braces stand for braces themselves."
        raise InvalidRequestError(f"the template {template!r} names no column", guidance=guidance)
    return pieces


def _column(name: str, form: str | None, convert: str | None) -> str:
    """The whole text between the braces: a column's name may contain ``!`` and ``:``, which Python's formatter splits off."""
    return name + (f"!{convert}" if convert else "") + (f":{form}" if form else "")
