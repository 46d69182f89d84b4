"""The entry point of ``llm-sync``: little is loaded before the command line is known."""

from __future__ import annotations

import gc
import sys


def main(argv: list[str] | None = None) -> int:
    """Run a command line (``sys.argv`` by default) and return its exit status."""
    if argv is not None:
        return _run(argv)
    # A process of its own. Of what it loads nothing is garbage, yet Python looks for some again and again, and twice more at
    # its end: a fifth of the CPU of a whole ``llm-sync generate``. The collector is at work again once a command runs.
    gc.disable()
    try:
        return _run(sys.argv[1:])
    finally:
        gc.freeze()


def _run(arguments: list[str]) -> int:
    try:
        from llm_sync.cli.console import streams

        streams.reopen_closed()
        if arguments == ["--version"]:  # answered before argparse is loaded: scripts ask often
            return streams.say_version()
        from llm_sync.cli.command_line import run

        return run(arguments)
    except KeyboardInterrupt:  # while the modules above were loaded: later ones are run's
        return 130
