"""The entry point of ``llm-sync``: loads little before the command line is known."""

from __future__ import annotations

import gc
import sys


def main(argv: list[str] | None = None) -> int:
    """Run a command line (``sys.argv`` by default) and return its exit status."""
    if argv is not None:
        return _run(argv)
    # In a process of its own, nothing that is loaded becomes garbage, yet the collector would search it again and again, and
    # twice more at exit: a fifth of the CPU time of ``llm-sync generate``. It is enabled again before a command runs.
    gc.disable()
    try:
        return _run(sys.argv[1:])
    finally:
        gc.freeze()


def _run(arguments: list[str]) -> int:
    try:
        from llm_sync.cli.console import streams

        streams.reopen_closed()
        if arguments == ["--version"]:  # answered without loading argparse: scripts ask often
            from llm_sync.cli.console.stdout import print_version

            return print_version()
        from llm_sync.cli.command_line import run

        return run(arguments)
    except KeyboardInterrupt:  # while the modules above are loaded; run handles later ones
        return 130
