"""The options of ``llm-sync report``."""

from __future__ import annotations

import argparse

from llm_sync.cli.options.argument_parser import Parser
from llm_sync.cli.options.argument_types import COUNT, SECONDS, file_name, nonempty, share
from llm_sync.cli.options.exit_statuses import exit_statuses

_EXAMPLES = """\
OUTPUT is a finished output of 'llm-sync batch'; several are put side by side. Without -o the figures of each model are printed. \
See docs/report.md.

examples:
  llm-sync report answers.jsonl
  llm-sync report answers.jsonl \\
    --expect label --min-accuracy 0.8
  llm-sync report answers.jsonl \\
    -o page.html -o table.csv
  llm-sync report \\
    --compare old.jsonl new.jsonl
  llm-sync report answers.jsonl \\
    --verify page.html
"""


def add(parser: Parser) -> None:
    """Add the options to the parser."""
    parser.add_argument("outputs", nargs="*", metavar="OUTPUT", help="a finished output of batch (.gz: gzip)")
    parser.add_argument(
        "-o",
        "--output",
        action="append",
        default=[],
        type=file_name,
        metavar="FILE",
        help="write FILE instead of printing the figures, by its extension: .html: a page; .csv, .tsv, .parquet, .xlsx: the "
        "answers beside their input; .jsonl: a record a line; .json, .md: the figures; may be repeated",
    )
    parser.add_argument(
        "--long", action="store_true", help="in tables of answers, a row for each model's answer, not one for each input line"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    _add_scores(parser)
    _add_comparison(parser)
    parser.epilog = f"{_EXAMPLES}\n{exit_statuses(3, 4, 5, 6, 8, 9, good='the report is made')}"


def _add_scores(parser: Parser) -> None:
    group = parser.add_argument_group("scores")
    group.add_argument(
        "--expect",
        type=file_name,
        metavar="COLUMN|FILE",
        help="the expected answers: a field that was kept of the input (batch --keep), or a CSV or JSON Lines file (FILE:COLUMN) "
        "that is joined by id",
    )
    group.add_argument(
        "--check",
        type=nonempty,
        metavar="CHECK",
        help="how an answer is compared: exact (if only --expect is given), contains, regex, number, json, schema:FILE, or "
        "command:CMD, which gets each answer as JSON on standard input and prints true, false or a score from 0 to 1",
    )
    group.add_argument(
        "--check-timeout", type=SECONDS, default=30.0, metavar="SECONDS", help="the time that CMD may take for an answer (30)"
    )
    group.add_argument(
        "--min-accuracy",
        action="append",
        default=[],
        type=_least,
        metavar="[MODEL=]SHARE",
        help="end with status 10 if the accuracy of MODEL, or of any model, is below SHARE (0.8 or 80%%); may be repeated",
    )
    group.add_argument(
        "--max-error-rate",
        type=share,
        metavar="R",
        help="end with status 10 if a larger share of a model's requests has no answer",
    )
    group.add_argument("--fail-on-truncated", action="store_true", help="end with status 10 if an answer is truncated")


def _add_comparison(parser: Parser) -> None:
    group = parser.add_argument_group("comparison")
    group.add_argument(
        "--compare",
        nargs=2,
        type=nonempty,
        metavar=("A", "B"),
        help="what changed from A to B: two outputs of the same input, or two models of the OUTPUTs",
    )
    group.add_argument("--seed", type=COUNT, metavar="N", help="the seed of the bootstrap intervals (20240101)")
    group.add_argument(
        "--verify",
        type=file_name,
        metavar="FILE",
        help="compute the certificate in FILE, a page or .json, again from the OUTPUTs",
    )


def _least(argument: str) -> tuple[str | None, float]:
    model, equals, least = argument.rpartition("=")
    if equals and not model:
        raise argparse.ArgumentTypeError(f"{argument!r} names no model before the =")
    return model or None, share(least)
