"""The one parser: help, man page and completions come from it. Imports the standard library only, and little of that."""

from __future__ import annotations

import argparse
from importlib import import_module

from llm_sync.cli.options.argument_parser import Parser
from llm_sync.cli.options.global_options import add_global_options

TYPE_CHECKING = False  # type checkers take it for True; importing typing costs as much as a bare start of Python
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

COMMANDS = {
    "generate": "send a prompt to one or several models and print the answers",
    "batch": "send a file of requests and write the answers in the same order; can be killed and resumed",
    "embed": "write the vectors of texts, from arguments, lines or a file; with a file it can be killed and resumed",
    "report": "show what batches came to: figures, scores, comparisons, and tables of the answers",
    "cache": "show, prune, export or import stored answers",
    "history": "list, show, search or delete the conversations that generate has kept",
    "models": "list the models that each configured provider serves",
    "configs": "list the configurations found, with their providers and models",
    "show": "show the values that a configuration results in, and where each comes from",
    "validate": "check configurations and the keys they need",
    "doctor": "find out why requests are not answered here, and say what to do",
    "trust": "allow a configuration in the working folder to use commands, variables and other hosts",
    "init": "create a folder of example configurations to start from",
    "status": "show what the llm-sync processes on this machine are doing",
    "spend": "show what was spent under budgets and tags",
    "run-script": "run a script written for openai, anthropic or litellm on llm-sync",
    "simulate": "run simulated providers on this machine, for tests and dry runs",
    "local": "run a small real model on this machine, without a key",
    "completion": "print the completion script for a shell",
    "help": "explain a command, like --help after it",
}
"""Every command, in the order of the help. Its options are in options/, its code is in commands/ (that of help is here)."""

_DESCRIPTION = (
    "Ask any LLM provider from a script, a pipe or a terminal: OpenAI, Anthropic, Gemini, OpenRouter and every "
    "OpenAI-compatible server. Each request is one blocking call without streaming; answers are checked before they are printed."
)

_EPILOG = (
    "To begin: set the key of a provider, such as OPENAI_API_KEY, and ask: "
    'llm-sync generate -m openai/gpt-4o-mini "Say hello". Without a key: llm-sync simulate -- llm-sync generate "Say hello". '
    "'llm-sync init' creates example configurations.\n\n"
    "These options may also follow the command. Answers go to standard output, everything else to standard error. "
    "Run 'llm-sync help COMMAND' for the options and exit statuses of a command."
)


class _MainParser(Parser):
    """The parser of the whole line, which words the error for an unknown command."""

    words: Sequence[str] = ()

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.dest == "command" and value not in COMMANDS:
            from llm_sync.cli.parser_errors import unknown_command

            self.error(unknown_command(self, list(self.words), value, COMMANDS))
        super()._check_value(action, value)

    def commands(self) -> dict[str, Parser]:
        """The parser of each command."""
        return next(action.choices for action in self._actions if isinstance(action.choices, dict))


class _CommandParser(Parser):
    """A command's parser, which adds its options when they are needed: most runs need those of one command only."""

    name = ""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Like ArgumentParser's, which calls it for the given command only."""
        self.complete()
        if self.takes_cache and args and "--cache" in args:
            from llm_sync.cli.options.cache_use import join_cache_folder

            args = join_cache_folder(args)
        return super().parse_known_args(args, namespace)

    def complete(self) -> None:
        """Add the options, once."""
        if self.name:
            name, self.name = self.name, ""
            import_module(f"llm_sync.cli.options.{name.replace('-', '_')}").add(self)
            add_global_options(self, after=True)


def parse(argv: list[str]) -> argparse.Namespace:
    """The command line's options; ``command`` is None with ``version``, and when no command is given. Raises UsageError."""
    parser = build_parser(complete=False)
    parser.words = argv
    args, unknown = parser.parse_known_args(argv)
    if args.list_llm_configs:
        if args.command is not None:
            parser.error("--list-llm-configs is used without a command")
        return parse(["configs" if word == "--list-llm-configs" else word for word in argv])
    if args.command == "help" and not unknown:
        return parse([args.about, "--help"] if args.about else ["--help"])
    args.verbose += args.verbose_too
    if args.debug:
        args.verbose = max(args.verbose, 2)
    if args.quiet and args.verbose:
        parser.error("--quiet and --verbose contradict each other")
    if unknown and not args.version:
        from llm_sync.cli.parser_errors import unknown_argument, unknown_option

        if args.command is None:
            parser.error(unknown_option(parser, unknown[0]))
        args.parser.error(unknown_argument(args.parser, args.command, unknown[0]))
    return args


def build_parser(*, complete: bool = True) -> _MainParser:
    """The whole command line. Unless ``complete``, a command's options are added when that command is parsed."""
    parser = _MainParser(prog="llm-sync", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument(
        "--version", action="store_true", help="print the version and exit; with -v, also the versions of the dependencies"
    )
    parser.add_argument("--list-llm-configs", action="store_true", help="the same as the command configs")
    add_global_options(parser)
    parser.set_defaults(verbose_too=0)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands", parser_class=_CommandParser)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        command.name = name
        command.set_defaults(parser=command)
        if complete:
            command.complete()
    return parser
