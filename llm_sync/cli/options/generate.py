"""The options of ``llm-sync generate``."""

from __future__ import annotations

from llm_sync.cli.options.argument_parser import Parser
from llm_sync.cli.options.argument_types import file_name, text, visible
from llm_sync.cli.options.exit_statuses import exit_statuses
from llm_sync.cli.options.global_options import add_model_option
from llm_sync.cli.options.request_options import add_request_options

_EXAMPLES = """\
Without PROMPT, the prompt is read from standard input. With PROMPT, standard input is not read (so that a shell loop over a \
file keeps its lines), unless one of the words is a -, which its text replaces.

examples:
  llm-sync generate "Say hello"
  cat report.txt | llm-sync generate \\
    -s "Summarise this"
  git diff | llm-sync generate \\
    "Review this:" -
  llm-sync generate "Why?" \\
    -m openai/gpt-4o -m gemini/MODEL
  llm-sync generate --image cat.png \\
    "What is this?"
  llm-sync generate --json Hello \\
    | jq -r .response.text
"""


def add(parser: Parser) -> None:
    """Add the options to the parser."""
    parser.add_argument(
        "prompt",
        nargs="*",
        type=text,
        metavar="PROMPT",
        help="the prompt: words are joined with spaces, and a - is replaced by the text of standard input",
    )
    add_model_option(
        parser,
        "the model to ask (the configuration's default); repeat the option to ask several at once: the answers are printed in "
        "this order, with headings; A,B or the name of a route asks A, and B if A fails",
    )
    source = parser.add_argument_group("input and output")
    source.add_argument("--input", metavar="FILE", help="read the prompt from FILE, - for standard input")
    source.add_argument(
        "--messages",
        metavar="FILE",
        help="continue the conversation in FILE, - for standard input: a JSON list of objects with role and content",
    )
    source.add_argument(
        "--allow-files",
        action="append",
        default=[],
        type=file_name,
        metavar="DIR",
        help="let --messages name files below DIR too, beside those below the folder of its FILE; may be repeated",
    )
    source.add_argument(
        "-o", "--output", metavar="FILE", help="write the answers to FILE, which is created or replaced when all have arrived"
    )
    source.add_argument(
        "--append",
        action="store_true",
        help="add to --output FILE instead of replacing it; any number of processes may do so at once",
    )
    source.add_argument("--json", action="store_true", help="print a JSON object for each answer or failure, one per line")
    source.add_argument(
        "--id",
        type=visible,
        metavar="TEXT",
        help="with --json: the id of the objects, to tell them apart in one file",
    )
    _add_history_options(parser)
    parser.add_argument_group("way of sending").add_argument(
        "--via",
        choices=("direct", "background"),
        help="direct: in one exchange; background: have the provider work on it, and fetch the answer when it is there, if the "
        "provider can do that",
    )
    add_request_options(parser)
    parser.epilog = f"{_EXAMPLES}\n{exit_statuses(10)}"


def _add_history_options(parser: Parser) -> None:
    """Which conversation the prompt belongs to, and whether it is kept."""
    group = parser.add_argument_group("conversation")
    group.add_argument(
        "-c",
        "--continue",
        action="store_true",
        dest="goes_on",
        help="go on with the last conversation in the history, and its model",
    )
    group.add_argument(
        "--conversation", type=visible, metavar="ID", help="go on with this one; the beginning of its name is enough"
    )
    keep = group.add_mutually_exclusive_group()
    keep.add_argument(
        "--history",
        action="store_const",
        const=True,
        help="keep the prompt and the answer, as a conversation of its own, for -c and 'llm-sync history'",
    )
    keep.add_argument(
        "--no-history", action="store_const", const=False, dest="history", help="keep nothing, whatever the configuration says"
    )
