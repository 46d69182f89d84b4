"""The options of ``llm-sync doctor``."""

from __future__ import annotations

from llm_sync.cli.options.argument_parser import Parser
from llm_sync.cli.options.argument_types import SECONDS, visible
from llm_sync.cli.options.exit_statuses import exit_statuses

_EXAMPLES = """\
Changes nothing, shows no key and runs no api_key_command. Failures come first, each with what to do next. Without --online \
nothing is sent; --online sends no key and no prompt; --ask uses the key, runs an api_key_command, and costs a few tokens.

examples:
  llm-sync doctor
  llm-sync doctor --online
  llm-sync doctor my-models --ask
  llm-sync doctor --json |
    jq -r .message
"""


def add(parser: Parser) -> None:
    """Add the options to the parser."""
    parser.add_argument(
        "name",
        nargs="?",
        type=visible,
        metavar="NAME|PATH",
        help="the configuration: a file if it contains a slash or ends in .yaml or .yml, else a name (default-llms)",
    )
    parser.add_argument(
        "--online", action="store_true", help="try the way to each provider's server: names, proxy, TLS, clock, first byte"
    )
    parser.add_argument(
        "--ask", action="store_true", help="list each provider's models and ask one for a token; the same as --online otherwise"
    )
    parser.add_argument("--timeout", type=SECONDS, metavar="SECONDS", help="time limit for each step on the network (10)")
    parser.add_argument("--json", action="store_true", help="print a JSON object for each line, failures first")
    parser.epilog = f"{_EXAMPLES}\n{exit_statuses(5, 7, 8, 9, 10, good='nothing is wrong, but for warnings')}"
