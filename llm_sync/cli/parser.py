"""The one parser: help, man page and completions come from it. Imports the standard library only, and little of that."""

from __future__ import annotations

import argparse
import math
import os
import textwrap
from collections.abc import Callable
from typing import Any, NoReturn

EXIT_CODES = {
    0: "all requests were answered",
    1: "something unexpected went wrong",
    2: "the command line is wrong",
    3: "the configuration is wrong or missing",
    4: "authentication or permission failed",
    5: "a rate limit or quota is exhausted",
    6: "network trouble, a timeout, or the provider is down",
    7: "the request was refused: invalid, too long, no such model, streaming asked for",
    8: "the answer is unusable: blocked, empty, malformed, a stream, or truncated under --strict",
    9: "some requests failed, some were answered",
    130: "interrupted (Ctrl-C)",
    141: "the reader of standard output went away",
    143: "terminated (SIGTERM)",
}
"""Exit status and what it means; the error classes behind each are in exits.py."""

_DESCRIPTION = (
    "Ask any LLM provider from a script, a pipe or a terminal: OpenAI, Anthropic, Gemini, OpenRouter and every "
    "OpenAI-compatible server. One blocking call per question, no streaming, answers checked before they are printed."
)

_EPILOG = (
    "Answers go to standard output, everything else to standard error. "
    "Run 'llm-sync COMMAND --help' for a command's own options and the exit statuses."
)

_GENERATE_EXAMPLES = """\
examples:
  llm-sync generate "Say hello"
  llm-sync generate --json <q >answers
  git diff | llm-sync generate \\
    --system "Review this change"
  llm-sync generate "Why?" \\
    -m openai/gpt-4o -m gemini/MODEL
"""

_SIMULATE_EXAMPLES = """\
Without COMMAND it serves until Ctrl-C and prints its address. COMMAND finds a configuration for the simulator by itself, so \
that 'llm-sync generate' just works in it; the exit status is COMMAND's, 128 and the signal's number when a signal ended it, \
126 when it cannot be run, 127 when there is no such command. A key with "wrong" or "invalid" in it is always refused.

examples:
  llm-sync simulate -- \\
    llm-sync generate "Say hello"
  llm-sync simulate -- python report.py
  llm-sync simulate --port 8080
"""


class UsageError(Exception):
    """The command line asks for something that cannot be; the message says what and what to do."""


class _Help(argparse.HelpFormatter):
    """Help that fits the terminal: no word is broken, and indented lines are left alone unless they are too long."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(_fitted(indent + line, width) for line in text.strip("\n").split("\n"))

    def _format_usage(self, *arguments: Any) -> str:
        first, *more = super()._format_usage(*arguments).rstrip().split("\n")
        if max(map(len, more), default=0) > self._width:
            more = [f"  {line.lstrip()}" for line in more]
        return "\n".join([first, *more, "", ""])

    def _split_lines(self, text: str, width: int) -> list[str]:
        return _fitted(" ".join(text.split()), width).split("\n")

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        return f"{', '.join(action.option_strings)} {self._format_args(action, action.dest.upper())}"

    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        if action.nargs == argparse.REMAINDER:
            return f"[-- {action.metavar} [ARG ...]]"
        return super()._format_args(action, default_metavar)


def _fitted(line: str, width: int) -> str:
    """A paragraph, or an indented line of a table or an example: the rest of one that is too long hangs under its text."""
    text = line.lstrip()
    margin = " " * (len(line) - len(text))
    rest = f"{margin}     " if margin else ""
    return textwrap.fill(
        text, width, initial_indent=margin, subsequent_indent=rest, break_on_hyphens=False, break_long_words=False
    )


class Parser(argparse.ArgumentParser):
    """Raises UsageError where argparse would print and exit; help goes to standard output or raises what keeps it from it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=_Help, allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Raise what is wrong, and where the right words are."""
        raise UsageError(f"{message}; see '{self.prog} --help'")

    def print_help(self, file: Any = None) -> None:
        """Print the help; unlike argparse's own, this does not swallow a write that fails."""
        print(self.format_help(), end="", file=file)


def parse(argv: list[str]) -> argparse.Namespace:
    """The command line's options; ``command`` is None only beside ``version``. Raises UsageError."""
    parser = build_parser()
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


def build_parser() -> Parser:
    """The whole command line, as argparse sees it."""
    parser = Parser(prog="llm-sync", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    _add_verbose(parser, "verbose")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    _add_generate(_command(commands, "generate", "send a prompt to one or several models and print the answers"))
    _add_models(_command(commands, "models", "list the models each configured provider serves"))
    _add_simulate(_command(commands, "simulate", "serve simulated providers on this machine, for rehearsals and tests"))
    return parser


def _command(commands: argparse._SubParsersAction[Parser], name: str, summary: str) -> Parser:
    command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    command.set_defaults(parser=command)
    _add_verbose(command, "verbose_too")  # after the command, too, where people look for it
    return command


def _statuses(*never: int) -> str:
    return "\n".join(["exit status:", *(f"  {code:<3}  {text}" for code, text in EXIT_CODES.items() if code not in never)])


def _add_verbose(parser: Parser, name: str) -> None:
    parser.add_argument(
        "-v", "--verbose", dest=name, action="count", default=0, help="say what requests go through; twice: every step of it"
    )


def _add_config(parser: Parser) -> None:
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


def _add_models(parser: Parser) -> None:
    _add_config(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object a provider and line")
    parser.add_argument("--timeout", type=SECONDS, metavar="SECONDS", help="give a provider SECONDS to answer (120)")
    parser.epilog = _statuses(7, 10)


def _add_generate(parser: Parser) -> None:
    parser.add_argument(
        "prompt",
        nargs="*",
        type=text,
        metavar="PROMPT",
        help="the prompt; several words are joined by blanks; without one, standard input is read",
    )
    _add_config(parser)
    parser.add_argument(
        "-m",
        "--model",
        action="append",
        default=[],
        type=visible,
        metavar="PROVIDER/MODEL",
        help="the model to ask; give it several times to ask several at once, printed in the order given: with headings on a "
        "terminal only, so use --json where a program reads",
    )
    source = parser.add_argument_group("input and output")
    source.add_argument("--input", metavar="FILE", help="read the prompt from FILE, or from standard input for -")
    source.add_argument("--output", metavar="FILE", help="write the answers to FILE, which appears when all are there")
    source.add_argument("--json", action="store_true", help="print one JSON object an answer (or failed request) and line")
    request = parser.add_argument_group("request")
    request.add_argument("--system", type=text, metavar="TEXT", help="the system prompt")
    request.add_argument("--temperature", type=between(0, 2), metavar="T", help="sampling temperature, 0 to 2")
    request.add_argument("--top-p", type=between(0, 1), metavar="P", help="nucleus sampling, 0 to 1")
    request.add_argument("--max-tokens", type=ABOVE_0, metavar="N", help="cut the answer after N tokens")
    request.add_argument("--stop", action="append", type=nonempty, metavar="TEXT", help="stop before TEXT; may be repeated")
    request.add_argument("--seed", type=WHOLE, metavar="N", help="ask for a repeatable answer, where the provider can")
    request.add_argument("--strict", action="store_true", help="refuse what would be adjusted, and truncated answers")
    attempts = parser.add_argument_group("time and retries")
    attempts.add_argument(
        "--timeout", type=SECONDS, metavar="SECONDS", help="give one attempt SECONDS, connecting included (120)"
    )
    attempts.add_argument(
        "--deadline", type=SECONDS, metavar="SECONDS", help="give a request SECONDS in all, waits included (600)"
    )
    attempts.add_argument("--max-retries", type=COUNT, metavar="N", help="try again up to N times (3)")
    parser.epilog = f"{_GENERATE_EXAMPLES}\n{_statuses(10)}"


def _add_simulate(parser: Parser) -> None:
    parser.add_argument(
        "--port",
        type=between(0, 65535, int),
        default=0,
        metavar="N",
        help="listen on port N of 127.0.0.1 (0: any free one)",
    )
    parser.add_argument(
        "--latency", type=between(0, 86400), default=0.0, metavar="SECONDS", help="take SECONDS for each answer (0)"
    )
    parser.add_argument("--seed", type=WHOLE, default=0, metavar="N", help="vary the answers by N (0)")
    parser.add_argument("--accept-key", action="append", metavar="KEY", help="refuse every key but KEY; may be repeated (none)")
    parser.add_argument(
        "child", nargs=argparse.REMAINDER, metavar="COMMAND", help="run COMMAND with a configuration for the simulator, then stop"
    )
    parser.epilog = _SIMULATE_EXAMPLES


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


def between(low: int, high: int, kind: type[int | float] = float) -> Callable[[str], float]:
    """A converter for numbers from low to high."""
    what = "a whole number" if kind is int else "a number"
    return number(kind, f"{what} from {low} to {high}", lambda value: low <= value <= high)


WHOLE = number(int, "a whole number")
COUNT = number(int, "a whole number, 0 or more", lambda value: value >= 0)
ABOVE_0 = number(int, "a whole number above 0", lambda value: value > 0)
SECONDS = number(float, "a number of seconds above 0", lambda value: 0 < value < math.inf)
