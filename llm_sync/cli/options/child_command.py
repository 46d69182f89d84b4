"""The options of commands that serve on this machine, or run another command beside their server: simulate and local."""

from __future__ import annotations

import argparse

from llm_sync.cli.options.argument_parser import Parser, UsageError
from llm_sync.cli.options.argument_types import between


def add_port_option(parser: Parser) -> None:
    """Add --port."""
    parser.add_argument(
        "--port",
        type=between(0, 65535, int),
        default=0,
        metavar="N",
        help="listen on port N of 127.0.0.1 (0: any free one)",
    )


def add_child_option(parser: Parser, beside: str) -> None:
    """Add COMMAND, all words from there on. ``beside``: what it is run with, in words."""
    parser.add_argument("child", nargs=argparse.REMAINDER, metavar="COMMAND", help=f"run COMMAND {beside}, then stop")


def child_command(args: argparse.Namespace) -> list[str]:
    """The words of COMMAND; none without it. Raises UsageError for a ``--`` without a command behind it."""
    words: list[str] = args.child[1:] if args.child[:1] == ["--"] else args.child
    if args.child and not words:
        raise UsageError("no command follows --: add one, or remove the -- to serve until Ctrl-C")
    return words
