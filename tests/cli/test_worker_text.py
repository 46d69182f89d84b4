"""The workers of a batch, as its progress and ``llm-sync status`` show them."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from llm_sync.batch import Snapshot
from llm_sync.batch.summary import Tally
from llm_sync.cli.console import batch_progress, worker_text
from llm_sync.cli.console.status_text import status_lines
from llm_sync.engines.flights import WorkerView
from llm_sync.machine import running

WORKERS = (
    WorkerView("one:7-ab", "one", 5, 1200, 0, 2.5, "working"),
    WorkerView("two:8-cd", "two", 3, 800, 1, 1.5, "working"),
    WorkerView("two:9-ef", "two", 0, 40, 4, 0.5, "lost"),
)


def test_all_workers_in_one_line() -> None:
    """Where they are, what they have in flight, how fast they are, and how many are dead."""
    assert worker_text.summary(WORKERS) == "2 on 2 machines, 8 in flight, 240/min, 1 lost"
    assert worker_text.summary(WORKERS[2:]) == "none: waiting for one, 1 lost"


def test_the_progress_of_a_batch_shows_them() -> None:
    """Without an engine there is no such line."""
    snapshot = Snapshot((), Tally(), 1.0, WORKERS)
    assert "; workers: 2 on 2 machines" in batch_progress.line(snapshot)
    assert ("workers", worker_text.summary(WORKERS)) in batch_progress.rows(snapshot, Any)  # type: ignore[arg-type]
    assert "worker" not in batch_progress.line(Snapshot((), Tally(), 1.0))


def test_status_has_a_line_for_each(tmp_path: Path) -> None:
    """Through the status file, as another process reads it."""
    work = batch_progress.work(Snapshot((), Tally(), 1.0, WORKERS), "out.jsonl")
    now = datetime.now(timezone.utc)
    data = {"pid": 1, "command": "llm-sync batch", "started": now.isoformat(), "updated": now.isoformat(), "providers": {}}
    process = running._parse_process(json.loads(json.dumps({**data, "work": work})))
    lines = status_lines([process], [], now, 0)
    assert [line.strip() for line in lines[1:]] == [
        "worker one:7-ab: 5 in flight, 1,200 done, 150/min",
        "worker two:8-cd: 3 in flight, 800 done, 90/min, 1 lost",
        "worker two:9-ef: 40 done, 4 lost, dead",
    ]
