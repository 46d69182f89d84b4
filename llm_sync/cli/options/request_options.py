"""The options of generate and batch: what a request carries, how it is attempted, how requests are sent together."""

from __future__ import annotations

import argparse

from llm_sync.cli.options.argument_parser import Parser
from llm_sync.cli.options.argument_types import (
    ABOVE_0,
    COUNT,
    SECONDS,
    WHOLE,
    above,
    between,
    concurrency,
    nonempty,
    setting,
    text,
    visible,
)
from llm_sync.cli.options.cache_use import add_cache_options
from llm_sync.models import fields

TYPE_CHECKING = False  # type checkers take it for True; importing typing costs as much as a bare start of Python
if TYPE_CHECKING:
    from typing import Any

    from llm_sync.models.fields import RequestField


def add_request_options(parser: Parser) -> None:
    """Add all options that hold for every request of a command."""
    _add_field_options(parser)
    add_sending_groups(parser, answers=True)


def add_sending_groups(parser: Parser, *, answers: bool = False) -> None:
    """Add those that hold for requests of any kind; ``answers``: also those for requests that models answer."""
    _add_attempt_options(parser)
    _add_sending_options(parser, answers=answers)
    add_cache_options(parser)
    _add_money_options(parser)


def _add_field_options(parser: Parser) -> None:
    """What a request carries beside its prompt."""
    group = parser.add_argument_group("request")
    system = group.add_mutually_exclusive_group()
    system.add_argument("-s", "--system", type=text, metavar="TEXT", help="the system prompt")
    system.add_argument("--system-file", metavar="FILE", help="read the system prompt from FILE")
    group.add_argument(
        "--image",
        action="append",
        type=nonempty,
        metavar="FILE|URL",
        help="send an image with the prompt: PNG, JPEG, GIF or WebP; may be repeated",
    )
    group.add_argument(
        "--file",
        action="append",
        type=nonempty,
        metavar="FILE|URL",
        help="send a file with the prompt: a PDF, a text, an image or a recording; may be repeated",
    )
    group.add_argument(
        "--schema",
        metavar="FILE",
        help="ask for JSON that fits the JSON Schema in FILE, check the answer against it, and print it as JSON",
    )
    for field in fields.OPTIONS:
        _add_field_option(group, field)
    group.add_argument(
        "--set",
        action="append",
        default=[],
        type=setting,
        dest="settings",
        metavar="KEY=VALUE",
        help="send a provider-specific parameter, such as top_k=40, or a.b=1 for a={b: 1}; may be repeated",
    )


def _add_field_option(group: argparse._ArgumentGroup, field: RequestField) -> None:
    """The option of one row of the table of request fields."""
    if field.kind == fields.SWITCH:
        group.add_argument(field.option, action="store_const", const=True, dest=field.name, help=field.help)
        return
    more: dict[str, Any] = {"dest": field.name, "metavar": field.metavar, "help": field.help}
    if field.kind == fields.WORD:
        group.add_argument(field.option, choices=field.words, **more)
    elif field.kind == fields.TEXTS:
        group.add_argument(field.option, action="append", type=nonempty, **more)
    elif field.kind == fields.NUMBER:
        group.add_argument(field.option, type=between(field.low or 0, field.high or 1), **more)
    else:
        group.add_argument(field.option, type=WHOLE if field.low is None else ABOVE_0, **more)


def _add_attempt_options(parser: Parser) -> None:
    """How long and how often to try."""
    group = parser.add_argument_group("time and retries")
    group.add_argument("--timeout", type=SECONDS, metavar="SECONDS", help="time limit for one attempt, connecting included (120)")
    group.add_argument(
        "--deadline", type=SECONDS, metavar="SECONDS", help="time limit for a request, retries and waits included (600)"
    )
    group.add_argument("--max-retries", type=COUNT, metavar="N", help="retry a failed request up to N times (3)")


def _add_money_options(parser: Parser) -> None:
    """What the requests may cost, and under which name that is written down."""
    group = parser.add_argument_group("money")
    group.add_argument(
        "--max-cost",
        type=between(0, 999_999),
        metavar="USD",
        help="send nothing that could bring the cost of this command above USD; what is in flight counts in full",
    )
    group.add_argument(
        "--tag", type=visible, metavar="TEXT", help="write down what this costs under TEXT, for 'llm-sync spend --by tag'"
    )


def _add_sending_options(parser: Parser, *, answers: bool) -> None:
    """How many requests are sent at once, and what makes them fail."""
    group = parser.add_argument_group("sending")
    group.add_argument(
        "--concurrency",
        type=concurrency,
        metavar="N",
        help="send each provider up to N requests at once (1); auto: as many as it takes, which is found out",
    )
    group.add_argument(
        "--requests-per-minute",
        type=above(0, 1e9),
        metavar="N",
        help="send each provider at most N attempts per minute (no limit); each process by itself, unless with --machine-wide",
    )
    group.add_argument(
        "--tokens-per-minute",
        type=above(0, 1e12),
        metavar="N",
        help="send each provider about N tokens per minute, input and output together (no limit)",
    )
    group.add_argument(
        "--machine-wide",
        action="store_const",
        const=True,
        help="share --concurrency and both paces among all your processes on this machine",
    )
    if answers:
        group.add_argument(
            "--fail-fast", action="store_true", help="after the first failure send nothing more, but wait for requests in flight"
        )
        group.add_argument(
            "--strict-route", action="store_true", help="of a route (-m NAME, -m A,B) ask the first model only, whatever happens"
        )
    group.add_argument(
        "--strict",
        action="store_true",
        help="fail if a request would be adjusted or an answer is truncated; check all keys first",
    )
    group.add_argument(
        "--strict-streaming", action="store_true", help="fail on streaming switches instead of removing them with a warning"
    )
