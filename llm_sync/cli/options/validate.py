"""The options of ``llm-sync validate``."""

from __future__ import annotations

from llm_sync.cli.options.argument_parser import Parser
from llm_sync.cli.options.argument_types import SECONDS, visible
from llm_sync.cli.options.exit_statuses import exit_statuses

_EXAMPLES = """\
Without a name, all configurations found are checked. Problems are printed on standard output, one per line: file:line: \
field: message (hint). Any problem means status 3. A provider whose key is not set gets a note; that is a problem only for the \
default model's provider, with --keys or --online, and under strict: true.

examples:
  llm-sync validate
  llm-sync validate --no-env ./llms.yaml
  llm-sync validate --online default-llms
"""


def add(parser: Parser) -> None:
    """Add the options to the parser."""
    parser.add_argument(
        "names",
        nargs="*",
        type=visible,
        metavar="NAME|PATH",
        help="the configurations to check, as for --config of generate (all that are found)",
    )
    parser.add_argument(
        "--config",
        action="append",
        dest="names_too",
        default=[],
        type=visible,
        metavar="NAME|PATH",
        help="another way to name one",
    )
    keys = parser.add_mutually_exclusive_group()
    keys.add_argument("--no-env", action="store_true", help="check the files only, not the variables and keys they need")
    keys.add_argument("--keys", action="store_true", help="demand the keys of all providers, also of those that no default needs")
    keys.add_argument(
        "--online",
        action="store_true",
        help="also ask each provider for its models, which is free: finds rejected keys, unreachable servers, unknown models",
    )
    parser.add_argument(
        "--timeout", type=SECONDS, metavar="SECONDS", help="with --online: time limit for a provider's answer (120)"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object for each configuration, one per line")
    parser.epilog = f"{_EXAMPLES}\n{exit_statuses(8, 9, 10, good='all are valid')}"
