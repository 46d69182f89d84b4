"""The options of ``llm-sync show``."""

from __future__ import annotations

from llm_sync.cli.options.argument_parser import Parser
from llm_sync.cli.options.argument_types import visible
from llm_sync.cli.options.exit_statuses import NO_REQUEST, exit_statuses

_EXAMPLES = """\
Every value is shown with its origin: a line of the file, or the default. Keys and passwords are shown as ***, or as the \
variable that holds them.

examples:
  llm-sync show
  llm-sync show azure
  llm-sync show --json ./llms.yaml
"""


def add(parser: Parser) -> None:
    """Add the options to the parser."""
    parser.add_argument(
        "name",
        nargs="?",
        type=visible,
        metavar="NAME|PATH",
        help="the configuration, as for --config of generate ($LLM_SYNC_CONFIG, else default-llms)",
    )
    parser.add_argument("--config", dest="name_too", type=visible, metavar="NAME|PATH", help="another way to name it")
    parser.add_argument("--json", action="store_true", help="print it as one JSON object")
    parser.epilog = f"{_EXAMPLES}\n{exit_statuses(*NO_REQUEST, good='the configuration is shown')}"
