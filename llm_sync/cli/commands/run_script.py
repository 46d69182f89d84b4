"""``llm-sync run-script``: a script for another package, run on llm-sync."""

from __future__ import annotations

import argparse
import logging
import os

from llm_sync.compat.redirect import script
from llm_sync.compat.shim import notices
from llm_sync.compat.shim.settings import ROUTE_VARIABLE
from llm_sync.config.loader import ConfigLoader
from llm_sync.config.search_path import CONFIG_VARIABLE


def run(args: argparse.Namespace) -> int:
    """Run the script and return its exit status. Nothing of it is caught: a traceback is the script's own."""
    if args.config is not None or args.config_dir is not None:
        os.environ[CONFIG_VARIABLE] = os.path.abspath(ConfigLoader(args.config_dir).find(args.config))
    if args.route:
        os.environ[ROUTE_VARIABLE] = " ".join(args.route)
    notices.quiet = args.quiet
    logging.getLogger("llm_sync.providers").addFilter(_not_told_by_the_shims)
    logging.getLogger("llm_sync.simulated").setLevel(logging.WARNING)  # with --quiet too, as every command has it
    return script.run(args.script, args.arguments, args.only)


def _not_told_by_the_shims(record: logging.LogRecord) -> bool:
    """A cut answer is told once, by the shim that hands it on."""
    return record.levelno != logging.WARNING
