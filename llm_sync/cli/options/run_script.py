"""The options of ``llm-sync run-script``."""

from __future__ import annotations

import argparse

from llm_sync.cli import options
from llm_sync.cli.options.argument_parser import Parser

_EXAMPLES = """\
In SCRIPT, 'import openai', 'import anthropic' and 'import litellm' find llm-sync's stand-ins, whether or not the real \
packages are installed. Requests go where the configuration says; without one, where the script and the usual environment \
variables say. The exit status is the script's, or 2 when it cannot be read. A cut, blocked or empty answer causes a warning \
on standard error; with LLM_SYNC_STRICT=1 it raises an exception.

examples:
  llm-sync run-script report.py --month may
  llm-sync run-script --only openai report.py
"""


def add(parser: Parser) -> None:
    """Give the parser the options."""
    parser.add_argument(
        "--only",
        action="append",
        choices=("openai", "anthropic", "litellm"),
        default=[],
        metavar="PACKAGE",
        help="replace only PACKAGE: openai, anthropic or litellm; may be repeated (all three)",
    )
    options.configuration(parser)
    parser.add_argument("script", metavar="SCRIPT", help="the file to run, or - for standard input")
    more = parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARG", help="the script's own arguments")
    more.required = False  # argparse counts it among what is missing when SCRIPT is
    parser.epilog = _EXAMPLES
