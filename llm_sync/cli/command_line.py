"""Parse the command line, set up logging, run the command, and report what ends it: a line on standard error and a status."""

from __future__ import annotations

import gc
import importlib
from argparse import Namespace

from llm_sync.cli.console import stdout
from llm_sync.cli.console.output_settings import settings
from llm_sync.cli.exit_codes import UNEXPECTED
from llm_sync.cli.options.argument_parser import UsageError
from llm_sync.cli.parser import parse
from llm_sync.cli.signals import HungUp, SignalHandlers, Terminated


def run(argv: list[str]) -> int:
    """Run a command line and return its exit status."""
    settings.reset()
    with SignalHandlers():
        try:
            args = _parse(argv)
            settings.quiet, settings.as_json, settings.color = args.quiet, args.log_json, args.color
            if args.version:
                return _print_version(verbose=bool(args.verbose))
            return stdout.flush_stdout(_run_command(args))
        except SystemExit as stop:  # how argparse ends after --help
            return stdout.flush_stdout(stop.code if isinstance(stop.code, int) else UNEXPECTED)
        except stdout.Unwritable as unwritable:
            return stdout.report_unwritable(unwritable.error, unwritable.name, unwritable.instead)
        except (KeyboardInterrupt, UsageError, OSError) as error:
            return _report_failure(error)


def _parse(argv: list[str]) -> Namespace:
    try:
        return parse(argv)
    except OSError as error:  # --help could not be written
        raise stdout.Unwritable(stdout.STDOUT, error) from None
    except UsageError as error:
        given = argv[: argv.index("--")] if "--" in argv else argv
        settings.as_json = "--log-json" in given  # this error too is for a program that reads JSON
        if "--json" not in given:
            raise
        raise SystemExit(_report_as_record(error)) from None


def _print_version(*, verbose: bool) -> int:
    if not verbose:
        return stdout.print_version()
    from llm_sync.cli.console.versions import versions

    return stdout.print_text(versions())


def _run_command(args: Namespace) -> int:
    if args.command is None:
        from llm_sync.cli.console import getting_started

        return getting_started.run(args)
    from llm_sync.cli.console import logging_setup  # not needed for --help, nor is what follows
    from llm_sync.errors import LLMConnectorError

    command = importlib.import_module(f"llm_sync.cli.commands.{args.command.replace('-', '_')}")
    as_record, request_id = getattr(args, "json", False), getattr(args, "id", None)
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
    try:
        with logging_setup.log_to_stderr(args.verbose, quiet=args.quiet, content=args.log_content):
            return int(command.run(args))
    except LLMConnectorError as error:
        from llm_sync.cli.console.error_report import report
        from llm_sync.cli.outcome import status_of

        report(error, as_record=as_record, request_id=request_id)
        return status_of(error)
    except UsageError as error:
        if not as_record:
            raise
        return _report_as_record(error, request_id)


def _report_failure(error: BaseException) -> int:
    """Print what ended the command, return the exit status."""
    from llm_sync.cli.console.messages import print_error
    from llm_sync.cli.outcome import status_of

    if isinstance(error, KeyboardInterrupt):
        print_error("hung up" if isinstance(error, HungUp) else "terminated" if isinstance(error, Terminated) else "interrupted")
    elif isinstance(error, OSError):
        path = f": {error.filename!r}" if error.filename else ""
        print_error(f"{error.strerror or error}{path}")
    else:
        print_error(str(error))
    return status_of(error)


def _report_as_record(error: UsageError, request_id: str | None = None) -> int:
    """Print the error as --json prints errors, return the exit status."""
    from llm_sync.cli.console.error_report import report
    from llm_sync.cli.outcome import status_of
    from llm_sync.errors import LLMConnectorError

    report(LLMConnectorError(str(error)), as_record=True, kind="UsageError", request_id=request_id)
    return status_of(error)
