"""Tables of answers: what is in them, read again by other programs, and what hostile texts do to them: nothing."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from report_records import answer, failure  # type: ignore[import-not-found]

from llm_sync.reports import summarize
from llm_sync.reports.writing import defused, write_records, write_table

HOSTILE = [
    "=1+2",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    " =1",
    'a"b,c\nd',
    "a\0b",
    "<script>",
    "\u202eevil",
    "é" * 40_000,
]


@pytest.fixture
def table(output: Callable[..., str], tmp_path: Path) -> Callable[..., Path]:
    """Writes records as a table, returns its path."""

    def write(records: list[dict[str, Any]], name: str, **options: Any) -> Path:
        with summarize(output(records)) as report:
            write_table(report, str(tmp_path / name), **options)
        return tmp_path / name

    return write


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    csv.field_size_limit(1_000_000)
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_wide_table_has_a_group_for_each_model(table: Callable[..., Path]) -> None:
    """Input fields first, then each model's; what a model lacks is empty."""
    metadata = {"parsed": {"label": "x", "deep": {"n": 2}}}
    records = [answer(0, input={"a": 1, "b": {"c": "z"}}, metadata=metadata), failure(0, model="n"), answer(1)]
    first, second = rows(table(records, "out.csv"))
    assert (first["id"], first["a"], first["b.c"]) == ("q0", "1", "z")
    assert (first["p/m text"], first["p/m answer.label"], first["p/m answer.deep.n"]) == ("yes", "x", "2")
    assert (first["p/n status"], first["p/n error"], first["p/n text"]) == ("failed", "RateLimitError", "")
    assert (second["p/m text"], second["p/n status"], second["a"]) == ("yes", "", "")


def test_a_long_table_has_a_row_for_each_answer(table: Callable[..., Path]) -> None:
    """The model is a column."""
    long = rows(table([answer(0), failure(0, model="n")], "out.csv", long=True))
    assert [(row["model"], row["text"], row["cost"]) for row in long] == [("p/m", "yes", "0.5"), ("p/n", "", "")]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_cell_of_a_csv_file_is_a_formula(table: Callable[..., Path], text: str) -> None:
    """Texts come back as they were, but for the apostrophe and NUL."""
    (row,) = rows(table([answer(0, text, input={text.replace("\0", ""): text})], "out.csv"))
    for cell in [*row, *row.values()]:
        assert not cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t"))
    assert row["p/m text"].removeprefix("'") == text.replace("\0", "␀")


@pytest.mark.parametrize("text", ["-5", "+1.5", "-1e-3", "plain", "a=b", ""])
def test_numbers_and_plain_texts_stay(text: str) -> None:
    """Only what could be a formula is changed."""
    assert defused(text) == text


def test_an_excel_file_holds_texts_as_texts(table: Callable[..., Path]) -> None:
    """Read again by openpyxl: no formula, no link; long texts are cut to what Excel holds."""
    openpyxl = pytest.importorskip("openpyxl")
    pytest.importorskip("xlsxwriter")
    texts = [*HOSTILE, "http://example.com"]
    path = table([answer(n, text) for n, text in enumerate(texts)], "out.xlsx")
    sheet = openpyxl.load_workbook(path).active
    titles = [cell.value for cell in sheet[1]]
    column = titles.index("p/m text")
    for text, cells in zip(texts, sheet.iter_rows(min_row=2), strict=True):
        cell = cells[column]
        assert cell.data_type == "s"
        assert cell.hyperlink is None
        if "\0" not in text:
            assert cell.value == (text if len(text) < 32_768 else text[:32_766] + "…")
        assert isinstance(cells[titles.index("p/m cost")].value, float)


def test_a_parquet_file_has_types(table: Callable[..., Path]) -> None:
    """Read again by pyarrow: numbers are numbers, mixed fields are texts."""
    parquet = pytest.importorskip("pyarrow.parquet")
    records = [answer(0, "=1\0", input={"n": 1, "mixed": "a"}), answer(1, input={"n": 2.5, "mixed": [1]}), failure(2)]
    read = parquet.read_table(table(records, "out.parquet")).to_pydict()
    assert read["n"] == [1.0, 2.5, None]
    assert read["mixed"] == ["a", "[1]", None]
    assert read["p/m text"] == ["=1\0", "yes", None]
    assert read["p/m latency_ms"] == [100.0, 101.0, None]


def test_the_name_of_a_column_of_a_parquet_file_may_have_half_of_a_pair(table: Callable[..., Path]) -> None:
    """As a cell may."""
    parquet = pytest.importorskip("pyarrow.parquet")
    read = parquet.read_table(table([answer(0, input={"\ud800": "\ud800"})], "out.parquet")).to_pydict()
    assert read["\ufffd"] == ["\ufffd"]


def test_records_as_json_lines(output: Callable[..., str], tmp_path: Path) -> None:
    """One object a record, lone surrogates as escapes."""
    with summarize(output([answer(0, "\ud800"), failure(1)])) as report:
        write_records(report, str(tmp_path / "rows.jsonl"))
    first, second = map(json.loads, (tmp_path / "rows.jsonl").read_text().splitlines())
    assert (first["text"], first["status"], second["error"]) == ("\ud800", "answered", "RateLimitError")


def test_a_table_that_fails_leaves_the_old_one(output: Callable[..., str], tmp_path: Path) -> None:
    """The file is replaced as a whole, and nothing is left beside it."""
    path = output([answer(n) for n in range(3)])
    (tmp_path / "t.csv").write_text("old")
    with summarize(path) as report:
        Path(path).write_text("broken\n")
        with pytest.raises(Exception, match="not a record"):
            write_table(report, str(tmp_path / "t.csv"))
    assert (tmp_path / "t.csv").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "t.csv"]


@pytest.mark.timeout(300)
@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice is not installed")
@pytest.mark.parametrize("name", ["out.csv", "out.xlsx"])
def test_libreoffice_reads_what_was_written(table: Callable[..., Path], tmp_path: Path, name: str) -> None:
    """Converted to CSV again, each text is there, and none was computed."""
    texts = ["=1+2", "plain", "ünï", "a,b"]
    path = table([answer(n, text) for n, text in enumerate(texts)], name)
    (tmp_path / "again").mkdir()
    command = ["soffice", f"-env:UserInstallation=file://{tmp_path}/profile", "--headless", "--convert-to"]
    filters = "csv:Text - txt - csv (StarCalc):44,34,76"
    command += [filters, *(["--infilter=CSV:44,34,76"] if name.endswith(".csv") else [])]  # UTF-8, as a person says when it asks
    subprocess.run([*command, "--outdir", tmp_path / "again", path], check=True, timeout=200, capture_output=True)
    assert [row["p/m text"].removeprefix("'") for row in rows(tmp_path / "again" / "out.csv")] == texts
