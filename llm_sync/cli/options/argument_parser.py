"""What the command line's parsers have in common: help that fits, errors that say where to look, checked values.

Imports the standard library only, and little of that: help, man page and completions are made from it.
"""

from __future__ import annotations

import argparse
import math
import os

TYPE_CHECKING = False  # what type checkers take for True; typing itself costs as much as a bare start of Python
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, NoReturn


class UsageError(Exception):
    """The command line asks for something that cannot be; the message says what and what to do."""


class _Help(argparse.HelpFormatter):
    """Help that fits the terminal: no word is broken, and indented lines are left alone unless they are too long."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=max(columns(1) - 2, 20))

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(fitted(indent + line, width) for line in text.strip("\n").split("\n"))

    def _format_usage(self, usage: Any, actions: Any, *arguments: Any) -> str:
        own = [action for action in actions if not getattr(action, "repeated", False)]  # what stands everywhere is told below
        first, *more = super()._format_usage(usage, own, *arguments).rstrip().split("\n")
        if max(map(len, more), default=0) > self._width:
            more = [f"  {line.lstrip()}" for line in more]
        return "\n".join([first, *more, "", ""])

    def _split_lines(self, text: str, width: int) -> list[str]:
        return fitted(" ".join(text.split()), width).split("\n")

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        return f"{', '.join(action.option_strings)} {self._format_args(action, action.dest.upper())}"

    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        if action.nargs == argparse.REMAINDER:
            return "[ARG ...]" if action.metavar == "ARG" else f"[-- {action.metavar} [ARG ...]]"
        return super()._format_args(action, default_metavar)


def columns(stream: int) -> int:
    """The width of a stream's terminal. As shutil's, which argparse would load, and with it every compression there is."""
    try:
        return int(os.environ["COLUMNS"]) or 80
    except (KeyError, ValueError):
        pass
    try:
        return os.get_terminal_size(stream).columns or 80
    except OSError:
        return 80


def fitted(line: str, width: int, hanging: str = "") -> str:
    """A paragraph, or an indented line of a table or an example: the rest of one that is too long hangs under its text.

    ``hanging``: what the rest of a paragraph is indented by.
    """
    import textwrap  # for help and terminals alone

    text = line.lstrip()
    margin = " " * (len(line) - len(text))
    rest = f"{margin}     " if margin else hanging
    return textwrap.fill(
        text, width, initial_indent=margin, subsequent_indent=rest, break_on_hyphens=False, break_long_words=False
    )


class Parser(argparse.ArgumentParser):
    """Raises UsageError where argparse would print and exit; help goes to standard output or raises what keeps it from it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=_Help, allow_abbrev=False, **options)

    def all_actions(self) -> Iterator[argparse.Action]:
        """Every option and argument, those of commands included."""
        for action in self._actions:
            if isinstance(action.choices, dict):
                for command in action.choices.values():
                    yield from command.all_actions()
            else:
                yield action

    def error(self, message: str) -> NoReturn:
        """Raise what is wrong, and where the right words are."""
        raise UsageError(f"{message}; see '{self.prog} --help'")

    def print_help(self, file: Any = None) -> None:
        """Print the help; unlike argparse's own, this does not swallow a write that fails."""
        print(self.format_help(), end="", file=file)


def text(argument: str) -> str:
    """Text in UTF-8, whatever the locale says: bytes that are not come in as lone surrogates."""
    try:
        return os.fsencode(argument).decode("utf-8")
    except UnicodeError:
        raise argparse.ArgumentTypeError(f"{argument!r} is not UTF-8") from None


def visible(argument: str) -> str:
    """Text of at least one visible character: an unset variable in a script must not pass for a choice."""
    if not argument.strip():
        raise argparse.ArgumentTypeError("it is empty")
    return text(argument)


def nonempty(argument: str) -> str:
    """Text of at least one character."""
    return text(argument) if argument else visible(argument)


def setting(argument: str) -> tuple[tuple[str, ...], str]:
    """KEY=VALUE as the key's steps and the value's text: dots lead into nested mappings, ``\\.`` is a dot."""
    name, equals, value = text(argument).partition("=")
    steps = tuple(step.replace("\0", ".") for step in name.replace("\\.", "\0").split("."))
    if not equals or not all(step.strip() for step in steps):
        raise argparse.ArgumentTypeError(f"{argument!r} is not KEY=VALUE")
    return steps, value


def number(kind: type[int | float], what: str, fits: Callable[[float], bool] | None = None) -> Callable[[str], float]:
    """A converter for numbers that ``fits`` is true for; ``what`` says which these are."""

    def convert(argument: str) -> float:
        try:
            value = kind(argument)
        except ValueError:
            value = math.nan
        if math.isnan(value) or (fits is not None and not fits(value)):
            raise argparse.ArgumentTypeError(f"{argument!r} is not {what}")
        return value

    return convert


def above(low: int, high: float) -> Callable[[str], float]:
    """A converter for numbers above low, up to high."""
    return number(float, f"a number above {low}, at most {high:g}", lambda value: low < value <= high)


def between(low: int, high: int, kind: type[int | float] = float) -> Callable[[str], float]:
    """A converter for numbers from low to high."""
    what = "a whole number" if kind is int else "a number"
    return number(kind, f"{what} from {low} to {high}", lambda value: low <= value <= high)


WHOLE = number(int, "a whole number")
COUNT = number(int, "a whole number, 0 or more", lambda value: value >= 0)
ABOVE_0 = number(int, "a whole number above 0", lambda value: value > 0)
SECONDS = number(float, "a number of seconds above 0", lambda value: 0 < value < math.inf)
