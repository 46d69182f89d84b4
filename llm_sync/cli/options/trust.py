"""The options of ``llm-sync trust``."""

from __future__ import annotations

from llm_sync.cli.options.argument_parser import Parser
from llm_sync.cli.options.argument_types import visible
from llm_sync.cli.options.exit_statuses import NO_REQUEST, exit_statuses

_EXAMPLES = """\
A configuration that is found by its name in ./config/llms may belong to somebody else, for instance in a cloned repository. \
Without trust it cannot run a command, read files or variables, send your keys to other hosts, or set instructions for the \
model: such a configuration is refused. Read the file before you trust it. What it is trusted for is printed on standard error; \
'llm-sync validate' shows the same without trusting it. Trust holds for this path and this content: it ends when the file is \
changed or moved. Configurations in your own folder, in $LLM_SYNC_CONFIG_DIR, and those that --config names by path need no trust.

examples:
  llm-sync trust
  llm-sync trust ./config/llms/mine.yaml
  llm-sync trust --list
  llm-sync trust --revoke ./config/llms/mine.yaml
"""


def add(parser: Parser) -> None:
    """Add the options to the parser."""
    parser.add_argument(
        "name",
        nargs="?",
        type=visible,
        metavar="NAME|PATH",
        help="the configuration to trust (the one in the working folder that is used when none is named)",
    )
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--list", action="store_true", help="list the trusted files, and whether they were changed since")
    action.add_argument("--revoke", action="store_true", help="end the trust in NAME|PATH, which need not exist any more")
    parser.add_argument("--json", action="store_true", help="print a JSON object for each file, one per line")
    parser.epilog = f"{_EXAMPLES}\n{exit_statuses(*NO_REQUEST, good='trust is recorded or not needed, revoked, or listed')}"
