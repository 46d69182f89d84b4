"""The one parser: help, man page and completions come from it. Imports the standard library only, and little of that."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any

from llm_sync.cli import options
from llm_sync.cli.arguments import Parser

COMMANDS = {
    "generate": "send a prompt to one or several models and print the answers",
    "models": "list the models each configured provider serves",
    "run-script": "run a script written for openai, anthropic or litellm on llm-sync",
    "simulate": "serve simulated providers on this machine, for rehearsals and tests",
}
"""Every command, in the order that help shows them. Its options stand in options/, its work beside this file."""

_DESCRIPTION = (
    "Ask any LLM provider from a script, a pipe or a terminal: OpenAI, Anthropic, Gemini, OpenRouter and every "
    "OpenAI-compatible server. One blocking call per question, no streaming, answers checked before they are printed."
)

_EPILOG = (
    "Answers go to standard output, everything else to standard error. "
    "Run 'llm-sync COMMAND --help' for a command's own options and the exit statuses."
)


class _Command(Parser):
    """A command's parser, which learns its options when they are asked for: most runs need those of one command."""

    name = ""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """As ArgumentParser's, which calls it for the one command that is given."""
        self.complete()
        return super().parse_known_args(args, namespace)

    def complete(self) -> None:
        """Learn the options, once."""
        if self.name:
            name, self.name = self.name, ""
            options.verbosity(self, "verbose_too")  # after the command, too, where people look for it
            import_module(f"llm_sync.cli.options.{name.replace('-', '_')}").add(self)


def parse(argv: list[str]) -> argparse.Namespace:
    """The command line's options; ``command`` is None only beside ``version``. Raises UsageError."""
    parser = build_parser(complete=False)
    args, unknown = parser.parse_known_args(argv)
    if args.version:
        return args
    if args.command is None:
        parser.error("name a command" if not unknown else f"unknown option {unknown[0]}")
    args.verbose += args.verbose_too
    if unknown:
        args.parser.error(_unknown(args.parser, unknown[0]))
    return args


def _unknown(parser: Parser, word: str) -> str:
    if not word.startswith("-"):
        return f"{word!r} stands apart from the arguments before it: put options before or after all of them"
    from difflib import get_close_matches

    name = word.partition("=")[0]
    near = get_close_matches(name, parser._option_string_actions, n=1)  # noqa: SLF001  (ArgumentParser's, a base class)
    return f"unknown option {name}" + (f", did you mean {near[0]}?" if near else "; a prompt that begins with a dash follows --")


def build_parser(*, complete: bool = True) -> Parser:
    """The whole command line, as argparse sees it; not ``complete``, it learns a command's options when that is parsed."""
    parser = Parser(prog="llm-sync", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    options.verbosity(parser, "verbose")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands", parser_class=_Command)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        command.name = name
        command.set_defaults(parser=command)
        if complete:
            command.complete()
    return parser
