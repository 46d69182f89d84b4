"""``llm-sync completion``: the completions that were made from the parser when the package was built."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from llm_sync.cli import exits
from llm_sync.cli.arguments import UsageError
from llm_sync.cli.output import opened


def run(args: Namespace) -> int:
    """Print those of one shell, return the exit status."""
    path = Path(__file__).parent / "completions" / f"llm-sync.{args.shell}"
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise UsageError("the completions are made when the package is built: install it, as in: pip install .") from None
    with opened(None) as output:
        output.write(text)
    return exits.ANSWERED
