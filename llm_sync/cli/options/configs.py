"""The options of ``llm-sync configs``."""

from __future__ import annotations

from llm_sync.cli import options
from llm_sync.cli.options.argument_parser import Parser

_EXAMPLES = """\
A configuration with mistakes is listed, too; 'llm-sync validate' shows them.

examples:
  llm-sync configs
  llm-sync configs --json | jq .name
  llm-sync --config-dir ./llms configs
"""


def add(parser: Parser) -> None:
    """Give the parser the options."""
    parser.add_argument("--json", action="store_true", help="print a JSON object for each configuration, one per line")
    parser.epilog = f"{_EXAMPLES}\n{options.statuses(4, 5, 6, 7, 8, 9, 10, good='the configurations are listed')}"
