"""``llm-sync batch -o FILE.csv``: the table that is made of a finished batch, beside the JSON Lines that a run resumes from."""

from __future__ import annotations

import argparse
import os

from llm_sync.batch import Summary
from llm_sync.cli.console.messages import print_error, print_note
from llm_sync.cli.console.output_files import reason_for
from llm_sync.cli.console.output_settings import settings
from llm_sync.cli.options.argument_parser import UsageError

_EXTENSIONS = (".csv", ".tsv", ".parquet", ".xlsx")


def table_of(args: argparse.Namespace) -> str | None:
    """The table that -o names, or None; ``args.output`` then names the JSON Lines: FILE.jsonl for FILE.csv.

    Of a table of prompts (--template) all columns are kept unless --keep says which. Raises UsageError for a name that is taken.
    """
    stem, extension = os.path.splitext(args.output)
    if extension.lower() not in _EXTENSIONS:
        return None
    table, args.output = args.output, f"{stem}.jsonl"
    if args.template is not None and not args.keep:
        args.keep_all = True
    if args.input[0] in (table, args.output):
        raise UsageError(f"--output {table!r} would replace INPUT: name another file")
    if extension.lower() in (".parquet", ".xlsx"):
        _require(extension.lower())
    return str(table)


def _require(extension: str) -> None:
    """Raise before anything is sent if the package for a table is missing."""
    from importlib.util import find_spec

    package, extra = {".parquet": ("pyarrow", "parquet"), ".xlsx": ("xlsxwriter", "xlsx")}[extension]
    if find_spec(package) is None:
        raise UsageError(f"a {extension} file needs the package {package}. Install it: pip install 'llm-sync[{extra}]'.")


def write(table: str, args: argparse.Namespace, summary: Summary) -> None:
    """Write the table if the batch is complete; say where it is."""
    if not summary.complete:
        print_error(f"{table!r} is not written: the batch is not complete; run the same command again")
        return
    from llm_sync.reports import summarize
    from llm_sync.reports.writing import write_table

    try:
        with summarize(args.output) as report:
            write_table(report, table)
    except OSError as error:
        raise UsageError(f"--output {table!r} cannot be written: {reason_for(error, table)}") from error
    if not settings.quiet:
        print_note(f"the answers are in {table}, and the records in {args.output}, from which the same command resumes")
