"""Parse, set up logging, run the command, and turn whatever ends it into an exit status and a line on standard error."""

from __future__ import annotations

import gc
import importlib
from argparse import Namespace

from llm_sync.cli import exit_codes
from llm_sync.cli.console import streams
from llm_sync.cli.options.argument_parser import UsageError
from llm_sync.cli.parser import parse
from llm_sync.cli.signals import HungUp, Interruptible, Terminated


def run(argv: list[str]) -> int:
    """Run a command line and return its exit status."""
    streams.manner = streams.Manner()
    with Interruptible():
        try:
            args = _parsed(argv)
            _set_manner(args)
            if args.version:
                return _version(args)
            return streams.finished(_run(args))
        except SystemExit as stop:  # argparse's way to end after --help
            return streams.finished(stop.code if isinstance(stop.code, int) else exit_codes.UNEXPECTED)
        except KeyboardInterrupt as stop:
            hung_up = isinstance(stop, HungUp)
            streams.complain("hung up" if hung_up else "terminated" if isinstance(stop, Terminated) else "interrupted")
            return exit_codes.status_of(stop)
        except UsageError as error:
            streams.complain(str(error))
            return exit_codes.status_of(error)
        except streams.Unwritable as unwritable:
            return streams.lost(unwritable.error, unwritable.name, unwritable.instead)
        except OSError as error:
            where = f": {error.filename!r}" if error.filename else ""
            streams.complain(f"{error.strerror or error}{where}")
            return exit_codes.UNEXPECTED


def _parsed(argv: list[str]) -> Namespace:
    try:
        return parse(argv)
    except OSError as error:  # --help, with nowhere to go
        raise streams.Unwritable(streams.STDOUT, error) from None
    except UsageError as error:
        given = argv[: argv.index("--")] if "--" in argv else argv
        streams.manner.as_json = "--log-json" in given  # whoever reads JSON reads this, too
        if "--json" not in given:
            raise
        _report(error)
        raise SystemExit(exit_codes.status_of(error)) from None


def _set_manner(args: Namespace) -> None:
    streams.manner.quiet = args.quiet
    streams.manner.as_json = args.log_json
    streams.manner.color = args.color


def _version(args: Namespace) -> int:
    if not args.verbose:
        return streams.say_version()
    from llm_sync.cli.console.versions import versions

    return streams.say_lines(versions())


def _run(args: Namespace) -> int:
    if args.command is None:
        from llm_sync.cli.console import getting_started

        return getting_started.run(args)
    from llm_sync.cli.console import logging_setup  # not needed for --help, nor is what follows
    from llm_sync.cli.console.error_report import report
    from llm_sync.errors import LLMConnectorError

    command = importlib.import_module(f"llm_sync.cli.commands.{args.command.replace('-', '_')}")
    as_records, request_id = getattr(args, "json", False), getattr(args, "id", None)
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
    try:
        with logging_setup.on_stderr(args.verbose, quiet=args.quiet, content=args.log_content):
            return int(command.run(args))
    except LLMConnectorError as error:
        report(error, as_record=as_records, request_id=request_id)
        return exit_codes.status_of(error)
    except UsageError as error:
        if not as_records:
            raise
        _report(error, request_id)
        return exit_codes.status_of(error)


def _report(error: UsageError, request_id: str | None = None) -> None:
    """As a record, for --json."""
    from llm_sync.cli.console.error_report import report
    from llm_sync.errors import LLMConnectorError

    report(LLMConnectorError(str(error)), as_record=True, kind="UsageError", request_id=request_id)
