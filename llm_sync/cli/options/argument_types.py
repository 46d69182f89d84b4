"""Converters for the values of options: text, ``KEY=VALUE``, numbers in a range.

Each raises argparse.ArgumentTypeError, whose message says what is allowed.
"""

from __future__ import annotations

import argparse
import math
import os
import sys

TYPE_CHECKING = False  # type checkers take it for True; importing typing costs as much as a bare start of Python
if TYPE_CHECKING:
    from collections.abc import Callable


def text(argument: str) -> str:
    """Text in UTF-8, in any locale: Python passes other bytes as lone surrogates."""
    try:
        return os.fsencode(argument).decode("utf-8")
    except UnicodeError:
        raise argparse.ArgumentTypeError(f"{argument!r} is not UTF-8") from None


def visible(argument: str) -> str:
    """Text of at least one visible character: a variable that a script forgot to set must not count as a value."""
    if not argument.strip():
        raise argparse.ArgumentTypeError("it is empty")
    return text(argument)


def nonempty(argument: str) -> str:
    """Text of at least one character."""
    return text(argument) if argument else visible(argument)


def file_name(argument: str) -> str:
    """The name of a file or folder in UTF-8, as Python got it: decoded by the locale, it can be opened in that form only."""
    nonempty(argument)
    return argument


def share(argument: str) -> float:
    """A share from 0 to 1, or a percentage."""
    digits, percent = argument.removesuffix("%"), argument.endswith("%")
    try:
        value = float(digits) / (100 if percent else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{argument!r} is not a share from 0 to 1, or from 0% to 100%")
    return value


def setting(argument: str) -> tuple[tuple[str, ...], str]:
    """KEY=VALUE as the steps of the key and the text of the value: dots separate nested keys, ``\\.`` is a literal dot."""
    name, equals, value = text(argument).partition("=")
    steps = tuple(step.replace("\0", ".") for step in name.replace("\\.", "\0").split("."))
    if not equals or not all(step.strip() for step in steps):
        raise argparse.ArgumentTypeError(f"{argument!r} is not KEY=VALUE")
    return steps, value


def number(kind: type[int | float], expected: str, fits: Callable[[float], bool] | None = None) -> Callable[[str], float]:
    """A converter for the numbers that ``fits`` accepts; ``expected`` describes them."""

    def convert(argument: str) -> float:
        try:
            value = kind(argument)
        except ValueError:
            value = math.nan
        if math.isnan(value) or (fits is not None and not fits(value)):
            raise argparse.ArgumentTypeError(f"{argument!r} is not {expected}")
        return value

    return convert


def above(low: int, high: float) -> Callable[[str], float]:
    """A converter for numbers above low, up to high."""
    return number(float, f"a number above {low}, at most {high:g}", lambda value: low < value <= high)


def between(low: int, high: int, kind: type[int | float] = float) -> Callable[[str], float]:
    """A converter for numbers from low to high."""
    noun = "a whole number" if kind is int else "a number"
    return number(kind, f"{noun} from {low} to {high}", lambda value: low <= value <= high)


WHOLE = number(int, "a whole number")
COUNT = number(int, "a whole number, 0 or more", lambda value: value >= 0)
ABOVE_0 = number(int, "a whole number above 0", lambda value: value > 0)
SECONDS = number(float, "a number of seconds above 0", lambda value: 0 < value < math.inf)


def limit(convert: Callable[[str], float]) -> Callable[[str], int]:
    """A converter for the most lines to use: any number that ``convert`` takes, cut to what Python can count with."""
    return lambda argument: min(int(convert(argument)), sys.maxsize)


def concurrency(argument: str) -> int | str:
    """A number of requests at once, or auto."""
    return argument if argument == "auto" else int(between(1, 1000, int)(argument))
