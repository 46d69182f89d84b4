"""The progress of a batch in words: lines for a terminal, or one line for a log."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from llm_sync.batch import LaneView, Snapshot
from llm_sync.cli.console import quantities, worker_text
from llm_sync.cli.console.batch_jobs import progress_text

if TYPE_CHECKING:
    from llm_sync.cli.console.in_flight import InFlightRequests

MAX_WORKERS = 100  # in a status file


def rows(snapshot: Snapshot, requests: InFlightRequests) -> list[tuple[str, str]]:
    """A line for each provider, and two for all of them: a terminal of 80 columns has room for each total."""
    lines = [(lane.provider, ", ".join(_lane(lane, snapshot, requests.oldest(lane.provider)))) for lane in snapshot.lanes]
    if snapshot.workers:
        lines.append(("workers", worker_text.summary(snapshot.workers)))
    left = _left(snapshot)
    total = f"{snapshot.done:,}/{snapshot.total:,}{_share(snapshot)}"
    lines.append(("in all", f"{total}, {left} left" if left else total))
    spent = _spent(snapshot, in_millions=True)
    return [*lines, ("", ", ".join(spent))] if spent else lines


def line(snapshot: Snapshot) -> str:
    """One line for everything."""
    lanes = "; ".join(f"{lane.provider} {', '.join(_lane(lane, snapshot))}" for lane in snapshot.lanes)
    workers = f"; workers: {worker_text.summary(snapshot.workers)}" if snapshot.workers else ""
    return f"{', '.join([*_total(snapshot), *_spent(snapshot)])}; {lanes}{workers}"


def work(snapshot: Snapshot, output: str) -> dict[str, Any]:
    """What ``llm-sync status`` shows of a running batch."""
    left = snapshot.seconds_left
    described = {
        "file": output,
        "total": snapshot.total,
        "done": snapshot.done,
        "seconds_left": None if left is None else round(left),
    }
    workers = [{**worker._asdict(), "rate": round(worker.rate, 2)} for worker in snapshot.workers[:MAX_WORKERS]]
    return {**described, "workers": workers} if workers else described


def _total(snapshot: Snapshot) -> list[str]:
    left = _left(snapshot)
    done = f"{snapshot.done:,} of {snapshot.total:,} done{_share(snapshot)}"
    return [done, f"about {left} left"] if left else [done]


def _share(snapshot: Snapshot) -> str:
    return f" ({snapshot.done / snapshot.total:.0%})" if snapshot.total else ""


def _left(snapshot: Snapshot) -> str:
    """The time left; empty if that is not known, or nothing is."""
    seconds = snapshot.seconds_left if snapshot.done < snapshot.total else None
    return "" if seconds is None else quantities.duration(seconds)


def _spent(snapshot: Snapshot, *, in_millions: bool = False) -> list[str]:
    tally = snapshot.tally
    parts = [quantities.cost(tally.cost)] if tally.cost else []
    if tally.input_tokens or tally.output_tokens:
        parts.append(quantities.tokens(tally.input_tokens, tally.output_tokens, in_millions=in_millions))
    return parts


def _lane(lane: LaneView, snapshot: Snapshot, oldest: str | None = None) -> list[str]:
    parts = [f"{lane.done:,}/{lane.total:,}"]
    if lane.failed:
        parts.append(f"{lane.failed:,} failed")
    if lane.retries:
        parts.append(quantities.count(lane.retries, "retry", "retries"))
    if lane.held is not None:
        parts.append(f"stopped: {lane.held}")
    elif lane.cooling_down_until is not None:
        seconds = (lane.cooling_down_until - datetime.now(timezone.utc)).total_seconds()
        parts.append(f"cooling down for {quantities.duration(max(0.0, seconds))}")
    elif lane.done < lane.total:
        if lane.rate:
            per_minute = lane.rate * 60
            parts.append(f"{per_minute:,.0f}/min" if per_minute >= 10 else f"{per_minute:.1f}/min")
        if oldest is not None:
            parts.append(oldest)
    jobs = progress_text([job for job in snapshot.jobs if job.provider == lane.provider])
    return [*parts, jobs] if jobs else parts
