"""The options of ``llm-sync models``."""

from __future__ import annotations

from llm_sync.cli import options
from llm_sync.cli.arguments import SECONDS, Parser, nonempty

_EXAMPLES = """\
examples:
  llm-sync models
  llm-sync models --grep gpt-4o
  llm-sync models --json | jq .models
"""


def add(parser: Parser) -> None:
    """Give the parser the options."""
    options.configuration(parser)
    parser.add_argument(
        "--grep",
        type=nonempty,
        metavar="PATTERN",
        help="list the models in whose provider/model name the regular expression PATTERN is found, in any case",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a provider and line")
    parser.add_argument("--timeout", type=SECONDS, metavar="SECONDS", help="give a provider SECONDS to answer (120)")
    parser.epilog = f"{_EXAMPLES}\n{options.statuses(10, good='all providers answered')}"
