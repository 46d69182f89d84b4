"""CSV as spreadsheets write it: blank rows, other separators, columns of ids."""

from __future__ import annotations

import logging

import pytest
from batch_apparatus import Batch

from llm_sync.errors import InvalidRequestError

TO_A = {"template": "{text}", "models": ["a/m"]}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_rows_of_separators_are_no_rows(stub: Batch, end: str) -> None:
    """Spreadsheets leave them where rows were deleted; they are neither sent nor numbered."""
    rows = [",", "text,note", "", "hello,", " , ", "bye,x", ",", '"",""', ""]
    stub.input.write_text(end.join(rows), "utf-8", newline="")
    stub.run(**TO_A)
    assert stub.texts() == ["echo hello", "echo bye"]
    assert [record["index"] for record in stub.records()] == [0, 1]
    assert stub.run(**TO_A).sent == 0


def test_a_column_of_any_name_gives_the_ids(stub: Batch) -> None:
    """Instead of the column id."""
    stub.input.write_text("key,id,text\nx,1,hello\n,2,bye\n")
    stub.run(id_column="key", **TO_A)
    assert [record["id"] for record in stub.records()] == ["x", None]
    with pytest.raises(InvalidRequestError, match="--id-column names a column 'kex'.* The columns are: key, id, text"):
        stub.run(id_column="kex", **TO_A)


def test_rows_without_a_value_can_be_left_out(stub: Batch) -> None:
    """Where the option names the column; a row that does not fit the columns is reported all the same."""
    stub.input.write_text("text,note\nhello,a\n ,b\n,c\nbye,\n")
    stub.run(skip_blank=["text"], **TO_A)
    assert stub.texts() == ["echo hello", "echo bye"]
    with pytest.raises(InvalidRequestError, match="--skip-blank names a column 'txt'"):
        stub.run(skip_blank=["txt"], **TO_A)
    stub.input.write_text("text,note\nhello\n")
    with pytest.raises(InvalidRequestError, match="line 2: the row has 1 values"):
        stub.run(skip_blank=["text"], **TO_A)


@pytest.mark.parametrize("options", [{"id_column": "x"}, {"skip_blank": ["x"]}])
def test_options_of_columns_need_a_template(stub: Batch, options: dict[str, object]) -> None:
    """Only a table has columns."""
    stub.lines("p")
    with pytest.raises(InvalidRequestError, match="are for CSV"):
        stub.run(**options)


@pytest.mark.parametrize(("separator", "name"), [(",", None), (";", "a semicolon"), ("\t", "a tab"), ("|", "a vertical bar")])
def test_the_separator_is_guessed(stub: Batch, caplog: pytest.LogCaptureFixture, separator: str, name: str | None) -> None:
    """By the columns that the template names, even if another separator occurs as often; any but the comma is reported."""
    header, row = separator.join(['"a,b;c"', "text"]), separator.join(["1", "hello"])
    stub.input.write_text(f"\n{separator}\n{header}\n{row}\n", "utf-8")
    with caplog.at_level(logging.WARNING, "llm_sync"):
        stub.run(**TO_A)
    assert stub.texts() == ["echo hello"]
    assert [f"separated by {name}" in text for text in caplog.messages] == ([True] if name else [])


def test_a_column_that_no_separator_gives_is_reported_with_the_likeliest_columns(stub: Batch) -> None:
    """Not with the whole first line as one column."""
    stub.input.write_text("id;word\n1;bread\n")
    with pytest.raises(InvalidRequestError, match="The columns are: id, word"):
        stub.run(**TO_A)


def test_double_braces_around_a_columns_name_are_reported(stub: Batch, caplog: pytest.LogCaptureFixture) -> None:
    """They are Jinja's form, and are sent as text here."""
    stub.input.write_text("text,word\nhello,x\n")
    stub.run(template="{{ word }} in {text}", models=["a/m"])
    assert stub.texts() == ["echo { word } in hello"]
    assert "for the value of the column write {word}" in caplog.text


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("in.xlsx", b"PK\x03\x04rest", "an Excel workbook"),
        ("in.xls", b"\xd0\xcf\x11\xe0rest", "an Excel workbook"),
        ("in.ods", b"PK\x03\x04rest", "a zip file or a workbook"),
    ],
)
@pytest.mark.parametrize("options", [{}, {"text": True}, TO_A])
def test_a_workbook_is_named(stub: Batch, name: str, content: bytes, reason: str, options: dict[str, object]) -> None:
    """With what to do, however it is to be read."""
    stub.input = stub.input.with_name(name)
    stub.input.write_bytes(content)
    with pytest.raises(InvalidRequestError, match=f"{reason}. Save it as CSV"):
        stub.run(**options)


def test_a_row_without_a_prompt_names_the_option_that_leaves_it_out(stub: Batch) -> None:
    """With the column's name as the shell takes it."""
    stub.input.write_text("id,the text\n1,a\n2,  \n", "utf-8")
    with pytest.raises(InvalidRequestError, match="line 3: the prompt is empty. To leave such rows out: --skip-blank 'the text'"):
        stub.run(template="{the text}", models=["a/m"])
    assert stub.run(template="{the text}", models=["a/m"], skip_blank=["the text"]).tally.answered == 1
