"""Parse, set up logging, run the command, and turn whatever ends it into an exit status and a line on standard error."""

from __future__ import annotations

import gc
import importlib
from argparse import Namespace

from llm_sync.cli import exits, streams
from llm_sync.cli.arguments import UsageError
from llm_sync.cli.parser import parse
from llm_sync.cli.signals import Interruptible, Terminated


def run(argv: list[str]) -> int:
    """Run a command line and return its exit status."""
    with Interruptible():
        try:
            args = _parsed(argv)
            return streams.say_version() if args.version else streams.finished(_run(args))
        except SystemExit as stop:  # argparse's way to end after --help
            return streams.finished(stop.code if isinstance(stop.code, int) else exits.UNEXPECTED)
        except KeyboardInterrupt as stop:
            streams.complain("terminated" if isinstance(stop, Terminated) else "interrupted")
            return exits.status_of(stop)
        except UsageError as error:
            streams.complain(str(error))
            return exits.status_of(error)
        except streams.Unwritable as unwritable:
            return streams.lost(unwritable.error, unwritable.name)
        except OSError as error:
            where = f": {error.filename!r}" if error.filename else ""
            streams.complain(f"{error.strerror or error}{where}")
            return exits.UNEXPECTED


def _parsed(argv: list[str]) -> Namespace:
    try:
        return parse(argv)
    except OSError as error:  # --help, with nowhere to go
        raise streams.Unwritable(streams.STDOUT, error) from None


def _run(args: Namespace) -> int:
    from llm_sync.cli import logs  # not needed for --help, nor are the error classes
    from llm_sync.errors import LLMConnectorError

    command = importlib.import_module(f"llm_sync.cli.{args.command.replace('-', '_')}")
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
    try:
        with logs.on_stderr(args.verbose):
            return int(command.run(args))
    except LLMConnectorError as error:
        streams.complain(str(error))
        return exits.status_of(error)
