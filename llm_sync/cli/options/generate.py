"""The options of ``llm-sync generate``."""

from __future__ import annotations

from llm_sync.cli import options
from llm_sync.cli.arguments import ABOVE_0, COUNT, SECONDS, WHOLE, Parser, between, nonempty, text, visible

_EXAMPLES = """\
examples:
  llm-sync generate "Say hello"
  llm-sync generate --json <q >answers
  git diff | llm-sync generate \\
    --system "Review this change"
  llm-sync generate "Why?" \\
    -m openai/gpt-4o -m gemini/MODEL
"""


def add(parser: Parser) -> None:
    """Give the parser the options."""
    parser.add_argument(
        "prompt",
        nargs="*",
        type=text,
        metavar="PROMPT",
        help="the prompt; several words are joined by blanks; without one, standard input is read",
    )
    options.configuration(parser)
    parser.add_argument(
        "-m",
        "--model",
        action="append",
        default=[],
        type=visible,
        metavar="PROVIDER/MODEL",
        help="the model to ask; give it several times to ask several at once, printed in the order given: with headings on a "
        "terminal only, so use --json where a program reads",
    )
    source = parser.add_argument_group("input and output")
    source.add_argument("--input", metavar="FILE", help="read the prompt from FILE, or from standard input for -")
    source.add_argument("--output", metavar="FILE", help="write the answers to FILE, which appears when all are there")
    source.add_argument("--json", action="store_true", help="print one JSON object an answer (or failed request) and line")
    request = parser.add_argument_group("request")
    request.add_argument("--system", type=text, metavar="TEXT", help="the system prompt")
    request.add_argument("--temperature", type=between(0, 2), metavar="T", help="sampling temperature, 0 to 2")
    request.add_argument("--top-p", type=between(0, 1), metavar="P", help="nucleus sampling, 0 to 1")
    request.add_argument("--max-tokens", type=ABOVE_0, metavar="N", help="cut the answer after N tokens")
    request.add_argument("--stop", action="append", type=nonempty, metavar="TEXT", help="stop before TEXT; may be repeated")
    request.add_argument("--seed", type=WHOLE, metavar="N", help="ask for a repeatable answer, where the provider can")
    request.add_argument("--strict", action="store_true", help="refuse what would be adjusted, and truncated answers")
    attempts = parser.add_argument_group("time and retries")
    attempts.add_argument(
        "--timeout", type=SECONDS, metavar="SECONDS", help="give one attempt SECONDS, connecting included (120)"
    )
    attempts.add_argument(
        "--deadline", type=SECONDS, metavar="SECONDS", help="give a request SECONDS in all, waits included (600)"
    )
    attempts.add_argument("--max-retries", type=COUNT, metavar="N", help="try again up to N times (3)")
    options.sharing(parser)
    parser.epilog = f"{_EXAMPLES}\n{options.statuses(10)}"
