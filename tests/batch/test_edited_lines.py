"""A request is the same as long as what is sent is: edits of a line that change nothing of it cost nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from batch_apparatus import Batch, Far, Stub

from llm_sync import batch
from llm_sync.errors import InvalidRequestError, RequestTimeoutError

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
    with pytest.raises(InvalidRequestError, match="line 0 is another one"):
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
