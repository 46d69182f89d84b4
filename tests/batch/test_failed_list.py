"""``failed``: a file with the records of all failures, each with its line's number and id."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from batch_apparatus import Batch, Stub

from llm_sync import batch
from llm_sync.errors import AuthenticationError, InvalidRequestError, RequestTimeoutError


@pytest.fixture
def failing(stub: Batch) -> Batch:
    """Lines with ids, of which the third and the fifth fail; the second line of the file is blank."""
    lines = [{"id": f"id-{number}", "prompt": f"{number}", "model": "a/m", "reference": number} for number in range(5)]
    stub.lines(*lines)
    first, *rest = stub.input.read_text("utf-8").splitlines(keepends=True)
    stub.input.write_text("".join([first, "\n", *rest]), "utf-8")
    Stub.faults["2"] = InvalidRequestError("no")
    Stub.faults["4"] = RequestTimeoutError("it took too long", phase="read", possibly_billed=1)
    return stub


def listed(path: Path, job: Batch) -> list[Any]:
    """What the file says."""
    return [(each["id"], each["line"], each["error"]["type"], each["input"]) for each in job.records(path)]


def test_failures_are_listed(failing: Batch, tmp_path: Path) -> None:
    """As in the output; the file is replaced by each run, and empty when nothing failed."""
    path = tmp_path / "out.failed.jsonl"
    failing.run(failed=path, keep=["reference"])
    expected = [("id-2", 4, "InvalidRequestError", {"reference": 2}), ("id-4", 6, "RequestTimeoutError", {"reference": 4})]
    assert listed(path, failing) == expected
    assert failing.records(path) == [record for record in failing.records() if record["error"]]
    Stub.faults.clear()
    failing.run(failed=path, keep=["reference"], retry_failed=True)
    assert path.read_text() == ""


def test_a_run_that_stops_lists_what_failed_so_far(stub: Batch, tmp_path: Path) -> None:
    """Its output is not there yet."""
    stub.lines(*({"id": number, "prompt": f"{number}", "model": "a/m"} for number in range(100)))
    Stub.faults["0"] = AuthenticationError("the key is refused")
    stub.run(failed=tmp_path / "failed", give_up_after=1)
    assert not stub.output.exists()
    assert [(each["id"], each["line"]) for each in stub.records(tmp_path / "failed")] == [(0, 1)]


def test_the_summary_names_lines_by_number_and_id(failing: Batch) -> None:
    """The first failure of each kind, and what may have been billed."""
    summary = failing.run(keep_all=True).to_dict()
    line = {"index": 4, "line": 6, "id": "id-4"}
    assert summary["possibly_billed_requests"] == [{**line, "provider": "a", "model": "m", "times": 1}]
    assert summary["first_failed"] == {
        "a": {"InvalidRequestError": {"index": 2, "line": 4, "id": "id-2"}, "RequestTimeoutError": line}
    }


def test_no_other_file_is_replaced(failing: Batch, tmp_path: Path) -> None:
    """Whatever is named by mistake, and nothing is sent."""
    (tmp_path / "notes").write_text("mine\n")
    for path in ("notes", "in.jsonl", "out.jsonl", "out.jsonl.part"):
        with pytest.raises(InvalidRequestError):
            failing.run(failed=tmp_path / path, keep_all=True)
    with pytest.raises(OSError, match="no such folder|No such file"):
        failing.run(failed=tmp_path / "no" / "such", keep_all=True)
    assert Stub.asked == []
    assert (tmp_path / "notes").read_text() == "mine\n"


def test_the_list_can_be_merged_with_a_later_output(failing: Batch, tmp_path: Path) -> None:
    """Its records are those of an output."""
    path = tmp_path / "failed"
    failing.run(failed=path, keep_all=True)
    first = failing.output.replace(tmp_path / "first")
    Stub.faults.clear()
    failing.run(models=["b/m2"], keep_all=True)
    merged = batch.merge([first, path, failing.output], tmp_path / "all")
    assert (merged.records, merged.answered, merged.missing_count) == (10, 8, 0)
