"""``llm-sync batch``: a file of requests in, a file of outcomes out; and ``batch merge``."""

from __future__ import annotations

import argparse
import json
import logging
import os
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from llm_sync import batch, errors
from llm_sync.batch import Snapshot, Summary
from llm_sync.cli import exit_codes, request_fields
from llm_sync.cli.client_access import connected
from llm_sync.cli.console import batch_summary, progress, streams
from llm_sync.cli.console.output import Output, opened
from llm_sync.cli.console.streams import YELLOW, complain, note, say, tell
from llm_sync.cli.options.argument_parser import UsageError, fitted
from llm_sync.errors import LLMConnectorError

EVERY_S = 30.0  # between two lines of progress where nobody looks

# What they warn of, the summary counts: a line for each of a million requests would hide all else.
_TALKATIVE = ("llm_sync.requests", "llm_sync.providers", "llm_sync.client.client")


def run(args: argparse.Namespace) -> int:
    """Run, dry-run or merge, and return the exit status."""
    if args.input[0] == "merge":
        return _merge(args, args.input[1:])
    if len(args.input) > 1:
        raise UsageError(f"{args.input[1]!r} is one INPUT too many: finished outputs are put together with 'batch merge'")
    if args.delimiter is not None and args.template is None:
        raise UsageError("--delimiter is for CSV, which needs a --template")
    options = _options(args)
    with opened(None) as output, connected(args) as client, _hushed(args):
        try:
            if args.dry_run:
                return _dry_run(args, output, batch.dry_run(args.input[0], args.output, client, **options))
            watch = _Watch("standard input" if args.input[0] == "-" else args.input[0])
            with progress.shown(client, lambda _: watch.rows()):
                summary = batch.run(args.input[0], args.output, client, progress=watch, **options)
        except KeyboardInterrupt:
            _tell_how_to_go_on(args)
            raise
        except OSError as error:
            raise _unusable(args, error) from error
    return _concluded(args, output, summary)


def _options(args: argparse.Namespace) -> dict[str, Any]:
    """The options as the library takes them."""
    tabs = args.input[0].removesuffix(".gz").endswith(".tsv")
    names = ("text", "template", "limit", "shard", "restart", "skip_bad_lines", "retry_failed", "allow_changed_settings")
    options = {name: getattr(args, name) for name in (*names, "give_up_after", "fail_fast")}
    options.update(request_fields.attempts(args), models=args.model, fields=request_fields.fields(args))
    options["delimiter"] = args.delimiter or ("\t" if tabs else ",")
    options["retry_timeouts"] = args.retry_timeouts or None
    if args.max_cool_down is not None:
        options["max_cool_down"] = args.max_cool_down
    return options


@contextmanager
def _hushed(args: argparse.Namespace) -> Iterator[None]:
    """Without -v, single requests are not spoken of."""
    loggers = [] if args.verbose else [logging.getLogger(name) for name in _TALKATIVE]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


class _Watch:
    """What a person is shown of a run: a few lines on a terminal, a line now and then elsewhere."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._latest: Snapshot | None = None
        self._told_at = time.monotonic()

    def __call__(self, snapshot: Snapshot) -> None:
        """Take the latest state in."""
        self._latest = snapshot
        if not progress.looked_at() and time.monotonic() - self._told_at >= EVERY_S:
            self._told_at = time.monotonic()
            note(batch_summary.line(snapshot))

    def rows(self) -> Sequence[progress.Row]:
        """The lines on a terminal."""
        if self._latest is None:  # a million lines, and what is there of their answers, take a while
            return [("reading", self._source)]
        return batch_summary.rows(self._latest)


def _concluded(args: argparse.Namespace, output: Output, summary: Summary) -> int:
    """Tell what came of it; the exit status."""
    unfit = summary.unfit(max_error_rate=args.max_error_rate, fail_on_truncated=args.fail_on_truncated)
    if args.json:
        output.write(json.dumps({**summary.to_dict(), "unfit": unfit}, ensure_ascii=False))
    elif not streams.manner.quiet:
        _write(output, batch_summary.summary(summary, output.width))
    elif summary.failed:
        complain(batch_summary.failed(summary))
    for provider, reason in summary.held.items():
        lane = summary.lanes[provider]
        complain(f"{provider}: {reason}, so {lane.total - lane.done} are not sent. {batch_summary.FIX}")
    if unfit is not None:
        complain(f"the run exceeds its limit: {unfit}")
        return exit_codes.UNFIT
    if not summary.failed:
        return exit_codes.ANSWERED
    return exit_codes.MIXED if summary.tally.answered else _status_of_first(summary)


def _write(output: Output, lines: list[str]) -> None:
    """In one piece; on a terminal, lines that are too long are broken between words."""
    width = output.width
    output.write("\n".join(lines if width is None else (fitted(line, width, hanging="  ") for line in lines)))


def _status_of_first(summary: Summary) -> int:
    name = next((name for name, count in summary.tally.failed.items() if count), "")
    kind = getattr(errors, name, LLMConnectorError)
    return exit_codes.status_of(kind(""))


def _dry_run(args: argparse.Namespace, output: Output, result: batch.DryRun) -> int:
    """Tell what a run would do; the exit status is that of the first thing that would keep it from that."""
    if args.json:
        output.write(json.dumps(result.to_dict(), ensure_ascii=False))
    else:
        _write(output, batch_summary.dry_run(result, output.width))
        for problem in result.problems:
            complain(str(problem))
    return exit_codes.status_of(result.problems[0]) if result.problems else exit_codes.ANSWERED


def _merge(args: argparse.Namespace, outputs: list[str]) -> int:
    """Put finished outputs together."""
    if not outputs:
        raise UsageError("merge what? Name the finished outputs after it")
    usual, _ = args.parser.parse_known_args(["merge", "-o", args.output])
    given = [name for name, value in vars(usual).items() if name not in ("input", "json") and getattr(args, name) != value]
    if given:
        raise UsageError(f"--{given[0].replace('_', '-')} does not apply to merge, which takes finished outputs and -o")
    try:
        found = batch.merge(outputs, args.output)
    except OSError as error:
        raise UsageError(f"{error.filename or args.output!r} cannot be merged: {error.strerror or error}") from error
    with opened(None) as output:
        if args.json:
            output.write(json.dumps(found.to_dict(), ensure_ascii=False))
        elif not streams.manner.quiet:
            _write(output, [batch_summary.merged(found, args.output)])
    if found.missing_count:
        complain(batch_summary.missing(found))
        return exit_codes.MIXED
    return exit_codes.ANSWERED


def _tell_how_to_go_on(args: argparse.Namespace) -> None:
    """The same command again, without what would begin anew."""
    if args.dry_run or not os.path.exists(f"{os.path.realpath(args.output)}.part"):
        return
    typed = [word for word in sys.argv[1:] if word != "--restart"]
    command = shlex.join(["llm-sync", *typed]) if "batch" in typed else "(the same command again)"
    said = f"all that was answered is in {args.output}.part; to go on:"
    if streams.manner.as_json:
        say(f"{said} {command}", "WARNING", YELLOW)
    else:
        say(said, "WARNING", YELLOW)
        tell(f"  {command}")  # in one piece, to be copied


def _unusable(args: argparse.Namespace, error: OSError) -> Exception:
    """What the command line names and the system refuses."""
    reason = error.strerror or str(error)
    if error.filename == args.input[0]:
        return UsageError(f"INPUT {args.input[0]!r} cannot be read: {reason}")
    where = error.filename.removesuffix(".part") if isinstance(error.filename, str) else None
    if where == args.output or (where and os.path.realpath(args.output).startswith(where)):
        return UsageError(f"--output {args.output!r} cannot be written: {reason}")
    return error
