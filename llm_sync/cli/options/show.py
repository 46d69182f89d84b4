"""The options of ``llm-sync show``."""

from __future__ import annotations

from llm_sync.cli import options
from llm_sync.cli.options.argument_parser import Parser, visible

_EXAMPLES = """\
Every value is shown with its origin: a line of the file, or the default. Keys and passwords are never shown.

examples:
  llm-sync show
  llm-sync show azure
  llm-sync show --json ./llms.yaml
"""


def add(parser: Parser) -> None:
    """Give the parser the options."""
    parser.add_argument(
        "name",
        nargs="?",
        type=visible,
        metavar="NAME|PATH",
        help="the configuration, as --config of generate takes it ($LLM_SYNC_CONFIG, else default-llms)",
    )
    parser.add_argument("--config", dest="name_too", type=visible, metavar="NAME|PATH", help="another way to give it")
    parser.add_argument("--json", action="store_true", help="print it as one JSON object")
    parser.epilog = f"{_EXAMPLES}\n{options.statuses(4, 5, 6, 7, 8, 9, 10, good='it is shown')}"
