"""Standard output: checked before anything is paid for, flushed before success is reported, its failures reported.

Imports next to nothing: ``--version`` loads it.
"""

from __future__ import annotations

import os
import sys

from llm_sync.cli import exit_codes
from llm_sync.cli.console import streams

STDOUT = "standard output"


class Unwritable(Exception):
    """A file or stream cannot be written.

    ``name``: what messages call it; ``error``: the reason; ``instead``: where its content is now, if anywhere.
    """

    def __init__(self, name: str, error: OSError, instead: str = "") -> None:
        super().__init__(name, error, instead)
        self.name = name
        self.error = error
        self.instead = instead


def check_stdout() -> None:
    """Raise Unwritable if standard output is closed: better before anything is paid for."""
    try:
        number = sys.stdout.fileno()
    except (OSError, ValueError):  # not a file, in a test
        return
    try:
        os.write(number, b"")
    except OSError as error:
        raise Unwritable(STDOUT, error) from None


def print_version() -> int:
    """Print what ``--version`` prints, return the exit status."""
    from llm_sync import __version__

    return print_text(f"llm-sync {__version__}")


def print_text(text: str) -> int:
    """Print a text that is the whole output of a command, return the exit status."""
    try:
        print(text)
    except OSError as error:
        return report_unwritable(error)
    return flush_stdout(exit_codes.ANSWERED)


def flush_stdout(status: int) -> int:
    """Flush standard output while a failure can still be reported (a full disk must not look like success).

    Returns the exit status: ``status``, or that of the failure.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        return report_unwritable(error)
    return status


def report_unwritable(error: OSError, name: str = STDOUT, instead: str = "") -> int:
    """Print that ``name`` cannot be written, and where to look ``instead``; nothing if a pipe's reader closed it.

    Returns the exit status.
    """
    if name == STDOUT:
        streams.silence(sys.stdout, 1)
    if isinstance(error, BrokenPipeError):
        return exit_codes.CLOSED_PIPE
    from llm_sync.cli.console.messages import print_error

    print_error(f"{name} cannot be written: {error.strerror or error}" + (f"; {instead}" if instead else ""))
    return exit_codes.UNEXPECTED
