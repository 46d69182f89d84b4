"""The options of commands that send requests: whether stored answers are used."""

from __future__ import annotations

import os

from llm_sync.cli.options.argument_parser import Parser, UsageError

TYPE_CHECKING = False  # type checkers take it for True; importing typing costs as much as a bare start of Python
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import Any

CACHE = "--cache"
DEFAULT_FOLDER = ""  # the value of a --cache without a folder


def add_cache_options(parser: Parser) -> None:
    """Add --cache, --no-cache and --offline."""
    group = parser.add_argument_group("stored answers")
    use = group.add_mutually_exclusive_group()
    use.add_argument(
        CACHE,
        nargs="?",
        const=DEFAULT_FOLDER,
        metavar="DIR",
        help="store answers in DIR, and use those stored there for equal requests (your own cache folder); other words than the "
        "path of a folder are not taken for DIR",
    )
    use.add_argument("--no-cache", action="store_true", help="neither use nor store answers, whatever the configuration says")
    group.add_argument(
        "--offline", action="store_true", help="send nothing: use stored answers only; without one, a request fails with status 7"
    )
    parser.takes_cache = True


def cache_argument(args: argparse.Namespace) -> Any:
    """The argument ``cache`` of LLMClient that the command line means. Raises UsageError for a contradiction."""
    if args.no_cache and args.offline:
        raise UsageError("--no-cache and --offline contradict each other")
    if args.no_cache:
        return False
    if args.offline:
        return {"offline": True, **({"dir": args.cache} if args.cache else {})}
    return True if args.cache == DEFAULT_FOLDER else args.cache


def join_cache_folder(words: Sequence[str]) -> list[str]:
    """The words of a command line with the folder of ``--cache``, if there is one, in one word with it.

    The prompt or the input may follow a ``--cache`` that has no folder. Raises UsageError for a word that might be either.
    """
    joined: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return [*joined, word, *rest]
        if word != CACHE:
            joined.append(word)
        elif rest and _is_folder(rest[0]):
            joined.append(f"{CACHE}={rest.pop(0)}")
        else:
            joined.append(f"{CACHE}={DEFAULT_FOLDER}")
    return joined


def _is_folder(word: str) -> bool:
    """Whether the word after --cache is its folder: one that exists, or a path. A file, an option and a sentence are not."""
    if os.path.isdir(word):
        return True
    if not word or word.startswith("-") or os.path.isfile(word) or any(character.isspace() for character in word):
        return False
    if os.path.exists(word):
        raise UsageError(f"--cache {word}: it is neither a folder nor a file")
    if os.sep in word or word.startswith("~"):
        return True
    raise UsageError(
        f"--cache {word}: write --cache=./{word} if this is a folder to be created, else put --cache behind the other words"
    )
