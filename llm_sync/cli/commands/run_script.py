"""``llm-sync run-script``: run a script written for another package on llm-sync."""

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
    """Run the script and return its exit status. Its exceptions are not caught: the traceback is the script's own, and with -v
    that of llm-sync, too."""
    if args.config is not None or args.config_dir is not None:
        os.environ[CONFIG_VARIABLE] = os.path.abspath(ConfigLoader(args.config_dir).find_trusted(args.config))
    if args.route:
        os.environ[ROUTE_VARIABLE] = " ".join(args.route)
    notices.quiet = args.quiet
    logging.getLogger("llm_sync.providers").addFilter(_is_no_warning)
    logging.getLogger("llm_sync.simulated").setLevel(logging.WARNING)  # with --quiet too, as in every command
    return script.run(args.script, args.arguments, args.only, whole_tracebacks=bool(args.verbose))


def _is_no_warning(record: logging.LogRecord) -> bool:
    """The shims warn of truncated answers themselves; the provider's warning would repeat that."""
    return record.levelno != logging.WARNING
