"""The options of each command, one file per command, and here those that several share.

Imports the standard library only: help, man page and completions are made from it. A command's file has ``add(parser)``.
"""

from __future__ import annotations

from llm_sync.cli.arguments import Parser
from llm_sync.cli.exits import EXIT_CODES


def statuses(*never: int) -> str:
    """The table of exit statuses for a command's help, without those it ``never`` ends with."""
    return "\n".join(["exit status:", *(f"  {code:<3}  {text}" for code, text in EXIT_CODES.items() if code not in never)])


def verbosity(parser: Parser, name: str) -> None:
    """``-v``, counted under ``name``."""
    parser.add_argument(
        "-v", "--verbose", dest=name, action="count", default=0, help="say what requests go through; twice: every step of it"
    )


def configuration(parser: Parser) -> None:
    """Which configuration a command uses."""
    group = parser.add_argument_group("configuration")
    group.add_argument(
        "--config",
        metavar="NAME|PATH",
        help="a file if it has a slash or ends in .yaml or .yml, else a name in the configuration folders "
        "($LLM_SYNC_CONFIG, else default-llms)",
    )
    group.add_argument(
        "--config-dir",
        metavar="DIR",
        help="look for named configurations in DIR alone ($LLM_SYNC_CONFIG_DIR, ./config/llms and the user's own folder)",
    )


def sharing(parser: Parser) -> None:
    """What holds for all processes of the user together."""
    group = parser.add_argument_group("other processes")
    group.add_argument(
        "--machine-wide",
        action="store_const",
        const=True,
        help="send a provider no more at once, from all your processes on this machine together, than one may have in flight; "
        "in the order of asking",
    )
