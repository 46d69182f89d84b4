"""The messages for words that the parser does not know: an unknown command, option or argument. Loaded for errors only."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from difflib import get_close_matches

from llm_sync.cli.options.argument_parser import Parser


def unknown_command(parser: Parser, words: list[str], word: str, commands: Iterable[str]) -> str:
    """What to say of ``word``, which is in the place of a command; ``words``: the whole command line."""
    before = words[: words.index(word)] if word in words else []
    option = next((each for each in before if each[:1] == "-" and not _is_known(parser, each)), None)
    if option is not None:  # its value stands where the command should be
        return f"unknown option {option} before a command: a command's own options follow it, as in: llm-sync COMMAND {option}"
    near = _nearest(word, commands)
    if near:
        return f"unknown command {word!r}, did you mean {near}?"
    rest = words[len(before) :]
    if " " in word or (len(rest) > 1 and not any(each.startswith("-") for each in rest)):
        return f"{word!r} is not a command; to send a prompt: llm-sync generate {shlex.quote(' '.join(rest))}"
    return f"unknown command {word!r}; the commands are {', '.join(commands)}"


def unknown_argument(parser: Parser, command: str, word: str) -> str:
    """What to say of an option or argument that the command does not have."""
    name = word.partition("=")[0]
    if not word.startswith("-"):
        if any(action.nargs in ("*", "+") for action in parser.all_actions() if not action.option_strings):
            return f"{word!r} is separated from the arguments before it: put options before or after all of them"
        return f"unexpected argument {word!r}"
    if _is_known(parser, name):
        return f"{name} goes after the command, as in: llm-sync {command} {name}"
    if name in ("--version", "--list-llm-configs"):
        return f"{name} is used without a command"
    message = unknown_option(parser, name)
    may_be_prompt = command == "generate" and message.startswith("unknown") and not message.endswith("?")
    return f"{message}; write -- before a prompt that begins with a dash" if may_be_prompt else message


def unknown_option(parser: Parser, word: str) -> str:
    """What to say of an option that there is not."""
    name = word.partition("=")[0]
    if name.removeprefix("--no-").removeprefix("--") in ("stream", "streaming"):
        return f"remove {name}: llm-sync never streams, an answer comes as a whole"
    known = {each.lstrip("-"): each for each in parser._option_string_actions}  # noqa: SLF001  (ArgumentParser's, a base class)
    near = known.get(_nearest(name.lstrip("-"), known) or "")  # without dashes, which would make all options alike
    return f"unknown option {name}" + (f", did you mean {near}?" if near else "")


def _is_known(parser: Parser, word: str) -> bool:
    name = word.partition("=")[0]
    known = parser._option_string_actions  # noqa: SLF001  (ArgumentParser's, a base class)
    return name in known or (name[1:2] != "-" and all(f"-{letter}" in known for letter in name[1:]))


def _nearest(word: str, known: Iterable[str]) -> str | None:
    return next(iter(get_close_matches(word, list(known), n=1)), None)
