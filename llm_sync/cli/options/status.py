"""The options of ``llm-sync status``."""

from __future__ import annotations

from llm_sync.cli import options
from llm_sync.cli.options.argument_parser import Parser

_EXAMPLES = """\
Shows llm-sync's own commands, and programs that make their clients with publish_status=True. Requests "in flight" are those \
that a worker has taken from its queue, even if they wait: for a retry, a cool-down, the pace, or a slot that all your \
processes share (machine_wide). Whatever program holds such a slot is shown, and, on Linux, whether it is stopped (Ctrl-Z).

examples:
  llm-sync status
  llm-sync status --watch
  llm-sync status --json |
    jq .processes[].pid
"""


def add(parser: Parser) -> None:
    """Give the parser the options."""
    parser.add_argument(
        "--json",
        action="store_true",
        help="print a JSON object: the time, all processes with their counts, and who holds slots; with --watch, one per line",
    )
    parser.add_argument("--watch", action="store_true", help="refresh every second, until Ctrl-C")
    parser.epilog = f"{_EXAMPLES}\n{options.statuses(4, 5, 6, 7, 8, 9, 10, good='it is shown')}"
