"""Writes tables of answers as CSV, TSV, Parquet or Excel files, and records as JSON Lines, row by row."""

from __future__ import annotations

import csv
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import islice
from typing import Any

from llm_sync.errors import ConfigurationError, InvalidRequestError
from llm_sync.reports.columns import BOOLEAN, INTEGER, NUMBER, Table, answer_table
from llm_sync.reports.summary import Report
from llm_sync.runtime.import_lock import import_lock

_NUMERIC = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_MAX_EXCEL_CELL, _MAX_EXCEL_ROWS, _MAX_EXCEL_COLUMNS = 32_767, 1_048_576, 16_384
_MAX_EXCEL_NUMBER = 10**15
_ROWS_A_GROUP = 5_000
_PACKAGES = {  # what needs which package, of which extra
    ".html": ("a page", "jinja2", "report"),
    ".parquet": ("a Parquet file", "pyarrow", "parquet"),
    ".xlsx": ("an Excel file", "XlsxWriter", "xlsx"),
}
_SURROGATES = re.compile("[\ud800-\udfff]")


def defused(text: str) -> str:
    """A text as a cell that no spreadsheet takes for a formula: an apostrophe comes before a beginning that would make it one.

    Numbers stay. NUL, which readers of CSV refuse, and lone surrogates, which no encoding has, are replaced by signs.
    """
    text = _SURROGATES.sub("\ufffd", text).replace("\0", "␀")
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) and not _NUMERIC.fullmatch(text) else text


@contextmanager
def replacing(path: str) -> Iterator[str]:
    """The name of a new file beside ``path``, which replaces it at the end of the block; after an error it is removed."""
    target = os.path.realpath(path)
    handle, new = tempfile.mkstemp(prefix=f".{os.path.basename(target)}.", dir=os.path.dirname(target))
    os.close(handle)
    try:
        yield new
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(new, 0o666 & ~umask)
        os.replace(new, target)
    except BaseException:
        os.unlink(new)
        raise


def _delimited(table: Table, path: str, delimiter: str) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\r\n" if delimiter == "," else "\n")
        writer.writerow([defused(title) for title in table.titles])
        for row in table.rows:
            writer.writerow([_text_cell(cell) for cell in row])


def _text_cell(cell: Any) -> Any:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return defused(cell) if isinstance(cell, str) else cell


def _write_csv(table: Table, path: str) -> None:
    _delimited(table, path, ",")


def _write_tsv(table: Table, path: str) -> None:
    _delimited(table, path, "\t")


def check_package(extension: str) -> None:
    """Raise ConfigurationError if a file with this extension needs a package that is not installed."""
    if extension in _PACKAGES and find_spec(_PACKAGES[extension][1].lower()) is None:
        raise _missing(extension)


def _missing(extension: str) -> ConfigurationError:
    what, package, extra = _PACKAGES[extension]
    return ConfigurationError(f"{what} needs the package {package}", guidance=f"Install it: pip install 'llm-sync[{extra}]'.")


def _write_parquet(table: Table, path: str) -> None:
    try:
        with import_lock:
            import pyarrow
            import pyarrow.parquet
    except ImportError:
        raise _missing(".parquet") from None
    titles = _distinct(map(_encodable, table.titles))
    types = {INTEGER: pyarrow.int64(), NUMBER: pyarrow.float64(), BOOLEAN: pyarrow.bool_()}
    schema = pyarrow.schema([(title, types.get(kind, pyarrow.string())) for title, kind in zip(titles, table.kinds, strict=True)])
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        while group := list(islice(table.rows, _ROWS_A_GROUP)):
            columns = [
                pyarrow.array(map(_encodable, cells), type=each.type)
                for cells, each in zip(zip(*group, strict=True), schema, strict=True)
            ]
            writer.write_table(pyarrow.Table.from_arrays(columns, schema=schema))


def _encodable(cell: Any) -> Any:
    return _SURROGATES.sub("\ufffd", cell) if isinstance(cell, str) else cell


def _distinct(titles: Iterable[str]) -> list[str]:
    """The titles, with a number behind those that occur before."""
    used: dict[str, int] = {}
    names = []
    for title in titles:
        used[title] = used.get(title, 0) + 1
        names.append(title if used[title] == 1 else f"{title} ({used[title]})")
    return names


def _write_excel(table: Table, path: str) -> None:
    try:
        with import_lock:
            import xlsxwriter
    except ImportError:
        raise _missing(".xlsx") from None
    if len(table.titles) > _MAX_EXCEL_COLUMNS:
        raise InvalidRequestError(f"an Excel sheet has no more than {_MAX_EXCEL_COLUMNS:,} columns", guidance="Add --long.")
    book = xlsxwriter.Workbook(path, {"constant_memory": True, "strings_to_numbers": False})
    sheet = book.add_worksheet("answers")
    try:
        _excel_row(sheet, 0, table.titles)
        for number, cells in enumerate(table.rows, 1):
            if number >= _MAX_EXCEL_ROWS:
                raise InvalidRequestError(f"an Excel sheet has no more than {_MAX_EXCEL_ROWS:,} rows", guidance="Write CSV.")
            _excel_row(sheet, number, cells)
    finally:
        book.close()


def _excel_row(sheet: Any, number: int, cells: Iterable[Any]) -> None:
    """Texts are written as texts, whatever they begin with, so that none is a formula or a link."""
    for place, cell in enumerate(cells):
        if isinstance(cell, bool):
            sheet.write_boolean(number, place, cell)
        elif isinstance(cell, (int, float)):
            if abs(cell) < _MAX_EXCEL_NUMBER:
                sheet.write_number(number, place, cell)
            else:  # Excel has fifteen digits; nan and infinity it has not
                sheet.write_string(number, place, str(cell))
        elif cell is not None:
            text = str(_encodable(cell))
            sheet.write_string(number, place, text if len(text) <= _MAX_EXCEL_CELL else text[: _MAX_EXCEL_CELL - 1] + "…")


_WRITERS: dict[str, Callable[[Table, str], None]] = {
    ".csv": _write_csv,
    ".tsv": _write_tsv,
    ".parquet": _write_parquet,
    ".xlsx": _write_excel,
}
TABLE_EXTENSIONS = tuple(_WRITERS)


def write_table(report: Report, path: str, *, long: bool = False) -> None:
    """Write the answers beside their input as a table; the name's extension says in what form. The file is replaced as a whole.

    Raises OSError; ConfigurationError if the package for the form is not installed; InvalidRequestError for a form there is not.
    """
    writer = _WRITERS.get(os.path.splitext(path)[1].lower())
    if writer is None:
        raise InvalidRequestError(f"{path!r} has none of the extensions {', '.join(TABLE_EXTENSIONS)}")
    with replacing(path) as new:
        writer(answer_table(report, long=long), new)


def write_records(report: Report, path: str) -> None:
    """Write the rows of all records as JSON Lines. Raises OSError."""
    with replacing(path) as new, open(new, "w", encoding="utf-8", errors="backslashreplace") as file:
        for row in report.rows():
            file.write(json.dumps(row.to_dict(), ensure_ascii=False) + "\n")
