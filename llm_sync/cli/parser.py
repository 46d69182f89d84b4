"""The one parser: help, man page and completions come from it. Imports the standard library only, and little of that."""

from __future__ import annotations

import argparse
from importlib import import_module

from llm_sync.cli import options
from llm_sync.cli.options.argument_parser import Parser

TYPE_CHECKING = False  # what type checkers take for True; typing itself costs as much as a bare start of Python
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

COMMANDS = {
    "generate": "send a prompt to one or several models and print the answers",
    "batch": "send a file of requests and write the answers in the same order; can be killed and resumed",
    "models": "list the models that each configured provider serves",
    "configs": "list the configurations that are found and what is in them",
    "show": "show a configuration as it is used, and where each value comes from",
    "validate": "check configurations and the keys they need",
    "init": "create a folder of example configurations to start from",
    "status": "show what llm-sync processes on this machine are doing",
    "run-script": "run a script written for openai, anthropic or litellm on llm-sync",
    "simulate": "run simulated providers on this machine, for rehearsals and tests",
    "completion": "print the completion script for a shell",
}
"""Every command, in the order that help shows them. Its options stand in options/, its work beside this file."""

_DESCRIPTION = (
    "Ask any LLM provider from a script, a pipe or a terminal: OpenAI, Anthropic, Gemini, OpenRouter and every "
    "OpenAI-compatible server. One blocking call per question, no streaming, answers checked before they are printed."
)

_EPILOG = (
    "To begin: make example configurations with 'llm-sync init', then ask: llm-sync generate \"Say hello\". Without a key: "
    'llm-sync simulate -- llm-sync generate "Say hello".\n\n'
    "The options above may also follow the command. Answers go to standard output, everything else to standard error. "
    "Run 'llm-sync COMMAND --help' for a command's own options and the exit statuses."
)


class _Line(Parser):
    """The whole line's parser, which finds words of its own for a command that there is not."""

    words: Sequence[str] = ()

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.dest == "command" and value not in COMMANDS:
            self.error(_no_command(self, value))
        super()._check_value(action, value)


class _Command(Parser):
    """A command's parser, which learns its options when they are asked for: most runs need those of one command."""

    name = ""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """As ArgumentParser's, which calls it for the one command that is given."""
        self.complete()
        return super().parse_known_args(args, namespace)

    def complete(self, *, repeat: bool = True) -> None:
        """Learn the options, once. ``repeat``: show those that may stand before the command, too."""
        if self.name:
            name, self.name = self.name, ""
            import_module(f"llm_sync.cli.options.{name.replace('-', '_')}").add(self)
            options.everywhere(self, after=True, shown=repeat)


def parse(argv: list[str]) -> argparse.Namespace:
    """The command line's options; ``command`` is None beside ``version``, and where none is given. Raises UsageError."""
    parser = build_parser(complete=False)
    parser.words = argv
    args, unknown = parser.parse_known_args(argv)
    if args.list_llm_configs:
        if args.command is not None:
            parser.error("--list-llm-configs is used without a command")
        return parse(["configs" if word == "--list-llm-configs" else word for word in argv])
    args.verbose += args.verbose_too
    if args.debug:
        args.verbose = max(args.verbose, 2)
    if args.quiet and args.verbose:
        parser.error("--quiet and --verbose contradict each other")
    if args.version:
        return args
    if args.command is None and unknown:
        parser.error(_unknown_option(parser, unknown[0]))
    if unknown:
        args.parser.error(_unknown(args.parser, args.command, unknown[0]))
    return args


def _no_command(parser: _Line, word: str) -> str:
    before = list(parser.words[: parser.words.index(word)]) if word in parser.words else []
    option = next((each for each in before if each[:1] == "-" and not _is_known(parser, each)), None)
    if option is not None:  # its value stands where a command would
        return f"unknown option {option} before a command: a command's own options follow it, as in: llm-sync COMMAND {option}"
    near = "--help" if word == "help" else _nearest(word, COMMANDS)
    if near:
        return f"unknown command {word!r}, did you mean {near}?"
    rest = list(parser.words[len(before) :])
    if " " in word or (len(rest) > 1 and not any(each.startswith("-") for each in rest)):
        import shlex

        return f"{word!r} is not a command; to send a prompt: llm-sync generate {shlex.quote(' '.join(rest))}"
    return f"unknown command {word!r}; the commands are {', '.join(COMMANDS)}"


def _unknown(parser: Parser, command: str, word: str) -> str:
    name = word.partition("=")[0]
    if not word.startswith("-"):
        if any(action.nargs == "*" for action in parser.all_actions() if not action.option_strings):
            return f"{word!r} is separated from the arguments before it: put options before or after all of them"
        return f"unexpected argument {word!r}"
    if _is_known(parser, name):
        return f"{name} goes after the command, as in: llm-sync {command} {name}"
    if name in ("--version", "--list-llm-configs"):
        return f"{name} is used without a command"
    told = _unknown_option(parser, name)
    dashed = command == "generate" and told.startswith("unknown") and not told.endswith("?")
    return f"{told}; a prompt that begins with a dash follows --" if dashed else told


def _unknown_option(parser: Parser, word: str) -> str:
    name = word.partition("=")[0]
    if name.removeprefix("--no-").removeprefix("--") in ("stream", "streaming"):
        return f"leave {name} out: llm-sync never streams, an answer comes in one piece"
    near = _nearest(name, parser._option_string_actions)  # noqa: SLF001  (ArgumentParser's, a base class)
    return f"unknown option {name}" + (f", did you mean {near}?" if near else "")


def _is_known(parser: Parser, word: str) -> bool:
    name = word.partition("=")[0]
    known = parser._option_string_actions  # noqa: SLF001  (ArgumentParser's, a base class)
    return name in known or (name[1:2] != "-" and all(f"-{letter}" in known for letter in name[1:]))


def _nearest(word: str, known: Iterable[str]) -> str | None:
    from difflib import get_close_matches

    return next(iter(get_close_matches(word, list(known), n=1)), None)


def build_parser(*, complete: bool = True, repeat: bool = True) -> _Line:
    """The whole command line, as argparse sees it; not ``complete``, it learns a command's options when that is parsed."""
    parser = _Line(prog="llm-sync", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument(
        "--version", action="store_true", help="print the version and exit; with -v, the versions of the parts too"
    )
    parser.add_argument("--list-llm-configs", action="store_true", help="the same as the command configs")
    options.everywhere(parser)
    parser.set_defaults(verbose_too=0)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands", parser_class=_Command)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        command.name = name
        command.set_defaults(parser=command)
        if complete:
            command.complete(repeat=repeat)
    return parser


def build_manual() -> _Line:
    """The same for the man page, which shows once what may stand before and after every command."""
    return build_parser(repeat=False)
