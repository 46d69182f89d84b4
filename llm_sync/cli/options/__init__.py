"""The options of each command, one file per command, and here those that several share.

Imports the standard library only: help, man page and completions are made from it. A command's file has ``add(parser)``.
What the shared ones mean is read in one place each: ``request`` and ``attempts`` in request.py, ``configuration`` and
``sending`` in client.py.
"""

from __future__ import annotations

from llm_sync.cli.arguments import ABOVE_0, COUNT, SECONDS, WHOLE, Parser, above, between, nonempty, setting, text
from llm_sync.cli.exits import EXIT_CODES


def statuses(*never: int) -> str:
    """The table of exit statuses for a command's help, without those it ``never`` ends with."""
    return "\n".join(["exit status:", *(f"  {code:<3}  {text}" for code, text in EXIT_CODES.items() if code not in never)])


def verbosity(parser: Parser, name: str) -> None:
    """``-v``, counted under ``name``."""
    parser.add_argument(
        "-v", "--verbose", dest=name, action="count", default=0, help="say what requests go through; twice: every step of it"
    )


def configuration(parser: Parser) -> None:
    """Which configuration a command uses."""
    group = parser.add_argument_group("configuration")
    group.add_argument(
        "--config",
        metavar="NAME|PATH",
        help="a file if it has a slash or ends in .yaml or .yml, else a name in the configuration folders "
        "($LLM_SYNC_CONFIG, else default-llms)",
    )
    group.add_argument(
        "--config-dir",
        metavar="DIR",
        help="look for named configurations in DIR alone ($LLM_SYNC_CONFIG_DIR, ./config/llms and the user's own folder)",
    )


def request(parser: Parser) -> None:
    """What a request carries beside its prompt."""
    group = parser.add_argument_group("request")
    system = group.add_mutually_exclusive_group()
    system.add_argument("--system", type=text, metavar="TEXT", help="the system prompt")
    system.add_argument("--system-file", metavar="FILE", help="read the system prompt from FILE")
    group.add_argument(
        "--image",
        action="append",
        type=nonempty,
        metavar="FILE|URL",
        help="put a picture beside the prompt: PNG, JPEG, GIF or WebP; may be repeated",
    )
    group.add_argument(
        "--schema",
        metavar="FILE",
        help="ask for an answer that fits the JSON Schema in FILE, check it, and print the object it is",
    )
    group.add_argument("--temperature", type=between(0, 2), metavar="T", help="sampling temperature, 0 to 2")
    group.add_argument("--top-p", type=between(0, 1), metavar="P", help="nucleus sampling, 0 to 1")
    group.add_argument("--max-tokens", type=ABOVE_0, metavar="N", help="cut the answer after N tokens")
    group.add_argument("--stop", action="append", type=nonempty, metavar="TEXT", help="stop before TEXT; may be repeated")
    group.add_argument("--seed", type=WHOLE, metavar="N", help="ask for a repeatable answer, where the provider can")
    group.add_argument(
        "--set",
        action="append",
        default=[],
        type=setting,
        dest="settings",
        metavar="KEY=VALUE",
        help="send a parameter of the provider's own, such as top_k=40 or a.b=1, which is the same as a={b: 1}; may be repeated",
    )


def attempts(parser: Parser) -> None:
    """How long and how often to try."""
    group = parser.add_argument_group("time and retries")
    group.add_argument("--timeout", type=SECONDS, metavar="SECONDS", help="give one attempt SECONDS, connecting included (120)")
    group.add_argument("--deadline", type=SECONDS, metavar="SECONDS", help="give a request SECONDS in all, waits included (600)")
    group.add_argument("--max-retries", type=COUNT, metavar="N", help="try again up to N times (3)")


def sending(parser: Parser) -> None:
    """How requests are sent beside each other, and what is refused."""
    group = parser.add_argument_group("sending")
    group.add_argument(
        "--concurrency", type=between(1, 1000, int), metavar="N", help="send each provider up to N requests at once (1)"
    )
    group.add_argument(
        "--requests-per-minute", type=above(0, 1e9), metavar="N", help="send each provider at most N attempts a minute (no limit)"
    )
    group.add_argument("--fail-fast", action="store_true", help="send nothing more once a request has failed")
    group.add_argument("--strict", action="store_true", help="refuse what would be adjusted, and truncated answers")
    group.add_argument(
        "--strict-streaming", action="store_true", help="refuse streaming switches instead of leaving them out with a warning"
    )
