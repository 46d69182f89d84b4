"""What is asked: a prompt from the arguments, a file or standard input, or a conversation; and text files in general."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from llm_sync.cli.options.argument_parser import UsageError


def read_prompt(args: argparse.Namespace) -> str:
    """The prompt of a generate command. Raises UsageError where there is none, or two, or it is no text."""
    if args.prompt and args.input is not None:
        raise UsageError("the prompt is given twice, as an argument and by --input: keep one")
    if args.prompt and args.prompt != ["-"]:
        prompt = " ".join(_with_standard_input(args.prompt))
        if not prompt.strip():
            raise UsageError("the prompt is empty: give it at least one visible character")
        return prompt
    if args.input is None and not args.prompt and (sys.stdin is None or sys.stdin.isatty()):
        raise UsageError("no prompt: give it as an argument, with --input FILE, or on standard input")
    name = "standard input" if args.input in (None, "-") else f"--input {args.input!r}"
    text = read_text("--input", "-" if args.input is None else args.input)
    if not text.strip():
        raise UsageError(f"{name} holds no prompt: it is empty")
    return text


def _with_standard_input(words: list[str]) -> list[str]:
    """The words of a prompt, with what standard input holds in the place of a ``-``."""
    if "-" not in words:
        return words
    if words.count("-") > 1:
        raise UsageError(
            "standard input goes in the place of one -, not of several: keep one, and quote a dash with its neighbours"
        )
    text = read_text("-", "-")
    if not text.strip():
        raise UsageError("standard input is empty: there is nothing to put in the place of -")
    return [text if word == "-" else word for word in words]


def read_text(option: str, path: str) -> str:
    """The UTF-8 text of a file, or of standard input for ``-``, without a byte-order mark and one line end at its end.

    Raises UsageError, naming the ``option``, for what cannot be read or is no text.
    """
    name = "standard input" if path == "-" else f"{option} {path!r}"
    try:
        if path == "-":
            content = b"" if sys.stdin is None else sys.stdin.buffer.read()
        else:
            with open(path, "rb") as file:
                content = file.read()
    except (OSError, ValueError) as error:
        raise UsageError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is not UTF-8 (byte {error.start + 1}): convert it, for instance with iconv -t UTF-8") from None
    return text.removesuffix("\n").removesuffix("\r")


def read_json(option: str, path: str) -> Any:
    """What a file, or standard input for ``-``, holds as JSON. Raises UsageError, naming the ``option`` and the place."""
    name = "standard input" if path == "-" else f"{option} {path!r}"
    try:
        return json.loads(read_text(option, path), parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise UsageError(f"{name} is not JSON: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except ValueError as error:
        raise UsageError(f"{name} is not JSON: {error}") from None
    except RecursionError:
        raise UsageError(f"{name} is nested too deeply") from None


def _refuse(constant: str) -> Any:
    raise ValueError(f"it has no number {constant}")
