"""The options of ``llm-sync cache``."""

from __future__ import annotations

from llm_sync.cli.options.argument_parser import Parser
from llm_sync.cli.options.argument_types import file_name, text, visible
from llm_sync.cli.options.exit_statuses import NO_REQUEST, exit_statuses
from llm_sync.cli.options.global_options import add_model_option

ACTIONS = ("info", "list", "show", "prune", "clear", "export", "import")

_EXAMPLES = """\
ACTION is one of:
  info         what the folder holds, by model
  list         one line for each answer
  show KEY     a request and its answer; the beginning of a key is enough
  prune        remove old answers, what exceeds a size, and files that are no answers
  clear        remove all answers
  export FILE  write all answers to FILE as JSON Lines (.gz: gzip), - for standard output
  import FILE  store the answers of such a file; with --input also those of a finished batch

The folder is --dir, else that of --config, else your own. Answers get there by --cache of generate and batch, or by the \
configuration's key cache (docs/caching.md).

examples:
  llm-sync cache info
  llm-sync cache list --dir ./answers
  llm-sync cache show 3fa9
  llm-sync cache prune --max-age 30d --max-bytes 2G
  llm-sync cache export answers.jsonl.gz
  llm-sync cache import out.jsonl --input in.jsonl
"""


def add(parser: Parser) -> None:
    """Add the options to the parser."""
    parser.add_argument("action", nargs="?", default="info", choices=ACTIONS, metavar="ACTION", help="what to do (info)")
    parser.add_argument("names", nargs="*", metavar="KEY|FILE", help="the answers to show, or the files to export to or import")
    add_model_option(parser, "with import --input: the model that every line was sent to; may be repeated")
    parser.add_argument("--dir", type=file_name, metavar="DIR", help="the folder of the answers")
    parser.add_argument("--json", action="store_true", help="print JSON, one object per line")
    group = parser.add_argument_group("removing")
    group.add_argument(
        "--max-age", type=visible, metavar="AGE", help="prune: remove answers older than AGE, such as 90s, 12h, 30d or 2w"
    )
    group.add_argument(
        "--max-bytes", type=visible, metavar="SIZE", help="prune: keep at most SIZE, such as 500M or 2G, of what was used last"
    )
    group.add_argument("--yes", action="store_true", help="clear: do not ask")
    group = parser.add_argument_group("import of a batch")
    group.add_argument("--input", type=file_name, metavar="INPUT", help="the input of the batch whose output is imported")
    form = group.add_mutually_exclusive_group()
    form.add_argument("--text", action="store_true", help="as for the batch: each line of INPUT is a prompt")
    form.add_argument("--template", type=text, metavar="TEXT", help="as for the batch: INPUT is CSV")
    parser.epilog = f"{_EXAMPLES}\n{exit_statuses(*NO_REQUEST, good='it is done')}"
