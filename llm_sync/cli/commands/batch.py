"""``llm-sync batch``: send a file of requests, or combine finished outputs with ``batch merge``."""

from __future__ import annotations

import argparse
import json
import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from llm_sync import batch, errors
from llm_sync.batch import Snapshot, Summary
from llm_sync.cli import exit_codes, request_fields, signals
from llm_sync.cli.array_task import shard_of_task
from llm_sync.cli.client_access import open_client
from llm_sync.cli.commands import batch_table
from llm_sync.cli.console import batch_dry_run, batch_merge, batch_progress, batch_summary, progress
from llm_sync.cli.console.messages import print_error, print_note
from llm_sync.cli.console.output import Output, open_output
from llm_sync.cli.console.output_files import reason_for
from llm_sync.cli.console.output_settings import settings
from llm_sync.cli.console.quantities import count
from llm_sync.cli.console.resume_hint import ResumeHint
from llm_sync.cli.console.terminal import wrap
from llm_sync.cli.options.argument_parser import UsageError
from llm_sync.cli.outcome import status_of
from llm_sync.errors import LLMConnectorError
from llm_sync.machine.status import set_work

if TYPE_CHECKING:
    from llm_sync.cli.console.in_flight import InFlightRequests

PROGRESS_INTERVAL_S = 30.0  # between two lines of progress when standard error is no terminal

# Options of the command line that are the library's by the same name
_SAME_NAMES = (
    *("text", "template", "id_column", "skip_blank", "limit", "shard", "restart", "skip_bad_lines", "retry_failed"),
    *("retry_truncated", "allow_changed_settings", "give_up_after", "fail_fast", "allow_files", "keep", "keep_all", "failed"),
    *("add_model", "strict_route", "dedupe", "via", "no_wait", "rebuy", "keep_files"),
)

# The summary counts what these loggers warn of: a line for each of a million requests would hide everything else.
_PER_REQUEST_LOGGERS = ("llm_sync.requests", "llm_sync.providers", "llm_sync.client.client")


def run(args: argparse.Namespace) -> int:
    """Run the batch, its dry run, or a merge, or list its jobs; return the exit status."""
    if args.output is None and args.input[0] != "jobs":
        args.parser.error("the following arguments are required: -o/--output")
    if args.input[0] == "merge":
        return _merge(args, args.input[1:])
    if args.input[0] == "jobs":
        from llm_sync.cli.commands import batch_jobs

        return batch_jobs.run(args, args.input[1:])
    if args.cancel:
        raise UsageError("--cancel is for 'llm-sync batch jobs OUTPUT', which names the batch whose jobs are cancelled")
    if len(args.input) > 1:
        raise UsageError(f"unexpected argument {args.input[1]!r}: batch reads one INPUT, 'batch merge' combines finished outputs")
    for name in ("delimiter", "id_column", "skip_blank"):
        if getattr(args, name) and args.template is None:
            raise UsageError(f"--{name.replace('_', '-')} is for CSV, which needs a --template")
    if args.then_estimate and (args.limit is None or args.dry_run or args.input[0] == "-"):
        raise UsageError(
            "--then-estimate needs --limit N, a file as INPUT, and no --dry-run: it asks N lines, and estimates the others"
        )
    if args.count_tokens and not args.dry_run:
        raise UsageError(
            "--count-tokens is for --dry-run: it has the tokens of some lines counted, and sends none to be answered"
        )
    table = batch_table.table_of(args)
    options = _options(args)
    hint = ResumeHint(args.output)
    with open_output(None) as output, open_client(args) as client, _without_request_warnings(args):
        watcher = _ProgressWatcher("standard input" if args.input[0] == "-" else args.input[0], args.output)
        try:
            if args.dry_run:
                result = batch.dry_run(args.input[0], args.output, client, count_tokens=args.count_tokens, **options)
                return _print_dry_run(args, output, result)
            signals.second_signal_text = hint.at_once
            set_work(watcher.work)
            with progress.show_progress(client, watcher.rows):
                summary = batch.run(args.input[0], args.output, client, progress=watcher, on=args.on, **options)
            if args.then_estimate:
                _print_summary(args, output, summary)
                everything = {**options, "limit": None}
                return _print_dry_run(args, output, batch.dry_run(args.input[0], args.output, client, **everything))
        except KeyboardInterrupt:
            if not args.dry_run:
                hint.print(watcher.so_far())
            raise
        except OSError as error:
            raise _explain(args, error) from error
    if table is not None:
        batch_table.write(table, args, summary)
    return _print_summary(args, output, summary)


def _options(args: argparse.Namespace) -> dict[str, Any]:
    """The options as the library takes them."""
    is_tsv = args.input[0].removesuffix(".gz").endswith(".tsv")
    options = {name: getattr(args, name) for name in _SAME_NAMES}
    options.update(request_fields.attempt_options(args), models=args.model, fields=request_fields.request_fields(args))
    if args.shard is None and (shard := shard_of_task()) is not None:
        options["shard"] = shard
        print_note(f"as a task of an array, this uses the lines of --shard {shard[0]}/{shard[1]}")
    options["delimiter"] = args.delimiter or ("\t" if is_tsv else None)
    options["retry_timeouts"] = args.retry_timeouts or None
    if args.poll_every is not None:
        options["poll_every"] = args.poll_every
    if args.max_cool_down is not None:
        options["max_cool_down"] = args.max_cool_down
    return options


@contextmanager
def _without_request_warnings(args: argparse.Namespace) -> Iterator[None]:
    """Without -v, suppress the warnings about single requests."""
    loggers = [] if args.verbose else [logging.getLogger(name) for name in _PER_REQUEST_LOGGERS]
    former = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, former, strict=True):
            logger.setLevel(level)


class _ProgressWatcher:
    """Shows the progress of a run: lines on a terminal, else a line on standard error now and then."""

    def __init__(self, source: str, output: str) -> None:
        self._source = source
        self._output = output
        self._latest: Snapshot | None = None
        self._printed_at = time.monotonic()

    def __call__(self, snapshot: Snapshot) -> None:
        """Take the latest state."""
        self._latest = snapshot
        if not progress.is_enabled() and time.monotonic() - self._printed_at >= PROGRESS_INTERVAL_S:
            self._printed_at = time.monotonic()
            print_note(batch_progress.line(snapshot))

    def so_far(self) -> str:
        """The number of requests that are done, for a message; empty before it is known."""
        return "" if self._latest is None else f"at least {self._latest.done:,} of {count(self._latest.total, 'request')} done; "

    def work(self) -> dict[str, Any] | None:
        """What the batch works on, for ``llm-sync status``; None before it is known."""
        return None if self._latest is None else batch_progress.work(self._latest, self._output)

    def rows(self, requests: InFlightRequests) -> Sequence[progress.Row]:
        """The lines on a terminal."""
        if self._latest is None:  # a long input and its journal take a while to read
            return [("reading", self._source)]
        return batch_progress.rows(self._latest, requests)


def _print_summary(args: argparse.Namespace, output: Output, summary: Summary) -> int:
    """Print the result of the run, return the exit status."""
    unfit = summary.unfit(max_error_rate=args.max_error_rate, fail_on_truncated=args.fail_on_truncated)
    if args.json:
        output.write(json.dumps({**summary.to_dict(), "unfit": unfit}, ensure_ascii=False))
    elif not settings.quiet:
        _write_lines(output, batch_summary.summary_lines(summary, output.width, failed_list=args.failed))
    elif summary.failed:
        print_error(batch_summary.failure_line(summary))
    for provider, reason in summary.held.items():
        lane = summary.lanes[provider]
        left = lane.total - lane.done
        unsent = f"{left:,} of its requests {'was' if left == 1 else 'were'} not sent"
        why = reason if reason.startswith(f"{provider}/") else f"{provider}: {reason}"
        print_error(f"{why.removesuffix('.')}; {unsent}. Fix this and run the same command again.")
    if unfit is not None:
        print_error(f"the run exceeds its limit: {unfit}")
        return exit_codes.UNFIT
    if not summary.failed or summary.is_submitted:
        return exit_codes.ANSWERED
    return exit_codes.MIXED if summary.tally.answered else _status_of_first_failure(summary)


def _write_lines(output: Output, lines: list[str]) -> None:
    """Write the lines at once; a terminal gets them wrapped between words."""
    width = output.width
    output.write("\n".join(lines if width is None else (wrap(line, width, hanging="  ") for line in lines)))


def _status_of_first_failure(summary: Summary) -> int:
    name = next((name for name, count in summary.tally.failed.items() if count), "") or next(iter(summary.held_by.values()), "")
    kind = getattr(errors, name, LLMConnectorError)
    return status_of(kind(""))


def _print_dry_run(args: argparse.Namespace, output: Output, result: batch.DryRun) -> int:
    """Print what a run would do; return the exit status of the first problem that would stop it."""
    if args.json:
        output.write(json.dumps(result.to_dict(), ensure_ascii=False))
    else:
        _write_lines(output, batch_dry_run.dry_run_lines(result, output.width))
        for problem in result.problems:
            print_error(str(problem))
    return status_of(result.problems[0]) if result.problems else exit_codes.ANSWERED


def _merge(args: argparse.Namespace, outputs: list[str]) -> int:
    """Combine finished outputs."""
    if not outputs:
        raise UsageError("merge needs the outputs to combine: llm-sync batch merge OUTPUT ... -o FILE")
    defaults, _ = args.parser.parse_known_args(["merge", "-o", args.output])
    given = [name for name, value in vars(defaults).items() if name not in ("input", "json") and getattr(args, name) != value]
    if given:
        raise UsageError(f"--{given[0].replace('_', '-')} does not apply to merge, which takes finished outputs and -o")
    try:
        result = batch.merge(outputs, args.output)
    except OSError as error:
        raise UsageError(f"{error.filename or args.output!r} cannot be merged: {error.strerror or error}") from error
    with open_output(None) as output:
        if args.json:
            output.write(json.dumps(result.to_dict(), ensure_ascii=False))
        elif not settings.quiet:
            _write_lines(output, [batch_merge.merged_line(result, args.output)])
    if result.missing_count:
        print_error(batch_merge.missing_line(result))
        return exit_codes.MIXED
    return exit_codes.ANSWERED


def _explain(args: argparse.Namespace, error: OSError) -> Exception:
    """A UsageError if the error concerns a file that the command line names."""
    reason = error.strerror or str(error)
    if error.filename == args.input[0]:
        return UsageError(f"INPUT {args.input[0]!r} cannot be read: {reason}")
    if args.failed is not None and error.filename in (
        args.failed,
        os.path.realpath(args.failed),
        os.path.dirname(os.path.realpath(args.failed)),
    ):
        return UsageError(f"--failed {args.failed!r} cannot be written: {reason_for(error, args.failed)}")
    path = error.filename.removesuffix(".part") if isinstance(error.filename, str) else None
    if path == args.output or (path and os.path.realpath(args.output).startswith(path)):
        return UsageError(f"--output {args.output!r} cannot be written: {reason_for(error, args.output)}")
    return error
