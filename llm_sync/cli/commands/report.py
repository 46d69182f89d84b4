"""``llm-sync report``: figures, scores, comparisons and tables of finished batches."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
from collections.abc import Iterator
from typing import Any

from llm_sync.cli import exit_codes
from llm_sync.cli.console import report_text
from llm_sync.cli.console.messages import print_error, print_note
from llm_sync.cli.console.output import open_output
from llm_sync.cli.console.output_files import reason_for
from llm_sync.cli.console.output_settings import settings
from llm_sync.cli.console.terminal import wrap
from llm_sync.cli.options.argument_parser import UsageError
from llm_sync.reports import ModelRow, PairRow, Report, summarize
from llm_sync.reports.certificate import certificate, differences, read_certificate
from llm_sync.reports.command_check import CommandCheck
from llm_sync.reports.statistics import SEED
from llm_sync.reports.verdicts import Check
from llm_sync.reports.writing import TABLE_EXTENSIONS, check_package, write_records, write_table

_FIGURES = (".html", ".json", ".jsonl", ".md")


def run(args: argparse.Namespace) -> int:
    """Make the report; return the exit status."""
    outputs = _outputs(args)
    for path in args.output:
        _check_target(path, outputs)
    if args.verify is not None:
        return _verify(args, outputs)
    with _opened(args, outputs) as report:
        pairs = _pairs(args, report)
        for path in args.output:
            _write(args, report, pairs, path)
        if args.json or not args.output:
            _print(args, report, pairs)
        problems = list(_unfit(args, report))
    for problem in problems:
        print_error(problem)
    return exit_codes.UNFIT if problems else exit_codes.ANSWERED


def _outputs(args: argparse.Namespace) -> list[str]:
    if args.outputs:
        return list(args.outputs)
    if args.compare is None:
        raise UsageError("no OUTPUT is named: llm-sync report OUTPUT ...")
    return list(args.compare)


def _check_target(path: str, outputs: list[str]) -> None:
    extension = os.path.splitext(path)[1].lower()
    if extension not in (*_FIGURES, *TABLE_EXTENSIONS):
        raise UsageError(f"--output {path!r} has none of the extensions {', '.join((*_FIGURES, *TABLE_EXTENSIONS))}")
    check_package(extension)
    if os.path.realpath(path) in map(os.path.realpath, outputs):
        raise UsageError(f"--output {path!r} is an OUTPUT that is read: name another file")


@contextlib.contextmanager
def _opened(args: argparse.Namespace, outputs: list[str], **recorded: Any) -> Iterator[Report]:
    """The report of the outputs, checked as the options say, or as ``recorded``. Raises UsageError for files not readable."""
    expect, check = args.expect or recorded.get("expect"), args.check or recorded.get("check")
    chosen: str | Check | None = check
    if check is not None and check.startswith("command:"):
        chosen = CommandCheck(check.removeprefix("command:"), timeout=args.check_timeout)
    seed = args.seed if args.seed is not None else recorded.get("seed") or SEED
    try:
        report = summarize(outputs, expect=expect, check=chosen, seed=seed)
    except OSError as error:
        raise UsageError(f"{error.filename or outputs[0]!r} cannot be read: {error.strerror or error}") from error
    with report:
        report.check_name = check or report.check_name
        yield report


def _pairs(args: argparse.Namespace, report: Report) -> list[PairRow]:
    """Those that --compare names, or all of a few models whose answers are scored."""
    if args.compare is not None:
        return [report.pair(a, b) for a, b in _compared(report, *args.compare, by_output=not args.outputs)]
    scored = [model.column for model in report.models if model.scored]
    if len(scored) * (len(scored) - 1) > 2 * report_text.MAX_PAIRS:
        return []
    return [report.pair(a, b) for a, b in itertools.combinations(scored, 2)]


def _compared(report: Report, a: str, b: str, *, by_output: bool) -> list[tuple[str, str]]:
    """The columns to compare: two models, or each model of one output with the same one in the other."""
    columns = [model.column for model in report.models]
    if not by_output:
        for name in (a, b):
            if name not in columns:
                raise UsageError(f"--compare: there is no model {name!r} in the OUTPUTs, but: {', '.join(columns)}")
        return [(a, b)]
    old, new = ([model for model in report.models if model.output == path] for path in (a, b))
    if len(old) == len(new) == 1:
        return [(old[0].column, new[0].column)]
    same = [(one.column, other.column) for one in old for other in new if _is_same(one, other)]
    if not same:
        raise UsageError(f"--compare: {a!r} and {b!r} have no model in common")
    return same


def _is_same(one: ModelRow, other: ModelRow) -> bool:
    """Whether two rows are of one model, that was asked by the same route, if by any."""
    return (one.provider, one.model, one.route_of) == (other.provider, other.model, other.route_of)


def _write(args: argparse.Namespace, report: Report, pairs: list[PairRow], path: str) -> None:
    """Write one file. Raises UsageError if it cannot be written."""
    extension = os.path.splitext(path)[1].lower()
    try:
        if extension in TABLE_EXTENSIONS:
            write_table(report, path, long=args.long)
        elif extension == ".jsonl":
            write_records(report, path)
        else:
            content = {".html": _page, ".json": _document, ".md": report_text.markdown}[extension](report, pairs)
            with open_output(path) as output:
                output.write(content)
    except OSError as error:
        raise UsageError(f"--output {path!r} cannot be written: {reason_for(error, path)}") from error
    if not settings.quiet:
        print_note(f"{path} is written")


def _page(report: Report, _pairs: list[PairRow]) -> str:
    import io

    from llm_sync.reports.page import write_page

    page = io.StringIO()
    write_page(report, page, certificate=certificate(report), title=", ".join(map(os.path.basename, report.outputs)))
    return page.getvalue()


def _document(report: Report, pairs: list[PairRow]) -> str:
    document = {"models": report.to_dicts(), "pairs": [pair.to_dict() for pair in pairs], "certificate": certificate(report)}
    return json.dumps(document, ensure_ascii=False)


def _print(args: argparse.Namespace, report: Report, pairs: list[PairRow]) -> None:
    with open_output(None) as output:
        if args.json:
            output.write(_document(report, pairs))
            return
        width = output.width
        lines = report_text.report_lines(report, [] if args.compare else pairs, width)
        lines += report_text.comparison_lines(pairs) if args.compare else []
        output.write("\n".join(lines if width is None else (wrap(line, width, hanging="  ") for line in lines)))


def _unfit(args: argparse.Namespace, report: Report) -> Iterator[str]:
    """Each limit of the options that a model does not keep."""
    columns = [model.column for model in report.models]
    for name, least in args.min_accuracy:
        if name is not None and name not in columns:
            raise UsageError(f"--min-accuracy: there is no model {name!r} in the OUTPUTs, but: {', '.join(columns)}")
        for model in report.models:
            if name in (None, model.column) and (model.accuracy is None or model.accuracy < least):
                accuracy = "has no scored answer" if model.accuracy is None else f"has an accuracy of {model.accuracy:.2%}"
                yield f"{model.column} {accuracy}, not {least:.2%} or more"
    for model in report.models:
        share = model.without_answer / model.requests
        if args.max_error_rate is not None and share > args.max_error_rate:
            yield f"{share:.2%} of the requests to {model.column} have no answer, more than {args.max_error_rate:.2%}"
        if args.fail_on_truncated and model.cut:
            yield f"{model.cut:,} of the answers of {model.column} are truncated"


def _verify(args: argparse.Namespace, outputs: list[str]) -> int:
    """Compare the certificate of a report with the outputs."""
    if args.output or args.compare:
        raise UsageError("--verify writes and compares nothing else: leave -o and --compare out")
    try:
        stated = read_certificate(args.verify)
    except OSError as error:
        raise UsageError(f"--verify {args.verify!r} cannot be read: {error.strerror or error}") from error
    recorded = _recorded(args, stated)
    scores = recorded is not None
    with _opened(args, outputs, **(recorded or {})) as report:
        mismatches = differences(stated, certificate(report), scores=scores)
    with open_output(None) as output:
        if args.json:
            output.write(
                json.dumps({"verified": not mismatches, "scores": scores, "differences": mismatches}, ensure_ascii=False)
            )
        elif not mismatches:
            without = "" if scores else ", without the scores: give --expect and --check to compute these, too"
            output.write(f"{args.verify}: confirmed by {', '.join(outputs)}{without}")
    if mismatches and not args.json:
        for line in mismatches:
            print_error(line)
    return exit_codes.UNFIT if mismatches else exit_codes.ANSWERED


def _recorded(args: argparse.Namespace, stated: dict[str, Any]) -> dict[str, Any] | None:
    """How the certificate says that answers were checked; None if they cannot be checked so again.

    Nothing that a certificate names is run or opened: a command, a schema or a file of expectations must be given again.
    """
    expect, check = stated.get("expect"), stated.get("check")
    if args.expect or args.check:
        return {"seed": stated.get("seed")}
    is_column = expect is None or (isinstance(expect, str) and not os.path.exists(expect.partition(":")[0]))
    safe = is_column and (check is None or (isinstance(check, str) and ":" not in check and check != "custom"))
    return {"expect": expect, "check": check, "seed": stated.get("seed")} if safe else None
