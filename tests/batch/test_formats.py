"""What an input's lines may look like, and what becomes of those that are hostile."""

from __future__ import annotations

import dataclasses
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from batch_apparatus import Batch, Stub
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from llm_sync import ModelRequest
from llm_sync.batch.input.formats import JSONLines, TextLines
from llm_sync.batch.input.requests import line_hash
from llm_sync.batch.input.source import Source
from llm_sync.batch.input.table import Table
from llm_sync.errors import InvalidRequestError


def source(tmp_path: Path, content: bytes) -> Source:
    """A source of a file with this content."""
    path = tmp_path / "in"
    path.write_bytes(content)
    return Source(path.open("rb"), "in")


def test_text_lines_are_prompts(stub: Batch) -> None:
    """Whatever is in them; blank ones are none."""
    stub.input.write_bytes('one\n\n  two  \r\n{"prompt": 3}\ndrei €\n'.encode())
    stub.run(text=True, models=["a/m"])
    assert stub.texts() == ["echo one", "echo   two  ", 'echo {"prompt": 3}', "echo drei €"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("last", [True, False])
def test_line_ends_and_byte_order_marks_make_no_difference(stub: Batch, end: bytes, mark: bytes, last: bool) -> None:
    """An editor that writes others changes no line, and costs no request."""
    lines = [b'{"prompt": "p", "model": "a/m"}', b'{"prompt": "q", "model": "a/m"}']
    stub.input.write_bytes(b"\n".join(lines))
    stub.run()
    stub.input.write_bytes(mark + end.join(lines) + (end if last else b""))
    assert stub.run().sent == 0
    assert Stub.asked == ["p", "q"]


def test_a_template_makes_prompts_of_a_table(stub: Batch) -> None:
    """Values over several lines, separators and quotation marks in them, braces in the template; a column id is the id."""
    stub.input.write_text('id,text,to who\n7,"a, ""b""\nc",Eva\n,x,\n', "utf-8", newline="")
    stub.run(template="{{Translate}} for {to who}: {text}", models=["a/m"])
    assert stub.texts() == ['echo {Translate} for Eva: a, "b"\nc', "echo {Translate} for : x"]
    assert [record["id"] for record in stub.records()] == ["7", None]
    assert stub.run(template="{{Translate}} for {to who}: {text}", models=["a/m"]).sent == 0


def test_a_table_may_have_another_separator(stub: Batch) -> None:
    """As spreadsheets of many countries write it."""
    stub.input.write_text("a;b\n1;2,5\n", "utf-8")
    stub.run(template="{a}-{b}", delimiter=";", models=["a/m"])
    assert stub.texts() == ["echo 1-2,5"]


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{txt}", "names a column 'txt'. Did you mean 'text'\\? The columns are: id, text."),
        ("{nothing}", "names a column 'nothing'. The columns are: id, text."),
        ("{ text }", "Write {text}, without blanks"),
        ("{{ text }}", "Write {text} in single braces"),
        ("{{text}}", "Write {text} in single braces"),
        ("{text.upper}", "names a column 'text.upper'"),
        ("{text[0]}", r"names a column 'text\[0\]'"),
        ("{text!r}", "names a column 'text!r'"),
        ("{text:>9}", "names a column 'text:>9'"),
        ("{}", "names no column"),
        ("no column", "names no column"),
        ("{text", "cannot be read"),
        ("text}", "cannot be read"),
    ],
)
def test_a_template_that_fits_no_column_is_refused(stub: Batch, template: str, told: str) -> None:
    """With the columns there are; a template is no program."""
    stub.input.write_text("id,text\n1,x\n")
    with pytest.raises(InvalidRequestError, match=told):
        stub.run(template=template, models=["a/m"])


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("1\n", "1 values for 2 columns"),
        ("1,2,3\n", "3 values for 2"),
        ('"1" x,2\n', "cannot be read"),
        ('1,"x\n2,y\n', "cannot be read"),
    ],
)
def test_rows_that_do_not_fit_are_reported_by_number(stub: Batch, row: str, told: str) -> None:
    """The number of the line they begin on."""
    stub.input.write_text(f'id,text\n0,"a\nb"\n{row}')
    with pytest.raises(InvalidRequestError, match=f"line 4: .*{told}"):
        stub.run(template="{text}", models=["a/m"])


def test_a_table_of_nothing_but_its_columns_asks_nothing(stub: Batch) -> None:
    """As does an empty file."""
    for content in ("id,text\n", ""):
        stub.input.write_text(content)
        stub.output.unlink(missing_ok=True)
        assert stub.run(template="{text}", models=["a/m"]).requests == 0


def test_two_columns_of_one_name_are_refused_where_it_matters(stub: Batch) -> None:
    """Nobody knows which is meant."""
    stub.input.write_text("x,x,y\n1,2,3\n")
    with pytest.raises(InvalidRequestError, match="two columns 'x'"):
        stub.run(template="{x}", models=["a/m"])
    stub.run(template="{y}", models=["a/m"])
    assert stub.texts() == ["echo 3"]


def test_text_and_template_exclude_each_other(stub: Batch) -> None:
    """A line of text has no columns."""
    stub.lines("p")
    with pytest.raises(InvalidRequestError, match="exclude"):
        stub.run(text=True, template="{x}")


def test_one_line_of_30_mb_is_a_line(stub: Batch) -> None:
    """It is sent whole, and known again."""
    prompt = "x" * 30_000_000
    stub.lines({"prompt": prompt, "model": "a/m"}, "q")
    stub.run()
    assert [len(asked) for asked in Stub.asked] == [30_000_000, 1]
    assert stub.run().sent == 0


@pytest.mark.soak
def test_one_cell_of_30_mb_is_a_cell(stub: Batch) -> None:
    """Beyond what Python's csv takes by itself."""
    stub.input.write_text("a\n" + "x" * 30_000_000 + "\n")
    stub.run(template="{a}", models=["a/m"])
    assert len(Stub.asked[0]) == 30_000_000


@pytest.mark.parametrize(
    "content",
    [gzip.compress(b'{"prompt": "p", "model": "a/m"}\n', mtime=0)[:-9], b"no gzip at all", b""],
    ids=["cut off", "no gzip", "empty"],
)
def test_a_damaged_gzip_file_is_reported(stub: Batch, content: bytes) -> None:
    """Before anything is sent of it."""
    stub.input = stub.input.with_name("in.gz")
    stub.input.write_bytes(content)
    if content:
        with pytest.raises(OSError, match="not a complete gzip file"):
            stub.run()
    else:
        assert stub.run().requests == 0
    assert Stub.asked == []


def test_a_missing_input_is_reported(stub: Batch) -> None:
    """By the system's own words and its name."""
    with pytest.raises(FileNotFoundError):
        stub.run()
    with pytest.raises(IsADirectoryError):
        stub.run(requests=stub.input.parent)


def test_records_are_found_again_by_their_place(tmp_path: Path) -> None:
    """Every form reads at a place what it read there in passing."""
    for line_format, content in (
        (TextLines(), "\ufeffa\r\n\r\nb\n€\n\nlast".encode()),
        (JSONLines(), b'\xef\xbb\xbf{"a": 1}\n\n{"b": 2}\r\n'),
        (Table("{x}?"), b'\xef\xbb\xbfx,y\n1,"2\r\n3"\r\n\n"",4\n5,6'),
    ):
        lines = source(tmp_path, content)
        line_format.begin(lines)
        found = list(line_format.records(lines))
        assert len(found) > 1
        for line in reversed(found):
            assert line_format.at(lines, line.offset) == line.content
            assert line_format.read(line_format.at(lines, line.offset)) == line_format.read(line.content)
        lines.close()


def test_lines_are_distinguished_by_their_bytes_alone() -> None:
    """Not by its end."""
    assert line_hash(b"a\r\n") == line_hash(b"a\n") == line_hash(b"a")
    assert len({line_hash(text) for text in (b"a", b"b", b"a ", b"", b" a", b"a\r\r")}) == 6


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from([*(field.name for field in dataclasses.fields(ModelRequest)), "custom_id", "method", "url", "body"])


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(FIELDS, VALUES, max_size=4) | VALUES, min_size=1, max_size=6), st.binary(max_size=30))
def test_any_lines_become_outcomes_or_errors(stub: Batch, lines: list[Any], noise: bytes) -> None:
    """Whatever a file holds: every line that can be sent is, every other is a failure in its place, and none is lost."""
    assume(not isinstance(lines[0], list))  # it may be a document, whose elements are the requests
    content = b"".join(json.dumps(line).encode() + b"\n" for line in lines) + noise + b"\n"
    stub.input.write_bytes(content)
    stub.output.unlink(missing_ok=True)
    summary = stub.run(skip_bad_lines=True)
    expected = sum(bool(line.strip()) for line in content.split(b"\n"))
    assert summary.requests == expected == len(stub.records())
    assert [record.get("llm_sync", record)["index"] for record in stub.records()] == list(range(expected))
    assert summary.tally.answered + summary.skipped == expected
