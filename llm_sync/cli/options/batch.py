"""The options of ``llm-sync batch``."""

from __future__ import annotations

import argparse

from llm_sync.cli import options
from llm_sync.cli.arguments import COUNT, SECONDS, Parser, nonempty, text

_EXAMPLES = """\
A line of INPUT is a JSON object with a prompt or messages, a model, and whatever else a request has, or one of OpenAI's batch \
requests. While it runs, FILE.part is its journal; killed or stopped, the same command goes on where it was, and asks nothing \
again that was answered. docs/batch.md has the whole of it.

examples:
  llm-sync batch in.jsonl -o out.jsonl
  llm-sync batch --text q.txt -o a.jsonl \\
    -m openai/gpt-4o -m gemini/MODEL
  llm-sync batch words.csv -o out.jsonl \\
    --template "Translate: {word}"
  llm-sync batch in.jsonl -o 1.jsonl \\
    --shard 1/2
  llm-sync batch merge 1.jsonl 2.jsonl \\
    -o all.jsonl
"""


def add(parser: Parser) -> None:
    """Give the parser the options."""
    parser.add_argument(
        "input",
        nargs="+",
        metavar="INPUT",
        help="the file of requests (gzip by the name .gz), or - for standard input; after the word merge, finished outputs to "
        "put together in order",
    )
    parser.add_argument(
        "-o", "--output", required=True, type=nonempty, metavar="FILE", help="write the answers to FILE (gzip by the name .gz)"
    )
    options.asking(parser, "send every line to this model, whatever it says itself; give it several times to ask several")
    source = parser.add_argument_group("input")
    form = source.add_mutually_exclusive_group()
    form.add_argument("--text", action="store_true", help="every line is a prompt")
    form.add_argument(
        "--template",
        type=text,
        metavar="TEXT",
        help="the lines are CSV, the first of them names the columns: make a prompt of each, with {column} for a value",
    )
    source.add_argument(
        "--delimiter", type=_delimiter, metavar="CHARACTER", help="what separates the values of CSV (a comma; in .tsv, a tab)"
    )
    source.add_argument("--limit", type=COUNT, metavar="N", help="take the first N lines only")
    source.add_argument("--shard", type=_shard, metavar="I/N", help="take every Nth line, from the Ith on")
    source.add_argument(
        "--skip-bad-lines", action="store_true", help="let a line that cannot be sent be a failure; else nothing is sent at all"
    )
    again = parser.add_argument_group("running again")
    again.add_argument("--restart", action="store_true", help="begin anew; the old journal is kept as FILE.part.old")
    again.add_argument("--retry-failed", action="store_true", help="ask all failures again, not only those that may pass")
    again.add_argument(
        "--retry-timeouts", action="store_true", help="ask again what timed out, though it may be billed twice, now and later"
    )
    again.add_argument("--allow-changed-settings", action="store_true", help="keep answers that were given under other settings")
    run = parser.add_argument_group("run")
    run.add_argument("--dry-run", action="store_true", help="check all, count, tell the highest cost, and send nothing")
    run.add_argument(
        "--max-error-rate",
        type=_share,
        metavar="R",
        help="end with status 10 when more than this share of the requests has no answer: 0.02, or 2%%",
    )
    run.add_argument("--fail-on-truncated", action="store_true", help="end with status 10 when an answer is truncated")
    run.add_argument(
        "--max-cool-down",
        type=SECONDS,
        metavar="SECONDS",
        help="wait for a provider that asks for a pause of up to SECONDS (86400)",
    )
    run.add_argument(
        "--give-up-after",
        type=COUNT,
        default=10,
        metavar="N",
        help="send a provider nothing more after N failures in a row for want of a key, a permission or credit (10; 0: never)",
    )
    run.add_argument("--json", action="store_true", help="print what came of it as one JSON object")
    options.sent(parser)
    parser.epilog = f"{_EXAMPLES}\n{options.statuses()}"


def _delimiter(argument: str) -> str:
    found = "\t" if argument == "\\t" else text(argument)
    if len(found) != 1 or found in '"\r\n':
        raise argparse.ArgumentTypeError(f"{argument!r} is not one character")
    return found


def _shard(argument: str) -> tuple[int, int]:
    part, slash, parts = argument.partition("/")
    if not slash or not part.isdecimal() or not parts.isdecimal() or not 1 <= int(part) <= int(parts):
        raise argparse.ArgumentTypeError(f"{argument!r} is not I/N with I from 1 to N")
    return int(part), int(parts)


def _share(argument: str) -> float:
    number, percent = argument.removesuffix("%"), argument.endswith("%")
    try:
        share = float(number) / (100 if percent else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{argument!r} is not a share from 0 to 1, or from 0% to 100%")
    return share
