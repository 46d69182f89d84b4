"""The options of ``llm-sync validate``."""

from __future__ import annotations

from llm_sync.cli import options
from llm_sync.cli.arguments import SECONDS, Parser, visible

_EXAMPLES = """\
Without a name every configuration that is found is checked. Problems are printed on standard output, one a line, as \
file:line: field: message (hint).

examples:
  llm-sync validate
  llm-sync validate --no-env ./llms.yaml
  llm-sync validate --online default-llms
"""


def add(parser: Parser) -> None:
    """Give the parser the options."""
    parser.add_argument(
        "names",
        nargs="*",
        type=visible,
        metavar="NAME|PATH",
        help="the configurations to check, as --config of generate takes them (all that are found)",
    )
    keys = parser.add_mutually_exclusive_group()
    keys.add_argument("--no-env", action="store_true", help="check the files alone: neither variables nor keys")
    keys.add_argument(
        "--online",
        action="store_true",
        help="ask each provider for its models too, which costs nothing: tells refused keys, dead servers and unknown models",
    )
    parser.add_argument(
        "--timeout", type=SECONDS, metavar="SECONDS", help="with --online: give a provider SECONDS to answer (120)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a configuration and line")
    parser.epilog = f"{_EXAMPLES}\n{options.statuses(8, 9, 10, good='all of them are valid')}"
