"""Claims of the tasks of a run that was killed: the run that resumes it has its tasks for itself."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import Any

import pytest
from batch_apparatus import Batch, Far

from llm_sync.batch.state.journal import Journal
from llm_sync.engines import worker


def test_a_run_that_resumes_a_killed_one_has_its_tasks_for_itself(
    job: Batch, far: Far, executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both count their tasks from 0, and what the first has left on another machine may still be there."""
    monkeypatch.setattr(worker, "host_id", lambda: "another machine")
    monkeypatch.setattr("tempfile.tempdir", str(job.input.parent))
    job.lines("p0")

    def killed(*_: Any) -> Any:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "add_all", killed)
        with pytest.raises(SystemExit):
            job.run(on=executor)
    summary = job.run(on=executor)
    assert (summary.tally.answered, summary.unsure, far.asked) == (1, 1, ["p0", "p0"])
