"""The jobs of a batch at the providers' Batch APIs in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from llm_sync.batch.summary import BACKGROUND
from llm_sync.cli.console.quantities import count
from llm_sync.cli.console.table import table

if TYPE_CHECKING:
    from llm_sync.batch.summary import JobView


def job_lines(output: str, jobs: Sequence[JobView], *, cancelled: bool = False, width: int | None = None) -> list[str]:
    """A line and a table of the open jobs, and what becomes of them."""
    if not jobs:
        return [f"{output}: no open jobs"]
    titles = ("job", "model", "requests", "done", "state")
    rows = [
        (job.remote or job.id, f"{job.provider}/{job.model}", f"{job.requests:,}", f"{job.done:,}", job.state) for job in jobs
    ]
    answers = sum(job.requests for job in jobs if job.id == BACKGROUND)
    ids = [job.id for job in jobs if job.id != BACKGROUND]
    counts = [count(len(ids), "open job")] * bool(ids) + [count(answers, "background answer") + " not fetched"] * bool(answers)
    lines = [f"{output}: {' and '.join(counts)}", *table([titles, *rows], width)]
    lines += [f"  {job.id}: it may have been made, and cannot be found: {job.lost}" for job in jobs if job.lost]
    if answers:
        lines.append("The same batch command fetches background answers; --cancel does not end them.")
    if cancelled and ids:
        lines.append(
            "Cancelled jobs end within minutes. What was answered until then is billed: the same batch command collects it."
        )
    return lines


def summary_line(jobs: Sequence[JobView]) -> str:
    """How many jobs a run has left open; empty without any."""
    waiting, lost = [job for job in jobs if not job.lost], [job for job in jobs if job.lost]
    parts = []
    if waiting:
        names = ", ".join(dict.fromkeys(job.provider for job in waiting))
        requests = count(sum(job.requests for job in waiting), "request")
        parts.append(f"{count(len(waiting), 'job')} of {requests} open at {names}; the same command collects them")
    if lost:
        requests = count(sum(job.requests for job in lost), "request")
        parts.append(f"{count(len(lost), 'job')} of {requests} may have been made and cannot be found; --rebuy sends them again")
    return "; ".join(parts)


def progress_text(jobs: Sequence[JobView]) -> str:
    """The jobs of one provider while the batch waits for them; empty without any."""
    if not jobs:
        return ""
    done, requests = sum(job.done for job in jobs), sum(job.requests for job in jobs)
    return f"{count(len(jobs), 'job')} with {done:,}/{requests:,} done there"
