"""The command line: ``llm-sync``. Nothing of the library imports this room."""

from __future__ import annotations

import sys


def main(argv: list[str] | None = None) -> int:
    """Run a command line (``sys.argv`` by default) and return its exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    try:
        from llm_sync.cli import streams

        streams.reopen_closed()
        if arguments == ["--version"]:  # answered before argparse is loaded: scripts ask often
            return streams.say_version()
        from llm_sync.cli.run import run

        return run(arguments)
    except KeyboardInterrupt:  # while the modules above were loaded: later ones are run's
        return 130
