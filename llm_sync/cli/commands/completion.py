"""``llm-sync completion``: print the completion script that was generated from the parser when the package was built."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from llm_sync.cli import exit_codes
from llm_sync.cli.console.output import open_output
from llm_sync.cli.options.argument_parser import UsageError


def run(args: Namespace) -> int:
    """Print the script for a shell, return the exit status."""
    path = Path(__file__).parents[1] / "completions" / f"llm-sync.{args.shell}"
    try:
        script = path.read_text("utf-8")
    except FileNotFoundError:
        raise UsageError("the completions are generated when the package is built: install it with pip install .") from None
    with open_output(None) as output:
        output.write(script)
    return exit_codes.ANSWERED
