"""The options of ``llm-sync generate``."""

from __future__ import annotations

from llm_sync.cli import options
from llm_sync.cli.arguments import Parser, text

_EXAMPLES = """\
examples:
  llm-sync generate "Say hello"
  llm-sync generate --json <q >answers
  git diff | llm-sync generate \\
    --system "Review this change"
  llm-sync generate "Why?" \\
    -m openai/gpt-4o -m gemini/MODEL
  llm-sync generate --image cat.png \\
    "What is this?"
"""


def add(parser: Parser) -> None:
    """Give the parser the options."""
    parser.add_argument(
        "prompt",
        nargs="*",
        type=text,
        metavar="PROMPT",
        help="the prompt; several words are joined by blanks; without one, or for a lone -, standard input is read",
    )
    options.asking(
        parser,
        "the model to ask (the configuration's); give it several times to ask several at once, printed in the order given: with "
        "headings on a terminal only, so use --json where a program reads",
    )
    source = parser.add_argument_group("input and output")
    source.add_argument("--input", metavar="FILE", help="read the prompt from FILE, or from standard input for -")
    source.add_argument(
        "--messages",
        metavar="FILE",
        help="go on with the conversation in FILE (- for standard input): a JSON list of objects with role and content",
    )
    source.add_argument(
        "--output", metavar="FILE", help="write the answers to FILE, which appears, or is replaced, when all are there"
    )
    source.add_argument(
        "--append", action="store_true", help="add the answers to --output FILE instead, whole lines, beside other processes"
    )
    source.add_argument("--json", action="store_true", help="print one JSON object an answer (or failed request) and line")
    options.sent(parser)
    parser.epilog = f"{_EXAMPLES}\n{options.statuses(10)}"
