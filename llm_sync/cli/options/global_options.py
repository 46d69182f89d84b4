"""The options that may stand before or after every command, and --config, which most commands have."""

from __future__ import annotations

import argparse

from llm_sync.cli.options.argument_parser import Parser
from llm_sync.cli.options.argument_types import visible

TYPE_CHECKING = False  # type checkers take it for True; importing typing costs as much as a bare start of Python
if TYPE_CHECKING:
    from typing import Any


def add_global_options(parser: Parser, *, after: bool = False) -> None:
    """Add the global options to the main parser, or, with ``after``, to a command's.

    ``after``: absent options change nothing that was given before the command, and a second ``-v`` adds to the first.
    """
    group = parser.add_argument_group("global options") if after else parser

    def add(*names: str, default: Any = None, **more: Any) -> None:
        action = group.add_argument(*names, default=argparse.SUPPRESS if after else default, **more)
        action.repeated = after  # type: ignore[attr-defined]  # the usage line leaves repeated options out

    add(
        "--config-dir",
        type=visible,
        metavar="DIR",
        help="look up configuration names in DIR only ($LLM_SYNC_CONFIG_DIR, ./config/llms, your configuration folder)",
    )
    add(
        "-v",
        "--verbose",
        dest="verbose_too" if after else "verbose",
        action="count",
        default=0,
        help="show when requests start and end; -vv shows every step",
    )
    add("--debug", action="store_true", default=False, help="the same as -vv")
    add("-q", "--quiet", action="store_true", default=False, help="print errors only, and no progress")
    add("--log-json", action="store_true", default=False, help="write messages as JSON, one object per line")
    add(
        "--log-content",
        action="store_true",
        default=False,
        help="log prompts and answers too; without this option they are never logged",
    )
    add(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="colour messages and headings (auto: on a terminal, unless $NO_COLOR is set)",
    )


def add_configuration_option(parser: Parser) -> None:
    """Add --config."""
    group = parser.add_argument_group("configuration")
    group.add_argument(
        "--config",
        type=visible,
        metavar="NAME|PATH",
        help="the configuration: a file if it contains a slash or ends in .yaml or .yml, else a name to look up in the "
        "configuration folders ($LLM_SYNC_CONFIG, else default-llms)",
    )


def add_model_option(parser: Parser, text: str) -> None:
    """Add --config, and -m with this help text."""
    add_configuration_option(parser)
    parser.add_argument("-m", "--model", action="append", default=[], type=visible, metavar="PROVIDER/MODEL", help=text)
