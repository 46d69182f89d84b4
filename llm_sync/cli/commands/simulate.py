"""``llm-sync simulate``: run the simulator until Ctrl-C, or for the time of a command."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from typing import TYPE_CHECKING, Any

from llm_sync.cli import exit_codes
from llm_sync.cli.console.messages import print_note
from llm_sync.cli.console.output import Output, open_output
from llm_sync.cli.console.resume_hint import SIMULATE_VARIABLE, simulate_command
from llm_sync.cli.options.argument_parser import UsageError
from llm_sync.cli.options.child_command import child_command
from llm_sync.cli.outcome import status_of
from llm_sync.machine.status import publish_command
from llm_sync.simulator.command import run_command, serve
from llm_sync.simulator.server.routes import BASE_PATHS

if TYPE_CHECKING:
    from llm_sync.simulator import Simulator


def run(args: argparse.Namespace) -> int:
    """Serve until interrupted, or run a command beside the simulator and return its status."""
    child = child_command(args)
    if args.replay_else != "refuse" and args.replay is None:
        raise UsageError("--replay-else needs --replay FILE")
    status = publish_command("llm-sync simulate")
    try:
        if child:
            # A child that prints how to run it again names the simulation, too.
            environ = {**os.environ, SIMULATE_VARIABLE: simulate_command(sys.argv[1:], child)}
            return run_command(child, environ=environ, **_options(args))
        with open_output(None) as output:
            serve(lambda simulator: _announce(output, simulator, args), **_options(args))
    except KeyboardInterrupt as stop:  # the usual way to stop it
        return status_of(stop)
    except OSError as error:
        if args.log is not None and error.filename == args.log:
            raise UsageError(f"the log {args.log!r} cannot be written: {error.strerror}") from None
        if error.errno not in (errno.EADDRINUSE, errno.EACCES) or error.filename is not None:
            raise
        raise UsageError(f"cannot listen on port {args.port}: {error.strerror}; name another port, or 0 for a free one") from None
    finally:
        status.close()
    return exit_codes.ANSWERED


def _options(args: argparse.Namespace) -> dict[str, Any]:
    return {
        "port": args.port,
        "keys": args.accept_key,
        "latency": args.latency,
        "seed": args.seed,
        "script": args.script,
        "answers": args.answers,
        "replay": args.replay,
        "replay_else": args.replay_else,
        "recorded": args.recorded,
        "log": args.log,
        "tls": args.tls,
    }


def _announce(output: Output, simulator: Simulator, args: argparse.Namespace) -> None:
    """Print the address alone on standard output, for scripts, and how to use it on standard error."""
    width = max(map(len, BASE_PATHS))
    keys = "with the given keys" if args.accept_key else "with any key"
    lines = [f"serving until Ctrl-C, {keys}; the base_url by type:"]
    lines += [f"  {kind:{width}}  {simulator.root}{base}" for kind, base in BASE_PATHS.items()]
    if args.recorded is not None:
        lines.append(f"The {len(simulator.recorded)} recorded exchanges, each with the path of its type (/v1 …) appended:")
        lines.append(f"  {simulator.root}/recorded/PROVIDER/NAME")
    if simulator.ca_path is not None:
        lines.append(f"The CA file to trust, with ca_bundle or SSL_CERT_FILE: {simulator.ca_path}")
    print_note("\n".join([*lines, "To run a command against it: llm-sync simulate -- COMMAND"]))
    output.write(simulator.root)
