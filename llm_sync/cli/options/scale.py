"""The options that say where a batch's requests are made, and which part of the limits is this run's."""

from __future__ import annotations

import argparse

from llm_sync.cli.options.argument_parser import Parser
from llm_sync.cli.options.argument_types import nonempty


def add_scale_options(parser: Parser) -> None:
    """Add them to the parser."""
    group = parser.add_argument_group("more than one process")
    group.add_argument(
        "--on",
        type=_engine,
        metavar="ENGINE",
        help="make the requests in other processes: processes:N (of this machine), dask (a cluster of this machine, or the one "
        "that the environment names) or dask:ADDRESS (of a scheduler); limits, budgets and journal stay here",
    )
    group.add_argument(
        "--share",
        type=part,
        metavar="I/N",
        help="keep to one of N equal shares of concurrency, paces, budgets and --max-cost, as N runs on different machines share "
        "them; run I of N",
    )


def part(argument: str) -> tuple[int, int]:
    """I/N as two numbers."""
    number, slash, parts = argument.partition("/")
    if not slash or not number.isdecimal() or not parts.isdecimal() or not 1 <= int(number) <= int(parts):
        raise argparse.ArgumentTypeError(f"{argument!r} is not I/N with I from 1 to N")
    return int(number), int(parts)


def _engine(argument: str) -> str:
    """The name of an engine; llm_sync.engines reads it again."""
    kind, colon, value = nonempty(argument).partition(":")
    fits = value.isdecimal() and 1 <= int(value) <= 1024 if kind == "processes" else kind == "dask" and bool(value) == bool(colon)
    if not fits:
        raise argparse.ArgumentTypeError(f"{argument!r} is neither processes:N, dask nor dask:ADDRESS")
    return argument
