"""The options of ``llm-sync help``."""

from __future__ import annotations

from llm_sync.cli.options.argument_parser import Parser
from llm_sync.cli.options.argument_types import visible
from llm_sync.cli.options.exit_statuses import NO_REQUEST, exit_statuses

_EXAMPLES = """\
Without COMMAND, the commands and the options for all of them are listed.

examples:
  llm-sync help
  llm-sync help batch
"""


def add(parser: Parser) -> None:
    """Add the options to the parser."""
    parser.add_argument("about", nargs="?", type=visible, metavar="COMMAND", help="the command to explain")
    parser.epilog = f"{_EXAMPLES}\n{exit_statuses(3, *NO_REQUEST, good='the help is printed')}"
