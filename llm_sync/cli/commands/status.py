"""``llm-sync status``: what runs, and how it goes."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from llm_sync.cli import exit_codes
from llm_sync.cli.console.output import Output, opened
from llm_sync.machine.running import RunningProcess, RunningProvider, running_processes
from llm_sync.machine.semaphore_holders import Holder, is_stopped, slot_holders

EVERY_S = 1.0  # between two looks; who runs tells no more often

_NOBODY = "Nothing runs: no command of llm-sync, and no program with a client made with publish_status=True."
_CLEAR = "\x1b[H\x1b[J"  # home, and erase what is below
_WAITS = {  # what a Waiting event says
    "slot": "for a slot",
    "retry": "to retry",
    "cool-down": "out the cool-down",
    "pace": "for the pace",
}


def run(args: argparse.Namespace) -> int:
    """Show what runs, once or again and again, and return the exit status."""
    with opened(None) as output:
        clears = args.watch and not args.json and output.terminal and os.environ.get("TERM", "dumb") != "dumb"
        try:
            while True:
                _show(output, running_processes(), slot_holders(), as_json=args.json, dated=args.watch, clears=clears)
                if not args.watch:
                    return exit_codes.ANSWERED
                _pause(EVERY_S)
        except KeyboardInterrupt as stop:
            if not args.watch:
                raise
            if output.terminal:
                output.write("")  # behind the terminal's own ^C
            return exit_codes.status_of(stop)  # the usual end


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _pause(seconds: float) -> None:
    time.sleep(seconds)


def _show(
    output: Output, found: Sequence[RunningProcess], held: Sequence[Holder], *, as_json: bool, dated: bool, clears: bool
) -> None:
    now = _now()
    if as_json:
        told = {"at": _iso(now), "processes": [_record(each, now) for each in found], "slots": [_slot(each) for each in held]}
        output.write(json.dumps(told, ensure_ascii=False))
        return
    width, height = shutil.get_terminal_size() if output.terminal else (0, 0)
    lines = [line for each in found for line in _lines(each, held, now, width)]
    for holder in held:  # a program without publish_status=True
        if all(each.pid != holder.pid for each in found):
            lines += _wrapped(
                f"{holder.pid}  {_holds(holder, now, f' of {_name(holder.provider)}')}{_stopped(holder.pid)}", width
            )
    lines = lines or _wrapped(_NOBODY, width, "")
    if dated:
        lines = [f"{now.astimezone():%Y-%m-%d %H:%M:%S}", *lines, *([] if clears else ["", ""])]
    if clears:
        sys.stdout.write(_CLEAR)
        sys.stdout.flush()
        if len(lines) >= height:
            lines = [*lines[: height - 2], "…"]
    output.write("\n".join(lines))


def _lines(each: RunningProcess, held: Sequence[Holder], now: datetime, width: int) -> list[str]:
    """A process in words, no line longer than ``width`` (0: as long as they are)."""
    lines = _wrapped(f"{each.pid}  {each.command}, for {_duration(now, each.started)}{_stopped(each.pid)}", width)
    longest = max((len(_name(name)) for name in each.providers), default=0)
    for name, provider in each.providers.items():
        own = [holder for holder in held if (holder.pid, holder.provider) == (each.pid, name)]
        lines += _wrapped(f"  {_name(name):{longest}}  {_told(provider, own, now)}", width)
    return lines


def _name(provider: str) -> str:
    return provider if provider.isprintable() else repr(provider)


def _stopped(pid: int) -> str:
    return f", stopped: fg or kill -CONT {pid} continues it" if is_stopped(pid) else ""


def _holds(holder: Holder, now: datetime, of: str = "") -> str:
    return f"holds a slot{of} for {_duration(now, holder.since)}"


def _told(provider: RunningProvider, held: Sequence[Holder], now: datetime) -> str:
    """What there is of each kind."""
    failed = sum(provider.failed.values())
    kinds = ", ".join(f"{kind} {count}" for kind, count in provider.failed.items())
    counts = {
        f"in flight{_since(provider, now)}{_waiting(provider)}": provider.in_flight,
        "queued": provider.queued,
        "done": provider.done,
        f"failed ({kinds})": failed,
        "retried": provider.retries,
        "a minute": provider.requests_per_minute,
    }
    parts = [f"{count} {what}" for what, count in counts.items() if count]
    parts += [_holds(holder, now) for holder in held]
    until = _coming(provider.cooling_down_until, now)
    if until is not None:
        parts.append(f"cooling down until {until.astimezone():%H:%M:%S}, for {_duration(until, now)}")
    return ", ".join(parts) or "idle"


def _since(provider: RunningProvider, now: datetime) -> str:
    since = provider.oldest_in_flight_since
    return "" if since is None else f" for {_duration(now, since)}"


def _waiting(provider: RunningProvider) -> str:
    if provider.in_flight == 1:
        waits = [f"waits {_WAITS.get(reason, reason)}" for reason in provider.waiting]
    else:
        waits = [
            f"{count} wait{'s' if count == 1 else ''} {_WAITS.get(reason, reason)}" for reason, count in provider.waiting.items()
        ]
    return f" ({', '.join(waits)})" if waits else ""


def _wrapped(line: str, width: int, indent: str = "      ") -> list[str]:
    return textwrap.wrap(line, width, subsequent_indent=indent, break_on_hyphens=False) if width else [line]


def _duration(later: datetime, earlier: datetime) -> str:
    """Rounded to the unit that says most."""
    seconds = max(0, round((later - earlier).total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def _record(each: RunningProcess, now: datetime) -> dict[str, Any]:
    return {
        "pid": each.pid,
        "command": each.command,
        "started": _iso(each.started),
        "updated": _iso(each.updated),
        "stopped": is_stopped(each.pid),
        "providers": {name: _provider_record(provider, now) for name, provider in each.providers.items()},
    }


def _slot(holder: Holder) -> dict[str, Any]:
    return {"pid": holder.pid, "provider": holder.provider, "since": _iso(holder.since), "stopped": holder.stopped}


def _provider_record(provider: RunningProvider, now: datetime) -> dict[str, Any]:
    told: Mapping[str, Any] = dataclasses.asdict(
        dataclasses.replace(provider, cooling_down_until=_coming(provider.cooling_down_until, now))
    )
    return {name: _iso(value) if isinstance(value, datetime) else value for name, value in told.items()}


def _coming(moment: datetime | None, now: datetime) -> datetime | None:
    return moment if moment is not None and moment > now else None


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
