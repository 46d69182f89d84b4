"""``llm-sync simulate``: the simulator on a port, or around a command."""

from __future__ import annotations

import argparse
import errno

from llm_sync.cli import exits
from llm_sync.cli.arguments import UsageError
from llm_sync.cli.output import Output, opened
from llm_sync.cli.streams import tell
from llm_sync.machine.status import publish_command
from llm_sync.simulator.command import run_command, serve
from llm_sync.simulator.routes import BASES


def run(args: argparse.Namespace) -> int:
    """Serve until interrupted, or run a command beside the simulator and return its status."""
    child = args.child[1:] if args.child[:1] == ["--"] else args.child
    if args.child and not child:
        raise UsageError("no command follows the --: name one, or leave the -- out to serve until Ctrl-C")
    status = publish_command("llm-sync simulate")
    try:
        if child:
            return run_command(child, port=args.port, keys=args.accept_key, latency=args.latency, seed=args.seed)
        with opened(None) as output:
            serve(args.port, args.accept_key, args.latency, args.seed, lambda url: _announce(output, url, args.accept_key))
    except KeyboardInterrupt as stop:  # the usual end
        return exits.status_of(stop)
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES) or error.filename is not None:
            raise
        raise UsageError(f"port {args.port} cannot be listened on: {error.strerror}; name another, or 0 for a free one") from None
    finally:
        status.end()
    return exits.ANSWERED


def _announce(output: Output, url: str, keys: list[str] | None) -> None:
    """The address alone on standard output, for scripts; how to use it on standard error."""
    width = max(map(len, BASES))
    tell(f"llm-sync: simulating until Ctrl-C, {'with the keys given' if keys else 'with any key'}; the base_url by type:")
    for kind, base in BASES.items():
        tell(f"  {kind:{width}}  {url}{base}")
    tell("To run a command with a configuration for it: llm-sync simulate -- COMMAND")
    output.write(url)
