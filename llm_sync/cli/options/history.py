"""The options of ``llm-sync history``."""

from __future__ import annotations

from llm_sync.cli.options.argument_parser import Parser
from llm_sync.cli.options.argument_types import ABOVE_0, limit
from llm_sync.cli.options.exit_statuses import NO_REQUEST, exit_statuses

ACTIONS = ("list", "show", "search", "delete")

_EXAMPLES = """\
ACTION is one of:
  list         one line for each conversation, the one used last first
  show [ID]    a conversation as a whole, the last one without ID
  search TEXT  every prompt and answer that contains TEXT, in whatever case
  delete ID    remove a conversation, or several; --all: all of them

ID may be the beginning of a name. Conversations get there by --history of generate, or by the configuration's key history; \
-c of generate goes on with the last one. They are in your state folder, for you alone (docs/history.md).

examples:
  llm-sync history
  llm-sync history show
  llm-sync history show 20261130-17
  llm-sync history search "zip code"
  llm-sync history delete 20261130-174703-a1b2c3
  llm-sync history delete --all
"""


def add(parser: Parser) -> None:
    """Add the options to the parser."""
    parser.add_argument("action", nargs="?", default="list", choices=ACTIONS, metavar="ACTION", help="what to do (list)")
    parser.add_argument("words", nargs="*", metavar="ID|TEXT", help="the conversations to show or delete, or what to search for")
    parser.add_argument("--limit", type=limit(ABOVE_0), metavar="N", help="list, search: at most N lines")
    parser.add_argument("--json", action="store_true", help="print JSON, one object per line")
    group = parser.add_argument_group("delete")
    group.add_argument("--all", action="store_true", help="delete all conversations")
    group.add_argument("--yes", action="store_true", help="with --all: do not ask")
    parser.epilog = f"{_EXAMPLES}\n{exit_statuses(*NO_REQUEST, good='it is done')}"
