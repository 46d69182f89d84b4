"""The options of ``llm-sync run-script``."""

from __future__ import annotations

import argparse

from llm_sync.cli import options
from llm_sync.cli.options.argument_parser import Parser

_EXAMPLES = """\
In SCRIPT, 'import openai', 'import anthropic' and 'import litellm' find llm-sync's stand-ins, whether or not the real \
packages are installed. Requests go where the configuration says; without one, where the usual environment variables say. \
A base_url that the script itself gives is kept, unless --route or a provider with that base_url maps it to the configuration; \
a key that the script gives is used at the host that it is meant for. \
The exit status is the script's, or 2 when it cannot be read. A cut, blocked or empty answer causes a warning \
on standard error; with LLM_SYNC_STRICT=1 it raises an exception.

examples:
  llm-sync run-script report.py --month may
  llm-sync run-script --only openai report.py
  llm-sync run-script --route config report.py
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
    parser.add_argument(
        "--route",
        action="append",
        default=[],
        metavar="config|URL=PROVIDER",
        help="where requests of a script with a base_url of its own go: 'config' sends all of them where the configuration says, "
        "URL=PROVIDER those for this base_url to a provider of the configuration; may be repeated (as the script says)",
    )
    options.configuration(parser)
    parser.add_argument("script", metavar="SCRIPT", help="the file to run, or - for standard input")
    more = parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARG", help="the script's own arguments")
    more.required = False  # argparse counts it among what is missing when SCRIPT is
    parser.epilog = _EXAMPLES
