"""Fields that a line has beside its request's come back on its record, if asked for; they are never sent."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from batch_apparatus import Batch, Far, Stub

from llm_sync.errors import InvalidRequestError

LINE = {"model": "a/m", "prompt": "p", "reference": "r", "meta": {"source": "s", "deep": {"x": [1, None]}}, "meta.flat": 1}


def test_an_unknown_field_is_an_error_that_names_the_option(stub: Batch) -> None:
    """As it may also be a misspelt one."""
    stub.lines(LINE)
    with pytest.raises(InvalidRequestError, match=r"'reference' is unknown.*--keep reference .*--keep-all"):
        stub.run()


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        (["reference", "meta"], {"reference": "r", "meta": LINE["meta"]}),
        (["reference", "meta.source"], {"reference": "r", "meta.source": "s"}),
        (["reference", "meta.deep.x", "prompt"], {"reference": "r", "meta.deep.x": [1, None], "prompt": "p"}),
        (["reference", "meta.*"], {"reference": "r", "meta.flat": 1, "meta.source": "s", "meta.deep": {"x": [1, None]}}),
    ],
)
def test_named_fields_come_back(stub: Batch, keep: list[str], kept: dict[str, Any]) -> None:
    """Whole, a member of an object, or all members with a prefix; the request is the same as without them."""
    line = LINE if "meta.*" in keep else {name: value for name, value in LINE.items() if name != "meta.flat"}
    stub.lines(line)
    stub.run(keep=keep)
    (record,) = stub.records()
    assert record["input"] == kept
    stub.lines({"model": "a/m", "prompt": "p"})
    assert stub.run().sent == 0
    assert "input" not in stub.records()[0]


def test_all_fields_come_back(stub: Batch) -> None:
    """Except those of the request."""
    stub.lines(LINE, "without any")
    stub.run(keep_all=True)
    extra = {name: LINE[name] for name in ("reference", "meta", "meta.flat")}
    assert [record["input"] for record in stub.records()] == [extra, {}]


def test_a_field_that_is_not_named_is_still_unknown(stub: Batch) -> None:
    """A misspelt parameter must not be dropped."""
    stub.lines({"model": "a/m", "prompt": "p", "reference": 1, "temprature": 1})
    with pytest.raises(InvalidRequestError, match="'temprature' is unknown. Did you mean temperature?"):
        stub.run(keep=["reference"])


def test_all_fields_warn_of_one_that_looks_misspelt(stub: Batch, caplog: pytest.LogCaptureFixture) -> None:
    """Once, not for each line."""
    stub.lines(*({"model": "a/m", "prompt": f"{number}", "temprature": 1} for number in range(3)))
    with caplog.at_level(logging.WARNING, "llm_sync"):
        stub.run(keep_all=True)
    assert [record.getMessage() for record in caplog.records] == [
        "the field 'temprature' is kept, not sent; did you mean temperature?"
    ]


def test_columns_of_a_table_come_back(stub: Batch) -> None:
    """All except the id, or those named."""
    stub.input.write_text("id,text,line,input\n1,a,x,y\n\n2,b,,\n", "utf-8")
    table = {"template": "{text}", "models": ["a/m"]}
    stub.run(**table, keep_all=True)
    assert [record["input"] for record in stub.records()] == [
        {"text": "a", "line": "x", "input": "y"},
        {"text": "b", "line": "", "input": ""},
    ]
    assert [record["line"] for record in stub.records()] == [2, 4]
    assert stub.run(**table, keep=["line"]).sent == 0
    assert [record["input"] for record in stub.records()] == [{"line": "x"}, {"line": ""}]
    with pytest.raises(InvalidRequestError, match="names a column 'lien'. Did you mean 'line'?"):
        stub.run(**table, keep=["lien"])


def test_fields_are_added_to_answers_that_are_there(stub: Batch) -> None:
    """A run that only asks for them sends nothing; a field that changed is as it is now."""
    stub.lines({"model": "a/m", "prompt": "p", "id": 1}, {"model": "a/m", "prompt": "q", "id": 2})
    stub.run()
    for reference in ("first", "second"):
        stub.lines(*({"model": "a/m", "prompt": text, "id": text, "reference": reference} for text in "pq"))
        summary = stub.run(keep=["reference"])
        assert (summary.sent, summary.changed) == (0, 0)
        assert [record["input"] for record in stub.records()] == [{"reference": reference}] * 2


def test_fields_are_on_the_records_of_failures_too(stub: Batch) -> None:
    """Also of lines that cannot be sent."""
    stub.lines({"model": "a/m", "prompt": "", "reference": 1}, {"model": "a/m", "prompt": "p", "reference": 2})
    stub.run(keep=["reference"], skip_bad_lines=True)
    assert [(record["error"] is None, record["input"]) for record in stub.records()] == [
        (False, {"reference": 1}),
        (True, {"reference": 2}),
    ]


def test_results_in_openais_form_hold_them_beside_our_keys(job: Batch, far: Far) -> None:
    """And the line's number; on a second run, too."""
    line: dict[str, Any] = {"custom_id": "r", "method": "POST", "url": "/v1/chat/completions", "reference": {"llm_sync": 1}}
    line["body"] = {"model": "a/m", "messages": [{"role": "user", "content": "p"}]}
    job.lines(line)
    for _ in range(2):
        job.run(keep_all=True)
        (record,) = job.records()
        assert (record["llm_sync"]["input"], record["llm_sync"]["line"]) == ({"reference": {"llm_sync": 1}}, 1)
    assert far.asked == ["p"]


HOSTILE = ['", "line": 7}', "}}", "\ud800", "\x00", "𝕏" * 9, '{"line": 1, "input": {}}', "\u202e", "a\r\nb", "", "1e400"]


@pytest.mark.parametrize("value", HOSTILE)
def test_whatever_a_field_holds_comes_back_as_it_is(stub: Batch, value: str) -> None:
    """In names and in values, on the first run and on the next ones, with an answer that looks like the end of a record."""
    line = {
        "model": "a/m",
        "prompt": f'x", "line": 3}}}} {value}'.replace("\ud800", ""),
        "extra": {value: value, "line": 5, "input": [value]},
    }
    stub.lines(line, line)
    for _ in range(3):
        stub.run(keep_all=True)
        for number, record in enumerate(stub.records(), 1):
            assert (record["input"], record["line"]) == ({"extra": line["extra"]}, number)
    assert len(Stub.asked) == 2


def test_text_has_nothing_to_keep(stub: Batch) -> None:
    """It is said before anything is sent."""
    stub.input.write_text("p\n")
    with pytest.raises(InvalidRequestError, match="lines of text have no fields to keep"):
        stub.run(text=True, models=["a/m"], keep_all=True)


def test_a_name_that_no_line_has_is_warned_of(stub: Batch, caplog: pytest.LogCaptureFixture) -> None:
    """The lines of JSON may differ, so it is known only at the end."""
    stub.lines("p")
    with caplog.at_level(logging.WARNING, "llm_sync"):
        stub.run(keep=["referense"])
    assert [record.getMessage() for record in caplog.records] == [f"no line of {str(stub.input)!r} has 'referense' to keep"]
