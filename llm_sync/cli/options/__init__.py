"""The options of each command, one file per command, and here those that several share.

Imports the standard library only: help, man page and completions are made from it. A command's file has ``add(parser)``.
What the shared ones mean is read in one place each: ``request`` and ``attempts`` in request.py, ``configuration``,
``sending`` and --config-dir in client.py, what stands ``everywhere`` in run.py.
"""

from __future__ import annotations

import argparse

from llm_sync.cli.exit_codes import EXIT_CODES
from llm_sync.cli.options.argument_parser import (
    ABOVE_0,
    COUNT,
    SECONDS,
    WHOLE,
    Parser,
    above,
    between,
    nonempty,
    setting,
    text,
    visible,
)
from llm_sync.models import fields

TYPE_CHECKING = False  # what type checkers take for True; typing itself costs as much as a bare start of Python
if TYPE_CHECKING:
    from typing import Any

    from llm_sync.models.fields import RequestField


def statuses(*never: int, good: str = EXIT_CODES[0]) -> str:
    """The table of exit statuses for a command's help, without those it ``never`` ends with; ``good`` is what 0 means there."""
    meanings = {**EXIT_CODES, 0: good}
    return "\n".join(["exit status:", *(f"  {code:<3}  {text}" for code, text in meanings.items() if code not in never)])


def everywhere(parser: Parser, *, after: bool = False, shown: bool = True) -> None:
    """The options that may stand before a command and ``after`` it, where a second ``-v`` adds to the first.

    After it they change nothing when they are absent, whatever was given before it.
    """
    group = parser.add_argument_group("global options") if after else parser

    def add(*names: str, default: Any = None, **more: Any) -> None:
        action = group.add_argument(*names, default=argparse.SUPPRESS if after else default, **more)
        action.help = action.help if shown else argparse.SUPPRESS
        action.repeated = after  # type: ignore[attr-defined]  # for the usage line, which leaves it out

    add(
        "--config-dir",
        type=visible,
        metavar="DIR",
        help="look up configuration names in DIR only ($LLM_SYNC_CONFIG_DIR, ./config/llms, your configuration folder)",
    )
    add(
        "-v",
        "--verbose",
        dest="verbose_too" if after else "verbose",
        action="count",
        default=0,
        help="show when requests start and end; -vv shows every step",
    )
    add("--debug", action="store_true", default=False, help="the same as -vv")
    add("-q", "--quiet", action="store_true", default=False, help="print errors only, and no progress")
    add("--log-json", action="store_true", default=False, help="write messages as JSON, one object per line")
    add(
        "--log-content",
        action="store_true",
        default=False,
        help="log prompts and answers, too: they are private, and not logged without this",
    )
    add(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="colour messages and headings (auto: on a terminal, unless $NO_COLOR is set)",
    )


def configuration(parser: Parser) -> None:
    """Which configuration a command uses."""
    group = parser.add_argument_group("configuration")
    group.add_argument(
        "--config",
        type=visible,
        metavar="NAME|PATH",
        help="the configuration: a file if it has a slash or ends in .yaml or .yml, else a name to look up in the configuration "
        "folders ($LLM_SYNC_CONFIG, else default-llms)",
    )


def asking(parser: Parser, models: str) -> None:
    """Which configuration, and which of its models; ``models``: what -m means to the command."""
    configuration(parser)
    parser.add_argument("-m", "--model", action="append", default=[], type=visible, metavar="PROVIDER/MODEL", help=models)


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
        help="send a picture with the prompt: PNG, JPEG, GIF or WebP; may be repeated",
    )
    group.add_argument(
        "--schema",
        metavar="FILE",
        help="ask for JSON that fits the JSON Schema in FILE, check the answer against it, and print it as JSON",
    )
    for field in fields.OPTIONS:
        add_field(group, field)
    group.add_argument(
        "--set",
        action="append",
        default=[],
        type=setting,
        dest="settings",
        metavar="KEY=VALUE",
        help="send a provider-specific parameter, such as top_k=40, or a.b=1 for a={b: 1}; may be repeated",
    )


def add_field(group: argparse._ArgumentGroup, field: RequestField) -> None:
    """The option of a request's field, as its row of the table says."""
    more: dict[str, Any] = {"dest": field.name, "metavar": field.metavar, "help": field.help}
    if field.kind == fields.TEXTS:
        group.add_argument(field.option, action="append", type=nonempty, **more)
    elif field.kind == fields.NUMBER:
        group.add_argument(field.option, type=between(field.low or 0, field.high or 1), **more)
    else:
        group.add_argument(field.option, type=WHOLE if field.low is None else ABOVE_0, **more)


def attempts(parser: Parser) -> None:
    """How long and how often to try."""
    group = parser.add_argument_group("time and retries")
    group.add_argument("--timeout", type=SECONDS, metavar="SECONDS", help="time limit for one attempt, connecting included (120)")
    group.add_argument(
        "--deadline", type=SECONDS, metavar="SECONDS", help="time limit for a request, retries and waits included (600)"
    )
    group.add_argument("--max-retries", type=COUNT, metavar="N", help="retry a failed request up to N times (3)")


def sending(parser: Parser) -> None:
    """How requests are sent beside each other, and what is refused."""
    group = parser.add_argument_group("sending")
    group.add_argument(
        "--concurrency", type=between(1, 1000, int), metavar="N", help="send each provider up to N requests at once (1)"
    )
    group.add_argument(
        "--requests-per-minute",
        type=above(0, 1e9),
        metavar="N",
        help="send each provider at most N attempts a minute; each process counts for itself: under xargs use batch (no limit)",
    )
    group.add_argument(
        "--machine-wide",
        action="store_const",
        const=True,
        help="share the --concurrency limit among all your processes on this machine",
    )
    group.add_argument(
        "--fail-fast", action="store_true", help="after the first failure send nothing more, but wait for what is in flight"
    )
    group.add_argument(
        "--strict",
        action="store_true",
        help="fail where a request would be adjusted or an answer is truncated; check all keys first",
    )
    group.add_argument(
        "--strict-streaming", action="store_true", help="fail on streaming switches instead of leaving them out with a warning"
    )


def sent(parser: Parser) -> None:
    """All that holds for every request of a command: what it carries, how it is tried, and how requests go beside each other."""
    request(parser)
    attempts(parser)
    sending(parser)
