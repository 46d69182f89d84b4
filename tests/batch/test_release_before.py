"""Journals and outputs that release 0.1 has written: they are read, resumed, and nothing in them is paid for again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from batch_apparatus import Batch, Far

FIXTURES = Path(__file__).parent / "fixtures" / "release-0.1"
TEXTS = ["echo p", "InvalidRequestError", "half", "echo q", "echo busy", "echo schön", "echo r", "echo s"]


@pytest.fixture
def old(job: Batch) -> Batch:
    """The input of those runs."""
    shutil.copy(FIXTURES / "killed" / "in.jsonl", job.input)
    return job


def test_a_killed_run_is_resumed(old: Batch, far: Far) -> None:
    """What it has is kept, what may pass is asked again, and what was in flight is listed."""
    shutil.copy(FIXTURES / "killed" / "out.jsonl.part", old.part)
    summary = old.run()
    assert (summary.earlier, summary.sent, summary.again) == (4, 3, 1)
    assert sorted(far.asked) == ["busy", "r", "s"]
    assert [(key.position, times) for key, times in summary.possibly_billed] == [(6, 1)]
    assert old.texts() == TEXTS
    assert not old.part.exists()


def test_a_journal_is_as_good_for_a_run_that_is_stopped_again(old: Batch, far: Far) -> None:
    """The old header is kept, as lines follow on it."""
    shutil.copy(FIXTURES / "killed" / "out.jsonl.part", old.part)

    def stop(snapshot: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        old.run(progress=stop)
    assert old.part.read_bytes().startswith(b'{"llm-sync batch": 1, "pid":          0}\n{"run"')
    old.run()
    assert (old.texts(), sorted(far.asked)) == (TEXTS, ["busy", "r", "s"])


def test_a_finished_output_is_kept(old: Batch, far: Far) -> None:
    """Only what may pass is asked again; then nothing is left to do."""
    shutil.copy(FIXTURES / "finished" / "out.jsonl", old.output)
    before = [json.loads(line) for line in old.output.read_text("utf-8").splitlines()]
    summary = old.run()
    assert (summary.earlier, summary.sent, far.asked) == (6, 1, ["busy"])
    after = old.records()
    assert [record.pop("line") for record in after] == list(range(1, 9))
    assert [record for record in after if record["index"] != 4] == [record for record in before if record["index"] != 4]
    assert old.run().sent == 0
