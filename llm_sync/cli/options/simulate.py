"""The options of ``llm-sync simulate``."""

from __future__ import annotations

from llm_sync.cli.options.argument_parser import Parser
from llm_sync.cli.options.argument_types import WHOLE, between, visible
from llm_sync.cli.options.child_command import add_child_option, add_port_option

_EXAMPLES = """\
Without COMMAND the simulator prints its address and serves until Ctrl-C. COMMAND gets a configuration for the simulator, so \
that 'llm-sync generate' works in it without another one. If COMMAND names a configuration itself, the simulator answers \
instead of its providers, except those on this machine, and none of their keys is read. A key that contains \
"wrong" or "invalid" is always refused.

Answers are generated from model, messages and seed, unless --answers or --replay provides them. Recorded exchanges are served \
under /recorded/PROVIDER/NAME (docs/simulator.md).

A script defines what happens to which request: faults, delays, limits (docs/testing.md). Included are calm, rate-limited, \
bad-day and hostile. While the simulator serves, /_simulator/summary and /_simulator/log show the requests and their answers.

examples:
  llm-sync simulate -- \\
    llm-sync generate "Say hello"
  llm-sync simulate -- python report.py
  llm-sync simulate --script bad-day --log seen.jsonl -- \\
    python report.py
  llm-sync simulate --replay last-night.jsonl -- \\
    python report.py
  llm-sync simulate --port 8080

exit status:
  N    COMMAND's own; 128 plus the signal's number if a signal ended it
  2    the command line, or a file that it names, is wrong
  126  COMMAND cannot be run
  127  there is no such COMMAND
  130  interrupted (Ctrl-C)
  143  terminated (SIGTERM)
"""


def add(parser: Parser) -> None:
    """Add the options to the parser."""
    add_port_option(parser)
    parser.add_argument(
        "--latency", type=between(0, 86400), default=0.0, metavar="SECONDS", help="wait SECONDS before each answer (0)"
    )
    parser.add_argument("--seed", type=WHOLE, default=0, metavar="N", help="vary the generated answers (0)")
    parser.add_argument("--accept-key", action="append", metavar="KEY", help="accept only KEY; may be repeated (any key)")
    parser.add_argument(
        "--script",
        type=visible,
        metavar="NAME|FILE",
        help="follow a script of faults, delays and limits (none: every request is answered at once)",
    )
    parser.add_argument(
        "--answers", type=visible, metavar="FILE", help="take answers from FILE, which maps prompts to answers in YAML or JSON"
    )
    parser.add_argument(
        "--replay",
        type=visible,
        metavar="FILE",
        help="repeat the answers and errors in the batch output FILE; requests are matched by their hash. If FILE is a folder of "
        "stored answers (--cache, llm_recorded), repeat those, matched by the payload",
    )
    parser.add_argument(
        "--replay-else",
        choices=("refuse", "answer"),
        default="refuse",
        metavar="WHAT",
        help="for a request that is not in the --replay file: refuse it (status 404), or answer with a generated text (refuse)",
    )
    parser.add_argument(
        "--recorded",
        type=visible,
        metavar="DIR",
        help="also serve the recorded exchanges in DIR, from files named PROVIDER/NAME.json",
    )
    parser.add_argument("--log", type=visible, metavar="FILE", help="append every request to FILE, as JSON Lines")
    parser.add_argument("--tls", action="store_true", help="serve HTTPS, with a certificate generated for this run")
    add_child_option(parser, "against the simulator")
    parser.epilog = _EXAMPLES
