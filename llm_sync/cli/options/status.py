"""The options of ``llm-sync status``."""

from __future__ import annotations

from llm_sync.cli.options.argument_parser import Parser
from llm_sync.cli.options.exit_statuses import NO_REQUEST, exit_statuses

_EXAMPLES = """\
Shows llm-sync commands, and programs that create their client with publish_status=True. Requests "in flight" are those that a \
worker has taken from its queue, including those that are waiting: for a retry, a cool-down, the request rate, or a slot that \
all your processes share (machine_wide). Any program that holds such a slot is shown, and, on Linux, whether it is stopped \
(Ctrl-Z).

examples:
  llm-sync status
  llm-sync status --watch
  llm-sync status --json |
    jq .processes[].pid
"""


def add(parser: Parser) -> None:
    """Add the options to the parser."""
    parser.add_argument(
        "--json",
        action="store_true",
        help="print a JSON object: the time, all processes with their counts, and the holders of slots; with --watch, "
        "one object per line",
    )
    parser.add_argument("--watch", action="store_true", help="refresh every second, until Ctrl-C")
    parser.epilog = f"{_EXAMPLES}\n{exit_statuses(*NO_REQUEST, good='the status is shown')}"
