"""The options of ``llm-sync batch``."""

from __future__ import annotations

import argparse

from llm_sync.cli.options.argument_parser import Parser
from llm_sync.cli.options.argument_types import COUNT, SECONDS, file_name, limit, nonempty, share, text
from llm_sync.cli.options.exit_statuses import exit_statuses
from llm_sync.cli.options.global_options import add_model_option
from llm_sync.cli.options.request_options import add_request_options
from llm_sync.cli.options.scale import add_scale_options, part

_EXAMPLES = """\
A line of INPUT is a JSON object with a prompt or messages, a model, and any other field of a request; OpenAI's batch requests \
work too. FILE.part is the journal of an unfinished run: after a kill or Ctrl-C, the same command resumes from it and sends no \
request again that was answered. See docs/batch.md.

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
  llm-sync batch in.jsonl -o out.jsonl \\
    --via batch --no-wait
  llm-sync batch jobs out.jsonl
"""


def add(parser: Parser) -> None:
    """Add the options to the parser."""
    parser.add_argument(
        "input",
        nargs="+",
        metavar="INPUT",
        help="the file of requests (.gz: gzip), or - for standard input; or the word merge and the finished outputs to combine; "
        "or the word jobs and the output of a batch whose open jobs are listed",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=file_name,
        metavar="FILE",
        help="write the answers to FILE (.gz: gzip); with the extension .csv, .tsv, .parquet or .xlsx a table, beside the JSON "
        "Lines that a run resumes from (the same name with .jsonl)",
    )
    add_model_option(
        parser,
        "send every line to this model instead of the one it names; repeat the option to ask several models; A,B or the name of "
        "a route asks A, and B if A fails",
    )
    _add_input_options(parser)
    _add_resume_options(parser)
    _add_run_options(parser)
    add_scale_options(parser)
    _add_way_options(parser)
    add_request_options(parser)
    parser.epilog = f"{_EXAMPLES}\n{exit_statuses()}"


def _add_input_options(parser: Parser) -> None:
    """How INPUT is read."""
    group = parser.add_argument_group("input")
    form = group.add_mutually_exclusive_group()
    form.add_argument("--text", action="store_true", help="read INPUT as plain text: each line is a prompt")
    form.add_argument(
        "--template",
        type=text,
        metavar="TEXT",
        help="read INPUT as CSV with a header line: each row becomes this prompt, with {column} replaced by its value",
    )
    group.add_argument(
        "--delimiter",
        type=_delimiter,
        metavar="CHARACTER",
        help="the character that separates CSV values (in .tsv files a tab; else a comma, semicolon, tab or |, whichever fits)",
    )
    group.add_argument("--id-column", type=nonempty, metavar="COLUMN", help="the CSV column that holds the requests' ids (id)")
    group.add_argument(
        "--skip-blank",
        action="append",
        default=[],
        type=nonempty,
        metavar="COLUMN",
        help="leave out CSV rows whose value in this column is blank; repeat it for several columns",
    )
    group.add_argument(
        "--keep",
        action="append",
        default=[],
        type=nonempty,
        metavar="NAME",
        help="return this field or CSV column of a line on its record, under input; repeat it for several (meta.source: a member "
        "of an object; meta.*: all of them)",
    )
    group.add_argument(
        "--keep-all", action="store_true", help="return all fields and columns of a line that are not the request's own"
    )
    group.add_argument("--limit", type=limit(COUNT), metavar="N", help="use only the first N lines")
    group.add_argument(
        "--shard",
        type=part,
        metavar="I/N",
        help="use every Nth line, starting with line I (in a task of an array of Slurm or of an indexed Kubernetes Job: its own)",
    )
    group.add_argument(
        "--skip-bad-lines",
        action="store_true",
        help="count invalid lines as failures and send the others; without this option nothing is sent",
    )
    group.add_argument(
        "--allow-files",
        action="append",
        default=[],
        type=file_name,
        metavar="DIR",
        help="let lines name files below DIR, too, not only below the folder of INPUT; repeat it for several folders",
    )


def _add_resume_options(parser: Parser) -> None:
    """What happens to the results of an earlier run."""
    group = parser.add_argument_group("running again")
    group.add_argument(
        "--add-model", action="store_true", help="keep the answers of the models asked before, and ask those of -m in addition"
    )
    group.add_argument("--restart", action="store_true", help="start over; the old journal is renamed to FILE.part.old")
    group.add_argument(
        "--retry-failed", action="store_true", help="send all failed requests again, not only those that may succeed now"
    )
    group.add_argument(
        "--retry-timeouts",
        action="store_true",
        help="retry requests that timed out, in this run and in later ones; each may be billed twice",
    )
    group.add_argument(
        "--retry-truncated",
        action="store_true",
        help="send requests again whose answers were truncated, for example with another --max-tokens",
    )
    group.add_argument("--allow-changed-settings", action="store_true", help="keep answers that were given under other settings")


def _add_run_options(parser: Parser) -> None:
    """What the run does, and when it counts as failed."""
    group = parser.add_argument_group("run")
    group.add_argument(
        "--dedupe",
        action="store_true",
        help="send equal lines to a model once: the others get the answer of the first (without this, each is sent)",
    )
    group.add_argument(
        "--dry-run",
        action="store_true",
        help="check and count everything, show the highest possible and the expected cost, send nothing",
    )
    group.add_argument(
        "--count-tokens",
        action="store_true",
        help="with --dry-run: send up to 20 lines of each model to the provider's token counter, which is free, for a better "
        "expected cost (Anthropic, Gemini and OpenAI)",
    )
    group.add_argument(
        "--then-estimate",
        action="store_true",
        help="with --limit N: after these lines show what all the others are expected to cost, from the answers",
    )
    group.add_argument(
        "--max-error-rate",
        type=share,
        metavar="R",
        help="end with status 10 if more than this share of the requests (such as 0.02 or 2%%) has no answer",
    )
    group.add_argument("--fail-on-truncated", action="store_true", help="end with status 10 if an answer is truncated")
    group.add_argument(
        "--max-cool-down",
        type=SECONDS,
        metavar="SECONDS",
        help="the longest pause that a provider may ask for; for a longer one the run stops sending to it (86400)",
    )
    group.add_argument(
        "--give-up-after",
        type=COUNT,
        default=10,
        metavar="N",
        help="stop sending to a provider after N failures in a row about its key, permission or credit, and to a model after N "
        "that say it does not exist (10; 0: never)",
    )
    group.add_argument("--failed", type=file_name, metavar="FILE", help="also write the records of all failures to FILE")
    group.add_argument("--json", action="store_true", help="print the summary as one JSON object")


def _add_way_options(parser: Parser) -> None:
    """How the requests go to the providers."""
    group = parser.add_argument_group("way of sending")
    group.add_argument(
        "--via",
        choices=("direct", "background", "batch"),
        help="send the lines one by one (direct), as background answers, or as jobs of the provider's Batch API, for half the "
        "price; what a provider cannot do is sent directly, with a notice",
    )
    group.add_argument(
        "--no-wait", action="store_true", help="with --via batch: submit the jobs and exit; the same command collects them later"
    )
    group.add_argument(
        "--rebuy",
        action="store_true",
        help="with --via batch: send lines again although a job whose fate is unknown may have answered them, and been billed",
    )
    group.add_argument(
        "--keep-files", action="store_true", help="with --via batch: leave the files of collected jobs at the provider"
    )
    group.add_argument(
        "--cancel", action="store_true", help="with 'batch jobs OUTPUT': cancel the open jobs; what is answered by then is billed"
    )
    group.add_argument(
        "--poll-every",
        type=SECONDS,
        metavar="SECONDS",
        help="with --via batch: look at each job every so many seconds, or as seldom as its provider asks for (60)",
    )


def _delimiter(argument: str) -> str:
    delimiter = "\t" if argument == "\\t" else text(argument)
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise argparse.ArgumentTypeError(f"{argument!r} is not one character")
    return delimiter
