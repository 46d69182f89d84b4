"""The options of ``llm-sync configs``."""

from __future__ import annotations

from llm_sync.cli.options.argument_parser import Parser
from llm_sync.cli.options.exit_statuses import NO_REQUEST, exit_statuses

_EXAMPLES = """\
A configuration with mistakes is listed too; 'llm-sync validate' shows the mistakes.

examples:
  llm-sync configs
  llm-sync configs --json | jq .name
  llm-sync --config-dir ./llms configs
"""


def add(parser: Parser) -> None:
    """Add the options to the parser."""
    parser.add_argument("--json", action="store_true", help="print a JSON object for each configuration, one per line")
    parser.epilog = f"{_EXAMPLES}\n{exit_statuses(*NO_REQUEST, good='the configurations are listed')}"
