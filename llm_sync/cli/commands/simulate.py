"""``llm-sync simulate``: the simulator on a port, or around a command."""

from __future__ import annotations

import argparse
import errno
from typing import TYPE_CHECKING, Any

from llm_sync.cli import exit_codes
from llm_sync.cli.console.output import Output, opened
from llm_sync.cli.console.streams import note
from llm_sync.cli.options.argument_parser import UsageError
from llm_sync.machine.status import publish_command
from llm_sync.simulator.command import run_command, serve
from llm_sync.simulator.server.routes import BASES

if TYPE_CHECKING:
    from llm_sync.simulator import Simulator


def run(args: argparse.Namespace) -> int:
    """Serve until interrupted, or run a command beside the simulator and return its status."""
    child = args.child[1:] if args.child[:1] == ["--"] else args.child
    if args.child and not child:
        raise UsageError("no command follows the --: name one, or leave the -- out to serve until Ctrl-C")
    if args.replay_else != "refuse" and args.replay is None:
        raise UsageError("--replay-else says what is not in a run: name the run with --replay")
    status = publish_command("llm-sync simulate")
    try:
        if child:
            return run_command(child, **_options(args))
        with opened(None) as output:
            serve(lambda simulator: _announce(output, simulator, args), **_options(args))
    except KeyboardInterrupt as stop:  # the usual end
        return exit_codes.status_of(stop)
    except OSError as error:
        if args.log is not None and error.filename == args.log:
            raise UsageError(f"the log {args.log!r} cannot be written: {error.strerror}") from None
        if error.errno not in (errno.EADDRINUSE, errno.EACCES) or error.filename is not None:
            raise
        raise UsageError(f"port {args.port} cannot be listened on: {error.strerror}; name another, or 0 for a free one") from None
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
    """The address alone on standard output, for scripts; how to use it on standard error."""
    width = max(map(len, BASES))
    keys = "with the keys given" if args.accept_key else "with any key"
    lines = [f"simulating until Ctrl-C, {keys}; the base_url by type:"]
    lines += [f"  {kind:{width}}  {simulator.root}{base}" for kind, base in BASES.items()]
    if args.recorded is not None:
        lines.append(f"Each of {len(simulator.recorded)} recorded exchanges, with what its type has behind it (/v1 …):")
        lines.append(f"  {simulator.root}/recorded/PROVIDER/NAME")
    if simulator.ca_path is not None:
        lines.append(f"The CA file to trust, as ca_bundle or SSL_CERT_FILE: {simulator.ca_path}")
    note("\n".join([*lines, "To run a command with a configuration for it: llm-sync simulate -- COMMAND"]))
    output.write(simulator.root)
