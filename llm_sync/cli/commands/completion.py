"""``llm-sync completion``: the completions that were made from the parser when the package was built."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from llm_sync.cli import exit_codes
from llm_sync.cli.console.output import opened
from llm_sync.cli.options.argument_parser import UsageError


def run(args: Namespace) -> int:
    """Print those of one shell, return the exit status."""
    path = Path(__file__).parents[1] / "completions" / f"llm-sync.{args.shell}"
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise UsageError("the completions are made when the package is built: install it, as in: pip install .") from None
    with opened(None) as output:
        output.write(text)
    return exit_codes.ANSWERED
