"""The options of ``llm-sync spend``."""

from __future__ import annotations

import argparse
import re

from llm_sync.cli.options.argument_parser import Parser
from llm_sync.cli.options.argument_types import visible
from llm_sync.cli.options.exit_statuses import NO_REQUEST, exit_statuses

_EXAMPLES = """\
Shows what the requests under a budget, a --max-cost or a --tag have cost: those of all your processes on this machine. Requests \
without any of the three are not written down. With --config, the state of that configuration's budgets comes first. Times are \
in UTC. See docs/money.md.

examples:
  llm-sync spend
  llm-sync spend --since 7d --by day
  llm-sync spend --by tag --json
  llm-sync spend --config team
"""
_BY = ("day", "provider", "model", "budget", "config", "tag")


def add(parser: Parser) -> None:
    """Add the options to the parser."""
    parser.add_argument(
        "--config", type=visible, metavar="NAME|PATH", help="also show what is left of the budgets of this configuration"
    )
    parser.add_argument(
        "--since", type=_since, metavar="WHEN", help="only since WHEN: a date (2026-11-30), today, or a time ago (12h, 7d, 4w)"
    )
    parser.add_argument(
        "--by", choices=_BY, default="model", metavar="KEY", help=f"what each row is for: {', '.join(_BY)} (model)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--accept",
        action="store_true",
        help="go on with the ledger and the clock as they are, after a copy took the ledger's place or the clock was set",
    )
    parser.epilog = f"{_EXAMPLES}\n{exit_statuses(*NO_REQUEST, good='what was spent is shown')}"


def _since(argument: str) -> str:
    if not re.fullmatch(r"today|\d{1,4}[hdw]|\d{4}-\d{2}-\d{2}", argument):
        raise argparse.ArgumentTypeError(f"{argument!r} is no date such as 2026-11-30, nor today, nor a time such as 7d")
    return argument
