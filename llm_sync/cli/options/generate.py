"""The options of ``llm-sync generate``."""

from __future__ import annotations

from llm_sync.cli import options
from llm_sync.cli.options.argument_parser import Parser, text, visible

_EXAMPLES = """\
Without a PROMPT, standard input is the prompt. With one, standard input is not read (so that a loop over a file keeps its \
lines), unless a - among the words says where its text goes.

examples:
  llm-sync generate "Say hello"
  cat report.txt | llm-sync generate \\
    --system "Summarise this"
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
    """Give the parser the options."""
    parser.add_argument(
        "prompt",
        nargs="*",
        type=text,
        metavar="PROMPT",
        help="the prompt: words are joined with blanks, and a - stands for the text of standard input",
    )
    options.asking(
        parser,
        "the model to ask (the configuration's default); repeat it to ask several at once: their answers come in this order, "
        "with headings",
    )
    source = parser.add_argument_group("input and output")
    source.add_argument("--input", metavar="FILE", help="read the prompt from FILE, - for standard input")
    source.add_argument(
        "--messages",
        metavar="FILE",
        help="continue the conversation in FILE, - for standard input: a JSON list of objects with role and content",
    )
    source.add_argument(
        "--output", metavar="FILE", help="write the answers to FILE, which is made or replaced once all are there"
    )
    source.add_argument(
        "--append", action="store_true", help="add to --output FILE instead of replacing it; any number of processes may do so"
    )
    source.add_argument("--json", action="store_true", help="print a JSON object for each answer or failure, one per line")
    source.add_argument(
        "--id",
        type=visible,
        metavar="TEXT",
        help="with --json: what the objects have as their id, to tell them apart in one file",
    )
    options.sent(parser)
    parser.epilog = f"{_EXAMPLES}\n{options.statuses(10)}"
