"""``llm-sync embed``: the vectors of texts, printed as they come, or written to a file by a run that can be resumed."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from llm_sync.cli import exit_codes, request_fields, signals
from llm_sync.cli.client_access import open_client
from llm_sync.cli.console import embed_text, progress
from llm_sync.cli.console.messages import print_error, print_note
from llm_sync.cli.console.output import Output, open_output
from llm_sync.cli.console.output_files import reason_for
from llm_sync.cli.console.output_settings import settings
from llm_sync.cli.console.resume_hint import ResumeHint
from llm_sync.cli.options.argument_parser import UsageError
from llm_sync.cli.outcome import status_of
from llm_sync.cli.set_option import provider_specific
from llm_sync.errors import LLMConnectorError
from llm_sync.machine.status import set_work

if TYPE_CHECKING:
    from llm_sync.batch.embedding import EmbeddingSummary
    from llm_sync.client.client import LLMClient

_MATRIX = ".npy"
_WITH_OUTPUT = ("restart", "skip_bad_lines", "retry_failed", "max_cool_down")


def run(args: argparse.Namespace) -> int:
    """Embed the texts; return the exit status."""
    texts, is_json = _texts(args)
    if args.output is None:
        given = next((name for name in _WITH_OUTPUT if getattr(args, name)), None)
        if given is not None:
            raise UsageError(f"--{given.replace('_', '-')} is for a run that can be resumed: give it an --output FILE")
        with open_output(None) as output, open_client(args) as client, progress.show_progress(client):
            return _print_vectors(args, client, output, texts, is_json)
    return _write_file(args, texts, is_json)


def _texts(args: argparse.Namespace) -> tuple[Any, bool]:
    """What is embedded, as the library takes it, and whether its lines are objects. Raises UsageError."""
    from llm_sync.batch.embedding.texts import is_json

    if args.texts and args.input is not None:
        raise UsageError("the texts are given twice, as arguments and by --input: keep one")
    if args.texts and args.texts != ["-"]:
        if args.jsonl:
            raise UsageError("--jsonl is for lines of a file: the texts are arguments")
        if len(args.texts) == 1 and os.path.isfile(args.texts[0]):
            print_note(f"{args.texts[0]!r} is taken as a text, though there is a file of this name; for its lines: --input FILE")
        return args.texts, True
    if args.input is None and not args.texts and (sys.stdin is None or sys.stdin.isatty()):
        raise UsageError("no texts: give them as arguments, with --input FILE, or on standard input")
    source = "-" if args.input is None else args.input
    return source, is_json(source, True if args.jsonl else None)


def _options(args: argparse.Namespace) -> dict[str, Any]:
    """The options that both ways have."""
    names = ("dimensions", "input_type", "texts_per_request")
    extras = provider_specific(args.settings) or {}
    return {**{name: getattr(args, name) for name in names}, "provider_specific": extras, **request_fields.attempt_options(args)}


# Printed ------------------------------------------------------------------------------------------------------------


def _print_vectors(args: argparse.Namespace, client: LLMClient, output: Output, given: Any, is_json: bool) -> int:
    """Print the record of each text as soon as it and those before it have one."""
    from llm_sync.batch.embedding.printing import records_of

    count, failures = 0, []
    try:
        with tempfile.TemporaryDirectory(prefix="llm-sync-") as folder:
            for line, error in records_of(given, folder, client, args.model, is_json=is_json, **_options(args)):
                output.write(line)
                count += 1
                failures += [] if error is None else [error]
    except OSError as error:
        raise _explained(args, error) from error
    if not count:
        raise UsageError("there are no texts: the input is empty")
    if not failures:
        return exit_codes.ANSWERED
    print_error(f"no vector for {len(failures):,} of {count:,} texts; the first: {failures[0]}")
    return exit_codes.MIXED if len(failures) < count else status_of(failures[0])


# Written ------------------------------------------------------------------------------------------------------------


def _write_file(args: argparse.Namespace, texts: Any, is_json: bool) -> int:
    """Run the batch form."""
    from llm_sync.batch import embedding

    stem, extension = os.path.splitext(args.output)
    matrix = args.output if extension.lower() == _MATRIX else None
    path = args.output if matrix is None else f"{stem}.jsonl"
    if args.input == path:
        raise UsageError(f"--output {args.output!r} would replace the input: name another file")
    hint = ResumeHint(path)
    more = {name: getattr(args, name) for name in ("restart", "skip_bad_lines", "retry_failed")}
    if args.max_cool_down is not None:
        more["max_cool_down"] = args.max_cool_down
    with open_output(None) as output, open_client(args) as client:
        watcher = embed_text.Watcher(path)
        try:
            signals.second_signal_text = hint.at_once
            set_work(watcher.work)
            with progress.show_progress(client, watcher.rows):
                summary = embedding.embed(
                    texts, path, client, args.model, json=is_json, matrix=matrix, progress=watcher, **more, **_options(args)
                )
        except KeyboardInterrupt:
            hint.print()
            raise
        except OSError as error:
            raise _explained(args, error) from error
        return _print_summary(args, output, summary, matrix)


def _print_summary(args: argparse.Namespace, output: Output, summary: EmbeddingSummary, matrix: str | None) -> int:
    if args.json:
        output.write(json.dumps(summary.to_dict(), ensure_ascii=False))
    elif not settings.quiet:
        lines: Iterable[str] = embed_text.summary_lines(summary)
        output.write("\n".join(lines))
    if summary.stopped is not None:
        print_error(f"{summary.stopped} Nothing more was sent; run the same command again to resume.")
        return status_of(summary.stopped)
    if matrix is not None and not settings.quiet:
        print_note(f"the vectors are in {matrix}, and the records in {summary.output}, from which the same command resumes")
    if not summary.failed:
        return exit_codes.ANSWERED
    if summary.answered:
        return exit_codes.MIXED
    from llm_sync import errors

    kind = getattr(errors, next(iter(summary.failed)), LLMConnectorError)
    return status_of(kind(""))


def _explained(args: argparse.Namespace, error: OSError) -> Exception:
    """A UsageError if the error concerns a file that the command line names."""
    reason = error.strerror or str(error)
    if args.input is not None and error.filename == args.input:
        return UsageError(f"--input {args.input!r} cannot be read: {reason}")
    named = None if args.output is None else os.path.realpath(os.path.splitext(args.output)[0])
    if (
        named is not None
        and isinstance(error.filename, str)
        and os.path.realpath(error.filename).startswith((named, os.path.dirname(named)))
    ):
        return UsageError(f"--output {args.output!r} cannot be written: {reason_for(error, args.output)}")
    return error
