"""The options of ``llm-sync init``."""

from __future__ import annotations

from llm_sync.cli import options
from llm_sync.cli.options.argument_parser import Parser, text

_EXAMPLES = """\
Existing files stay as they are; missing examples are added. Without DIR your configuration folder is completed. If you have \
none yet, you are asked on a terminal; a script gets status 3 and the command to run, and nothing is made.

examples:
  llm-sync init ~/.config/llm-sync
  llm-sync init config/llms
  llm-sync init
"""


def add(parser: Parser) -> None:
    """Give the parser the options."""
    parser.add_argument("folder", nargs="?", type=text, metavar="DIR", help="the folder to make, parents included")
    parser.add_argument("--json", action="store_true", help="print the folder and its files as a JSON object")
    parser.epilog = f"{_EXAMPLES}\n{options.statuses(4, 5, 6, 7, 8, 9, 10, good='the folder is complete')}"
