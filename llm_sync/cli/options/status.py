"""The options of ``llm-sync status``."""

from __future__ import annotations

from llm_sync.cli import options
from llm_sync.cli.arguments import Parser

_EXAMPLES = """\
Shown are llm-sync's own commands, and programs whose clients are made with publish_status=True. "In flight" is what a worker \
has taken from its queue, also while it waits: for a retry, for a cool-down or its pace, or for a slot that all your processes \
share (machine_wide). Who holds such a slot is told, whatever program it is, and, on Linux, who is stopped (Ctrl-Z).

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
        help="print one JSON object a look and line: the time, all processes with their numbers, and who holds slots",
    )
    parser.add_argument(
        "--watch", action="store_true", help="look again every second, until Ctrl-C; on a terminal in the same place"
    )
    parser.epilog = f"{_EXAMPLES}\n{options.statuses(4, 5, 6, 7, 8, 9, 10, good='it is shown')}"
