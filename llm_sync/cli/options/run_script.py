"""The options of ``llm-sync run-script``."""

from __future__ import annotations

import argparse

from llm_sync.cli.options.argument_parser import Parser
from llm_sync.cli.options.global_options import add_configuration_option

_EXAMPLES = """\
In SCRIPT, 'import openai', 'import anthropic' and 'import litellm' import llm-sync's replacements, whether or not the real \
packages are installed. Requests go where the configuration says; without one, where the usual environment variables say. A \
base_url that the script itself gives is used, unless --route or a provider with that base_url maps it to the configuration; \
a key that the script gives is sent only to the host it is meant for. A truncated, \
blocked or empty answer causes a warning on standard error; with LLM_SYNC_STRICT=1 it raises an exception.

examples:
  llm-sync run-script report.py --month may
  llm-sync run-script --only openai report.py
  llm-sync run-script --route config report.py

exit status:
  N    the script's own
  2    the command line is wrong, or the script cannot be read
"""


def add(parser: Parser) -> None:
    """Add the options to the parser."""
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
        help="for scripts that give a base_url: 'config' sends all requests where the configuration says, URL=PROVIDER those for "
        "this base_url to a provider of the configuration; may be repeated (where the script says)",
    )
    add_configuration_option(parser)
    parser.add_argument("script", metavar="SCRIPT", help="the file to run, or - for standard input")
    more = parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARG", help="the script's own arguments")
    more.required = False  # argparse would report it as missing together with SCRIPT
    parser.epilog = _EXAMPLES
