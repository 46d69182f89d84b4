"""The options of ``llm-sync models``."""

from __future__ import annotations

from llm_sync.cli.options.argument_parser import Parser
from llm_sync.cli.options.argument_types import SECONDS, nonempty
from llm_sync.cli.options.exit_statuses import exit_statuses
from llm_sync.cli.options.global_options import add_configuration_option

_EXAMPLES = """\
examples:
  llm-sync models
  llm-sync models --grep gpt-4o
  llm-sync models --json |
    jq -r .models[]
"""


def add(parser: Parser) -> None:
    """Add the options to the parser."""
    add_configuration_option(parser)
    parser.add_argument(
        "--grep",
        type=nonempty,
        metavar="PATTERN",
        help="list only models whose PROVIDER/MODEL matches the regular expression PATTERN, ignoring case",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object for each provider, one per line")
    parser.add_argument("--timeout", type=SECONDS, metavar="SECONDS", help="time limit for a provider's answer (120)")
    parser.epilog = f"{_EXAMPLES}\n{exit_statuses(10, good='all providers answered')}"
