"""Claims of the tasks of a run that was killed: the run that resumes it has its tasks for itself."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor

import pytest
from batch_apparatus import Batch, Far

from llm_sync.engines import worker


def test_a_run_that_resumes_a_killed_one_has_its_tasks_for_itself(
    job: Batch, far: Far, executor: Executor, run_killed: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both count their tasks from 0, and what the first has left on another machine may still be there."""
    monkeypatch.setattr(worker, "host_id", lambda: "another machine")
    monkeypatch.setattr("tempfile.tempdir", str(job.input.parent))
    job.lines("p0")
    run_killed()
    summary = job.run(on=executor)
    assert (summary.tally.answered, summary.unsure, far.asked) == (1, 1, ["p0", "p0"])
