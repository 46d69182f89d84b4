"""The options of ``llm-sync simulate``."""

from __future__ import annotations

import argparse

from llm_sync.cli.arguments import WHOLE, Parser, between, visible

_EXAMPLES = """\
Without COMMAND it serves until Ctrl-C and prints its address. COMMAND finds a configuration for the simulator by itself, so \
that 'llm-sync generate' just works in it; of one that it names itself, the providers that are not on this machine are \
answered by the simulator, and none of their keys is read. The exit status is COMMAND's, 128 and the signal's number when a \
signal ended it, 126 when it cannot be run, 127 when there is no such command. A key with "wrong" or "invalid" in it is always \
refused.

Answers are made up from model, messages and seed unless a file says otherwise: one that maps prompts to answers, or an \
earlier run that is to be repeated offline. Each recorded exchange is served under /recorded/PROVIDER/NAME (docs/simulator.md).

A script says what happens to which request: faults, delays, limits (docs/testing.md). These come along: calm, rate-limited, \
bad-day, hostile. While it serves, /_simulator/summary and /_simulator/log tell what was asked and what became of it.

examples:
  llm-sync simulate -- \\
    llm-sync generate "Say hello"
  llm-sync simulate -- python report.py
  llm-sync simulate --script bad-day --log seen.jsonl -- \\
    python report.py
  llm-sync simulate --replay last-night.jsonl -- \\
    python report.py
  llm-sync simulate --port 8080
"""


def add(parser: Parser) -> None:
    """Give the parser the options."""
    parser.add_argument(
        "--port",
        type=between(0, 65535, int),
        default=0,
        metavar="N",
        help="listen on port N of 127.0.0.1 (0: any free one)",
    )
    parser.add_argument(
        "--latency", type=between(0, 86400), default=0.0, metavar="SECONDS", help="take SECONDS for each answer (0)"
    )
    parser.add_argument("--seed", type=WHOLE, default=0, metavar="N", help="vary the answers by N (0)")
    parser.add_argument("--accept-key", action="append", metavar="KEY", help="refuse every key but KEY; may be repeated (none)")
    parser.add_argument("--script", type=visible, metavar="NAME|FILE", help="behave as a script says (well, and at once)")
    parser.add_argument(
        "--answers", type=visible, metavar="FILE", help="answer the prompts in FILE as it says, YAML or JSON (made-up answers)"
    )
    parser.add_argument(
        "--replay", type=visible, metavar="FILE", help="answer as the run that a batch wrote to FILE, errors too, by request hash"
    )
    parser.add_argument(
        "--replay-else",
        choices=("refuse", "answer"),
        default="refuse",
        metavar="WHAT",
        help="for a request that is not in the run: refuse it with status 404, or answer it as otherwise (refuse)",
    )
    parser.add_argument(
        "--recorded", type=visible, metavar="DIR", help="serve the recorded exchanges in DIR too, PROVIDER/NAME.json each"
    )
    parser.add_argument("--log", type=visible, metavar="FILE", help="append every request to FILE, as JSON Lines")
    parser.add_argument("--tls", action="store_true", help="speak https, with a certificate made for this run")
    parser.add_argument(
        "child", nargs=argparse.REMAINDER, metavar="COMMAND", help="run COMMAND with a configuration for the simulator, then stop"
    )
    parser.epilog = _EXAMPLES
