"""The argument parser behind the whole command line: help that fits the terminal, errors that name the help to read.

Imports the standard library only, and little of that: help, man page and completions are made from it.
"""

from __future__ import annotations

import argparse

from llm_sync.cli.console import terminal

TYPE_CHECKING = False  # type checkers take it for True; importing typing costs as much as a bare start of Python
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, NoReturn


class UsageError(Exception):
    """The command line asks for something impossible; the message says what, and what to do instead."""


class _HelpFormatter(argparse.HelpFormatter):
    """Help that fits the terminal: no word is broken, and indented lines are left alone unless they are too long."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=max(terminal.width(1) - 2, 20))

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(terminal.wrap(indent + line, width) for line in text.strip("\n").split("\n"))

    def _format_usage(self, usage: Any, actions: Any, *arguments: Any) -> str:
        own = [action for action in actions if not getattr(action, "repeated", False)]  # global options are listed below
        first, *more = super()._format_usage(usage, own, *arguments).rstrip().split("\n")
        if max(map(len, more), default=0) > self._width:
            more = [f"  {line.lstrip()}" for line in more]
        return "\n".join([first, *more, "", ""])

    def _split_lines(self, text: str, width: int) -> list[str]:
        return terminal.wrap(" ".join(text.split()), width).split("\n")

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        return f"{', '.join(action.option_strings)} {self._format_args(action, action.dest.upper())}"

    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        if action.nargs == argparse.REMAINDER:
            return "[ARG ...]" if action.metavar == "ARG" else f"[-- {action.metavar} [ARG ...]]"
        return super()._format_args(action, default_metavar)


class Parser(argparse.ArgumentParser):
    """Raises UsageError where argparse would print and exit; a failure to write the help raises OSError.

    ``takes_cache``: whether it has the option --cache, whose folder may be left out (cache_use.py).
    """

    takes_cache = False

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=_HelpFormatter, allow_abbrev=False, **options)

    def all_actions(self) -> Iterator[argparse.Action]:
        """Every option and argument, those of the commands included."""
        for action in self._actions:
            if isinstance(action.choices, dict):
                for command in action.choices.values():
                    yield from command.all_actions()
            else:
                yield action

    def error(self, message: str) -> NoReturn:
        """Raise UsageError with the message and the help to read."""
        raise UsageError(f"{message}; see '{self.prog} --help'")

    def print_help(self, file: Any = None) -> None:
        """Print the help; unlike argparse's own method, this raises if the write fails."""
        print(self.format_help(), end="", file=file)
