"""The options of ``llm-sync init``."""

from __future__ import annotations

from llm_sync.cli.options.argument_parser import Parser
from llm_sync.cli.options.argument_types import file_name
from llm_sync.cli.options.exit_statuses import NO_REQUEST, exit_statuses

_EXAMPLES = """\
Existing files are not changed; missing examples are added. Without DIR, they are added to your configuration folder. If you \
have none yet, a terminal asks whether to create it; a script gets status 3 and the command to run, and nothing is created.

examples:
  llm-sync init ~/.config/llm-sync
  llm-sync init config/llms
  llm-sync init
"""


def _folder_name(argument: str) -> str:
    return argument and file_name(argument)  # the command itself says what an empty one is


def add(parser: Parser) -> None:
    """Add the options to the parser."""
    parser.add_argument("folder", nargs="?", type=_folder_name, metavar="DIR", help="the folder to create, parents included")
    parser.add_argument("--json", action="store_true", help="print the folder and its files as a JSON object")
    parser.epilog = f"{_EXAMPLES}\n{exit_statuses(*NO_REQUEST, good='the folder is complete')}"
