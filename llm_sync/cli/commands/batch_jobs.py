"""``llm-sync batch jobs OUTPUT``: the open jobs of an unfinished batch, and ``--cancel``."""

from __future__ import annotations

import argparse
import json

from llm_sync.batch.job_listing import open_jobs
from llm_sync.cli import exit_codes
from llm_sync.cli.client_access import open_client
from llm_sync.cli.console.batch_jobs import job_lines
from llm_sync.cli.console.output import open_output
from llm_sync.cli.console.output_settings import settings
from llm_sync.cli.options.argument_parser import UsageError


def run(args: argparse.Namespace, outputs: list[str]) -> int:
    """List the jobs, or cancel them."""
    if len(outputs) != 1:
        raise UsageError("jobs needs one output: llm-sync batch jobs OUTPUT [--cancel]")
    defaults, _ = args.parser.parse_known_args(["jobs", outputs[0]])
    ours = ("input", "json", "cancel", "config")
    given = [name for name, value in vars(defaults).items() if name not in ours and getattr(args, name) != value]
    given = [name for name in given if name in _own_options(args)]
    if given:
        raise UsageError(
            f"--{given[0].replace('_', '-')} does not apply to jobs, which takes the output of a batch, and --cancel"
        )
    with open_output(None) as output, open_client(args) as client:
        jobs = open_jobs(outputs[0], client, cancel=args.cancel)
        if args.json:
            output.write(json.dumps([job._asdict() for job in jobs], ensure_ascii=False))
        elif not settings.quiet:
            output.write("\n".join(job_lines(outputs[0], jobs, cancelled=args.cancel, width=output.width)))
    return exit_codes.ANSWERED


def _own_options(args: argparse.Namespace) -> set[str]:
    """The names of the options of ``batch`` itself; those of every command apply here, too."""
    return {
        action.dest
        for action in args.parser.all_actions()
        if action.option_strings and not getattr(action, "repeated", False) and action.dest != "help"
    }
