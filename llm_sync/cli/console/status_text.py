"""What ``llm-sync status`` shows of a process and its providers, in words."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from datetime import datetime

from llm_sync.cli.console import worker_text
from llm_sync.cli.console.quantities import duration
from llm_sync.machine.running import RunningProcess, RunningProvider, RunningWork
from llm_sync.machine.semaphore_holders import Holder

_NOTHING = "Nothing is running: no llm-sync command, and no program whose client has publish_status=True."
_WAIT_REASONS = {  # the reasons of a Waiting event
    "slot": "for a slot",
    "budget": "for a budget",
    "concurrency": "for a place",
    "retry": "to retry",
    "cool-down": "for the cool-down",
    "pace": "for the request rate",
}


def status_lines(processes: Sequence[RunningProcess], holders: Sequence[Holder], now: datetime, width: int) -> list[str]:
    """All lines, none longer than ``width`` columns (0: no limit)."""
    lines = [line for process in processes for line in _process(process, holders, now, width)]
    for holder in holders:  # programs without publish_status=True
        if all(_key(process) != _key(holder) for process in processes):
            slot = _slot(holder, now, f" of {_printable(holder.provider)}")
            lines += _wrap(f"{holder.pid}  {slot}{_state(holder)}", width)
    return lines or _wrap(_NOTHING, width, "")


def future_only(moment: datetime | None, now: datetime) -> datetime | None:
    """The moment, or None if it has passed."""
    return moment if moment is not None and moment > now else None


def _process(process: RunningProcess, holders: Sequence[Holder], now: datetime, width: int) -> list[str]:
    work = _work(process.work) if process.work is not None else ""
    lines = _wrap(f"{process.pid}  {process.command}{work}, for {_duration(now, process.started)}{_state(process)}", width)
    for worker in () if process.work is None else process.work.workers:
        lines += _wrap(f"  {worker_text.worker_line(worker)}", width)
    longest = max((len(_printable(name)) for name in process.providers), default=0)
    for name, provider in process.providers.items():
        own = [holder for holder in holders if _key(holder) == _key(process) and holder.provider == name]
        lines += _wrap(f"  {_printable(name):{longest}}  {_provider(provider, own, now)}", width)
    return lines


def _work(work: RunningWork) -> str:
    left = f", about {duration(work.seconds_left)} left" if work.seconds_left is not None and work.done < work.total else ""
    return f" {_printable(work.file)}: {work.done:,} of {work.total:,} done{left}"


def _provider(provider: RunningProvider, slots: Sequence[Holder], now: datetime) -> str:
    kinds = ", ".join(f"{kind} {count}" for kind, count in provider.failed.items())
    counts = {
        f"in flight{_oldest(provider, now)}{_waiting(provider)}": provider.in_flight,
        "queued": provider.queued,
        f"answered ({provider.cached} from the cache)" if provider.cached else "answered": provider.done,
        f"failed ({kinds})": sum(provider.failed.values()),
        "retried": provider.retries,
        "per minute": provider.requests_per_minute,
    }
    parts = [f"{count} {label}" for label, count in counts.items() if count]
    parts += [f"up to {provider.concurrency} at once"] if provider.concurrency is not None else []
    parts += [_slot(holder, now) for holder in slots]
    until = future_only(provider.cooling_down_until, now)
    if until is not None:
        parts.append(f"cooling down until {until.astimezone():%H:%M:%S}, for {_duration(until, now)}")
    closed_at = future_only(provider.breaker_open_until, now)
    if closed_at is not None:
        parts.append(f"keeps failing: routes ask it again in {_duration(closed_at, now)}")
    return ", ".join(parts) or "idle"


def _oldest(provider: RunningProvider, now: datetime) -> str:
    since = provider.oldest_in_flight_since
    return "" if since is None else f" for {_duration(now, since)}"


def _waiting(provider: RunningProvider) -> str:
    waits = [
        f"{'' if provider.in_flight == 1 else f'{count} '}waiting {_WAIT_REASONS.get(reason, reason)}"
        for reason, count in provider.waiting.items()
    ]
    return f" ({', '.join(waits)})" if waits else ""


def _slot(holder: Holder, now: datetime, of: str = "") -> str:
    return f"holds a slot{of} for {_duration(now, holder.since)}"


def _printable(provider: str) -> str:
    return provider if provider.isprintable() else repr(provider)


def _key(process: RunningProcess | Holder) -> tuple[str | None, int]:
    return process.namespace, process.pid


def _state(process: RunningProcess | Holder) -> str:
    if process.namespace:
        return ", in another container"
    return f", stopped: fg or kill -CONT {process.pid} continues it" if process.stopped else ""


def _wrap(line: str, width: int, indent: str = "      ") -> list[str]:
    return textwrap.wrap(line, width, subsequent_indent=indent, break_on_hyphens=False) if width else [line]


def _duration(later: datetime, earlier: datetime) -> str:
    """In the largest unit of which there are two."""
    seconds = max(0, round((later - earlier).total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
