"""``llm-sync run-script``: a script for another package, run on llm-sync."""

from __future__ import annotations

import argparse
import logging

from llm_sync.compat import script


def run(args: argparse.Namespace) -> int:
    """Run the script and return its exit status. Nothing of it is caught: a traceback is the script's own."""
    logging.getLogger("llm_sync.providers").addFilter(_not_told_by_the_shims)
    return script.run(args.script, args.arguments, args.only)


def _not_told_by_the_shims(record: logging.LogRecord) -> bool:
    """A cut answer is told once, by the shim that hands it on."""
    return record.levelno != logging.WARNING
