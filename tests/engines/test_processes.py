"""Worker processes: killed, stopped, and left behind by a killed coordinator."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from batch_apparatus import Batch, Far, completion


def test_killed_workers_cost_no_line_and_at_most_what_was_in_flight(job: Batch, far: Far) -> None:
    """Each kill is listed with what it caught; another process takes the place, and none is left at the end."""
    prompts = [f"p{number}" for number in range(40)]
    killed: list[int] = []
    billed: list[int] = []

    def kill_one(workers: Any) -> None:
        name = workers[0].name
        killed.append(int(name.partition(":")[2].partition("-")[0]))
        os.kill(killed[-1], signal.SIGKILL)

    def watch(snapshot: Any) -> None:
        working = [each for each in snapshot.workers if each.state == "working"]
        if len(killed) < 2 and working and len(far.asked) >= (1, 12)[len(killed)] and working[0].in_flight:
            kill_one(working)

    for prompt in prompts:
        far.script(prompt, lambda: (time.sleep(0.05), completion("x"))[1])
    far.script("p39", lambda: (billed.append(1), completion("x"))[1])
    job.lines(*prompts)
    summary = job.run(on="processes:2", progress=watch)
    assert len(killed) == 2
    assert summary.tally.answered == 40
    assert [record["index"] for record in job.records()] == list(range(40))
    assert len(far.asked) <= 40 + summary.unsure
    assert summary.unsure <= 8
    assert not any(_is_alive(process) for process in killed)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
