"""``llm-sync status``: the llm-sync processes on this machine, once or refreshed every second."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from llm_sync.cli import exit_codes
from llm_sync.cli.console.output import Output, open_output
from llm_sync.cli.console.status_text import future_only, status_lines
from llm_sync.cli.outcome import status_of
from llm_sync.machine.running import RunningProcess, RunningProvider, RunningWork, running_processes
from llm_sync.machine.semaphore_holders import Holder, slot_holders

INTERVAL_S = 1.0  # between two refreshes; processes publish no more often
_CLEAR = "\x1b[H\x1b[J"  # cursor home, erase below


def run(args: argparse.Namespace) -> int:
    """Print the status, with --watch again and again, and return the exit status."""
    with open_output(None) as output:
        clears = args.watch and not args.json and output.terminal and os.environ.get("TERM", "dumb") != "dumb"
        try:
            while True:
                processes, holders, now = running_processes(), slot_holders(), _now()
                if args.json:
                    output.write(json.dumps(_document(processes, holders, now), ensure_ascii=False))
                else:
                    _print(output, processes, holders, now, watch=args.watch, clears=clears)
                if not args.watch:
                    return exit_codes.ANSWERED
                _sleep(INTERVAL_S)
        except KeyboardInterrupt as stop:
            if not args.watch:
                raise
            if output.terminal:
                output.write("")  # after the ^C that the terminal echoes
            return status_of(stop)  # the usual way to stop it


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _sleep(seconds: float) -> None:
    time.sleep(seconds)


def _print(
    output: Output, processes: Sequence[RunningProcess], holders: Sequence[Holder], now: datetime, *, watch: bool, clears: bool
) -> None:
    width, height = shutil.get_terminal_size() if output.terminal else (0, 0)
    lines = status_lines(processes, holders, now, width)
    if watch:
        lines = [f"{now.astimezone():%Y-%m-%d %H:%M:%S}", *lines, *([] if clears else ["", ""])]
    if clears:
        sys.stdout.write(_CLEAR)
        sys.stdout.flush()
        if len(lines) >= height:
            lines = [*lines[: height - 2], "…"]
    output.write("\n".join(lines))


def _document(processes: Sequence[RunningProcess], holders: Sequence[Holder], now: datetime) -> dict[str, Any]:
    return {
        "at": _iso(now),
        "processes": [_process_record(process, now) for process in processes],
        "slots": [_slot_record(holder) for holder in holders],
    }


def _process_record(process: RunningProcess, now: datetime) -> dict[str, Any]:
    return {
        "pid": process.pid,
        "command": process.command,
        "started": _iso(process.started),
        "updated": _iso(process.updated),
        "stopped": process.stopped,
        "work": None if process.work is None else _work_record(process.work),
        "providers": {name: _provider_record(provider, now) for name, provider in process.providers.items()},
    }


def _work_record(work: RunningWork) -> dict[str, Any]:
    """Only a batch on an engine has workers."""
    record = dataclasses.asdict(work)
    return record if work.workers else {name: value for name, value in record.items() if name != "workers"}


def _provider_record(provider: RunningProvider, now: datetime) -> dict[str, Any]:
    current = dataclasses.replace(
        provider,
        cooling_down_until=future_only(provider.cooling_down_until, now),
        breaker_open_until=future_only(provider.breaker_open_until, now),
    )
    values: Mapping[str, Any] = dataclasses.asdict(current)
    return {name: _iso(value) if isinstance(value, datetime) else value for name, value in values.items()}


def _slot_record(holder: Holder) -> dict[str, Any]:
    return {"pid": holder.pid, "provider": holder.provider, "since": _iso(holder.since), "stopped": holder.stopped}


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
