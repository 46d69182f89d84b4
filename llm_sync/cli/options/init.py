"""The options of ``llm-sync init``."""

from __future__ import annotations

from llm_sync.cli import options
from llm_sync.cli.arguments import Parser, text

_EXAMPLES = """\
What is there stays as it is: files that are missing are added. Without DIR the folder that configurations are looked for in is \
completed; where there is none yet, a terminal is asked before one is made, and a script gets the command that makes it.

examples:
  llm-sync init ~/.config/llm-sync
  llm-sync init config/llms
  llm-sync init
"""


def add(parser: Parser) -> None:
    """Give the parser the options."""
    parser.add_argument("folder", nargs="?", type=text, metavar="DIR", help="the folder to make, with those above it")
    parser.add_argument("--json", action="store_true", help="print the folder and its files as a JSON object")
    parser.epilog = f"{_EXAMPLES}\n{options.statuses(4, 5, 6, 7, 8, 9, 10, good='the folder is complete')}"
