"""The workers of a batch's engine in words: one line for all, and one for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from llm_sync.cli.console import quantities

if TYPE_CHECKING:
    from llm_sync.engines.flights import WorkerView
    from llm_sync.machine.running import RunningWorker

    AnyWorker = WorkerView | RunningWorker  # as a running batch has it, or as its status file does


def summary(workers: Sequence[AnyWorker]) -> str:
    """All of them in one line."""
    working = [worker for worker in workers if worker.state == "working"]
    dead = sum(worker.state == "lost" for worker in workers)
    hosts = len({worker.host for worker in working})
    parts = [f"{len(working)} on {quantities.count(hosts, 'machine', 'machines')}" if working else "none: waiting for one"]
    parts += [f"{sum(worker.in_flight for worker in working)} in flight"] if working else []
    rate = sum(worker.rate for worker in working)
    parts += [f"{rate * 60:,.0f}/min"] if rate else []
    return ", ".join([*parts, *([f"{dead} lost"] if dead else [])])


def worker_line(worker: AnyWorker) -> str:
    """One of them: where, what it has, how fast it is, and whether it lives."""
    parts = [f"{worker.in_flight} in flight"] if worker.in_flight else []
    parts.append(f"{worker.done:,} done")
    parts += [f"{worker.rate * 60:,.0f}/min"] if worker.rate and worker.state == "working" else []
    parts += [f"{worker.lost} lost"] if worker.lost else []
    parts += [] if worker.state == "working" else [worker.state if worker.state != "lost" else "dead"]
    name = worker.name if worker.name.isprintable() else repr(worker.name)
    return f"worker {name}: {', '.join(parts)}"
