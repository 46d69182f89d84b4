"""``llm-sync local``: serve a small real model until Ctrl-C, or for the time of a command."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from llm_sync.cli import exit_codes
from llm_sync.cli.console.messages import print_note
from llm_sync.cli.console.output import Output, open_output
from llm_sync.cli.options.child_command import child_command
from llm_sync.cli.outcome import status_of
from llm_sync.local.command import run_command, serve
from llm_sync.machine.status import publish_command

if TYPE_CHECKING:
    from llm_sync.local import LocalModel


def run(args: argparse.Namespace) -> int:
    """Serve until interrupted, or run a command beside the model and return its status."""
    child = child_command(args)
    status = publish_command("llm-sync local")
    try:
        if child:
            return run_command(child, model=args.model, port=args.port)
        with open_output(None) as output:
            serve(lambda local: _announce(output, local), model=args.model, port=args.port)
    except KeyboardInterrupt as stop:  # the usual way to stop it
        return status_of(stop)
    finally:
        status.close()
    return exit_codes.ANSWERED


def _announce(output: Output, local: LocalModel) -> None:
    """Print the base URL alone on standard output, for scripts, and how to use it on standard error."""
    print_note(
        f"serving {local.model} until Ctrl-C, without a key; the base_url of type openai:\n"
        "To run a command with it: llm-sync local -- COMMAND"
    )
    output.write(local.base_url)
