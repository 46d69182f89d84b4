"""A request is the same as long as what is sent is: edits of a line that change nothing of it cost nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from batch_apparatus import Batch, Far, Stub

from llm_sync import batch
from llm_sync.errors import ConfigurationError, InvalidRequestError, RequestTimeoutError

ROWS = 200
TABLE = {"template": "{text}", "models": ["a/m"]}


def write_table(stub: Batch, note: str, end: str = "\n") -> None:
    """A table with a column that the template does not use."""
    rows = ["id,text,note", *(f"{number},text {number},{note} {number}" for number in range(ROWS))]
    stub.input.write_text(end.join(rows) + end, "utf-8", newline="")


def test_editing_an_unused_column_sends_nothing(stub: Batch) -> None:
    """Nor does converting the file to CRLF; all records are there, in order, and the run after it has nothing to do."""
    write_table(stub, "a")
    assert stub.run(**TABLE).sent == ROWS
    before = stub.records()
    for note, end in (("b", "\n"), ("b", "\r\n"), ("c", "\r\n")):
        write_table(stub, note, end)
        summary = stub.run(**TABLE)
        assert (summary.sent, summary.changed, summary.replaced, summary.earlier) == (0, 0, 0, ROWS)
        after = stub.records()
        assert [{**record, "line_hash": ""} for record in after] == [{**record, "line_hash": ""} for record in before]
    written = stub.output.stat().st_ino
    stub.run(**TABLE)
    assert stub.output.stat().st_ino == written
    assert not stub.part.exists()
    assert not stub.output.with_name("out.jsonl.replaced").exists()


def table(*columns: str, separator: str = ",", order: int = 1) -> str:
    """A table of numbered rows with these columns; ``order`` -1: from the last to the first."""
    rows = [separator.join(f"{column} {number}" for column in columns) for number in range(ROWS)]
    return "\n".join([separator.join(columns), *rows[::order]]) + "\n"


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    ("columns", "separator"),
    [
        (("id", "text", "note", "more"), ","),
        (("more", "id", "text", "note"), ","),
        (("id", "text", "remark"), ","),
        (("text", "id"), ","),
        (("id", "text", "note"), ";"),
        (("note", "text", "id", "more"), "\t"),
    ],
)
def test_another_shape_of_the_table_sends_nothing(stub: Batch, columns: tuple[str, ...], separator: str, order: int) -> None:
    """Columns that are added, renamed, removed or in another order, another separator, and rows in another order."""
    stub.input.write_text(table("id", "text", "note"), "utf-8")
    assert stub.run(**TABLE).sent == ROWS
    stub.input.write_text(table(*columns, separator=separator, order=order), "utf-8")
    summary = stub.run(**TABLE)
    assert (summary.sent, summary.changed, summary.replaced) == (0, 0, 0)
    numbers = list(range(ROWS))[::order]
    assert [(each["id"], each["response"]["text"]) for each in stub.records()] == [
        (f"id {number}", f"echo text {number}") for number in numbers
    ]
    written = stub.output.stat().st_ino
    assert stub.run(**TABLE).sent == 0
    assert stub.output.stat().st_ino == written


def test_a_used_column_may_be_renamed_with_the_template(stub: Batch) -> None:
    """The prompts are the same."""
    stub.input.write_text(table("id", "text"), "utf-8")
    stub.run(**TABLE)
    stub.input.write_text(table("id", "text").replace("id,text", "id,words"), "utf-8")
    assert stub.run(template="{words}", models=["a/m"]).sent == 0


@pytest.mark.parametrize(
    ("heading", "template"), [("text,note,id", "{text}"), ("id,text,note", "Say {text}"), ("id,text,note", "{note}")]
)
def test_the_same_rows_as_other_prompts_are_refused(stub: Batch, heading: str, template: str) -> None:
    """Other names for the same values, or another template: an oversight, until the option says otherwise."""
    stub.input.write_text(table("id", "text", "note"), "utf-8")
    stub.run(**TABLE)
    stub.input.write_text(table("id", "text", "note").replace("id,text,note", heading), "utf-8")
    with pytest.raises(ConfigurationError, match="200 answers were given under other settings"):
        stub.run(template=template, models=["a/m"])
    assert stub.run(template=template, models=["a/m"], allow_changed_settings=True).sent == 0


def test_the_same_line_in_another_format_is_another_prompt(stub: Batch) -> None:
    """An object read as text is the text of an object."""
    stub.lines({"prompt": "p"})
    stub.run(models=["a/m"])
    with pytest.raises(ConfigurationError, match="other settings"):
        stub.run(models=["a/m"], text=True)


def test_prompts_may_move_from_a_text_to_json_lines(stub: Batch) -> None:
    """What is sent is the same."""
    stub.input.write_text("p\nq\n")
    stub.run(models=["a/m"], text=True)
    stub.lines({"id": 1, "prompt": "p"}, {"id": 2, "prompt": "q"})
    assert stub.run(models=["a/m"]).sent == 0
    assert [record["id"] for record in stub.records()] == [1, 2]


def test_lines_that_moved_and_were_edited_keep_their_answers(stub: Batch) -> None:
    """Also with lines before them that are new."""
    stub.lines(*({"model": "a/m", "prompt": f"{number}", "id": number} for number in range(20)))
    stub.run()
    lines = [{"id": f"new {number}", "prompt": f"{number}", "model": "a/m"} for number in range(25)]
    stub.lines(*lines[::-1])
    summary = stub.run()
    assert (summary.sent, summary.changed, summary.replaced, summary.moved) == (5, 0, 0, 19)  # one is where it was
    assert [(each["id"], each["response"]["text"]) for each in stub.records()] == [
        (line["id"], f"echo {line['prompt']}") for line in lines[::-1]
    ]


REQUEST = {"id": "x", "model": "a/m", "messages": [{"role": "user", "content": "é"}], "temperature": 0, "seed": None}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(dict(reversed(REQUEST.items()))),
        json.dumps(REQUEST, ensure_ascii=False, separators=(",", ":")),
        json.dumps({**REQUEST, "messages": [{"content": "é", "role": "user"}], "model": "m"}) + "\r",
        json.dumps({name: value for name, value in REQUEST.items() if value is not None}),
    ],
)
def test_writing_the_same_request_otherwise_sends_nothing(stub: Batch, text: str) -> None:
    """Keys in another order, other blanks, escapes and line ends, a field that is null."""
    stub.lines(REQUEST)
    stub.run()
    stub.input.write_text(text + "\n", "utf-8", newline="")
    assert stub.run().sent == 0
    assert len(Stub.asked) == 1


@pytest.mark.parametrize(
    "change", [{"temperature": 1}, {"seed": 1}, {"messages": [{"role": "user", "content": "e"}]}, {"top_p": 0.5}]
)
def test_whatever_is_sent_makes_another_request(stub: Batch, change: dict[str, Any]) -> None:
    """Also settings of the line alone."""
    stub.lines(REQUEST)
    stub.run()
    stub.lines({**REQUEST, **change})
    assert stub.run().sent == 1


def test_the_order_within_a_schema_is_sent(stub: Batch) -> None:
    """Models answer in that order."""
    stub.lines({**REQUEST, "response_schema": {"type": "object", "properties": {"a": {}, "b": {}}}})
    stub.run()
    stub.lines({**REQUEST, "response_schema": {"type": "object", "properties": {"b": {}, "a": {}}}})
    assert stub.run().sent == 1


def test_a_new_id_comes_with_the_former_answer(stub: Batch) -> None:
    """In both forms of records; the id is not sent."""
    stub.lines(REQUEST)
    stub.run()
    stub.lines({**REQUEST, "id": "y"})
    assert stub.run().sent == 0
    assert [(record["id"], record["response"]["text"]) for record in stub.records()] == [("y", "echo é")]


def test_a_new_custom_id_comes_with_the_former_answer(job: Batch, far: Far) -> None:
    """The id of the result is made of the line as it is now."""
    line = {"custom_id": "r", "method": "POST", "url": "/v1/chat/completions"}
    line["body"] = {"model": "a/m", "messages": [{"role": "user", "content": "p"}]}
    job.lines(line)
    job.run()
    job.lines(dict(reversed({**line, "custom_id": "s"}.items())))
    assert job.run().sent == 0
    (record,) = job.records()
    assert (record["custom_id"], far.asked) == ("s", ["p"])
    assert record["id"] == f"batch_req_0-{record['llm_sync']['line_hash']}"


def test_outputs_of_a_line_that_was_edited_are_of_one_input(stub: Batch) -> None:
    """As the request is the same, merging takes them; another request is refused."""
    first, second = stub.output.with_name("1"), stub.output.with_name("2")
    for line, path in ((REQUEST, first), (dict(reversed(REQUEST.items())), second)):
        stub.lines(line)
        stub.run(models=["a/m" if path == first else "b/m2"])
        stub.output.replace(path)
    assert batch.merge([first, second], stub.output).records == 2
    stub.output.unlink()
    stub.lines({**REQUEST, "seed": 1})
    stub.run()
    with pytest.raises(InvalidRequestError, match="index 0 is of another line"):
        batch.merge([first, stub.output], second)


def test_a_failure_of_an_edited_line_stays_one(stub: Batch) -> None:
    """If it would have stayed one without the edit; what may have been billed is counted at the line."""
    stub.lines({**REQUEST, "prompt": "p", "messages": None})
    Stub.faults["p"] = RequestTimeoutError("it took too long", phase="read", possibly_billed=1)
    assert stub.run().tally.failed["RequestTimeoutError"] == 1
    Stub.faults.clear()
    stub.lines({"prompt": "p", **{name: value for name, value in REQUEST.items() if name != "messages"}})
    summary = stub.run()
    assert (summary.sent, summary.unsure, summary.unsure_gone) == (0, 1, 0)
    assert stub.run(retry_failed=True).tally.answered == 1


def test_an_edited_line_is_kept_from_a_journal(stub: Batch) -> None:
    """Of a run that was stopped; the rest of the lines is sent."""
    stub.lines(*({**REQUEST, "id": number, "seed": number} for number in range(5)))
    Stub.faults.clear()

    def stop(snapshot: Any) -> None:
        if snapshot.done >= 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stub.run(progress=stop)
    stub.lines(*(dict(reversed({**REQUEST, "id": number, "seed": number}.items())) for number in range(5)))
    summary = stub.run()
    assert (summary.replaced, len(Stub.asked)) == (0, 5)
    assert [record["id"] for record in stub.records()] == list(range(5))
