"""``llm-sync spend``: what was spent under budgets, maxima and tags."""

from __future__ import annotations

import argparse
import json
import os
import time
from datetime import datetime, timedelta, timezone

from llm_sync.cli import exit_codes
from llm_sync.cli.client_access import load_run_config
from llm_sync.cli.console.messages import print_note
from llm_sync.cli.console.output import open_output
from llm_sync.cli.console.spend_text import spend_lines
from llm_sync.cli.options.argument_parser import UsageError
from llm_sync.client.simulation import URL_VARIABLE
from llm_sync.errors import ConfigurationError
from llm_sync.spending import report
from llm_sync.spending.ledger_file import LedgerError

_SECONDS = {"h": 3600, "d": 86_400, "w": 604_800}


def run(args: argparse.Namespace) -> int:
    """Show what was spent, or accept the ledger as it is; return the exit status."""
    simulated = bool(os.environ.get(URL_VARIABLE))
    try:
        if args.accept:
            print_note(f"{report.accept(simulated=simulated)} counts from now on as it is, by the clock as it is")
            return exit_codes.ANSWERED
        since = _seconds(args.since)
        standings = []
        if args.config is not None:
            budgets = list(load_run_config(args, sends=False).budgets.values())
            standings = report.standings(budgets, simulated=simulated)
        rows = report.spent_by(args.by, since, simulated=simulated)
    except LedgerError as error:
        raise ConfigurationError(f"the ledger {error}", guidance=error.guidance or None) from error
    with open_output(None) as output:
        if args.json:
            document = {"by": args.by, "since": args.since, "rows": [row.to_dict() for row in rows]}
            document["budgets"] = [standing.to_dict() for standing in standings]
            output.write(json.dumps(document, ensure_ascii=False))
        else:
            output.write("\n".join(spend_lines(args.by, rows, standings, output.width)))
    return exit_codes.ANSWERED


def _seconds(since: str | None) -> float:
    """When WHEN was, in seconds since 1970."""
    if since is None:
        return 0.0
    if since[-1] in _SECONDS:
        return time.time() - int(since[:-1]) * _SECONDS[since[-1]]
    if since == "today":
        return datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    try:
        day = datetime.strptime(since, "%Y-%m-%d").replace(tzinfo=timezone.utc)
    except ValueError:
        raise UsageError(f"--since: {since!r} is not a day of the calendar") from None
    return (day - datetime(1970, 1, 1, tzinfo=timezone.utc)) / timedelta(seconds=1)
