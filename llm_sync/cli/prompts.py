"""Where the prompt comes from: the arguments, a file, or standard input."""

from __future__ import annotations

import argparse
import sys

from llm_sync.cli.arguments import UsageError


def read_prompt(args: argparse.Namespace) -> str:
    """The prompt of a generate command. Raises UsageError where there is none, or two, or it is no text."""
    if args.prompt and args.input is not None:
        raise UsageError("the prompt is given twice, as an argument and by --input: keep one")
    if args.prompt:
        prompt = " ".join(args.prompt)
        if not prompt.strip():
            raise UsageError("the prompt is empty: give it at least one visible character")
        return prompt
    if args.input not in (None, "-"):
        name = f"--input {args.input!r}"
        return _text(_file(args.input, name), name)
    if sys.stdin is None or (sys.stdin.isatty() and args.input is None):
        raise UsageError("no prompt: give it as an argument, with --input FILE, or on standard input")
    return _text(_standard_input(), "standard input")


def _file(path: str, name: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except (OSError, ValueError) as error:
        raise _unreadable(name, error) from None


def _standard_input() -> bytes:
    try:
        return sys.stdin.buffer.read()
    except OSError as error:
        raise _unreadable("standard input", error) from None


def _unreadable(name: str, error: OSError | ValueError) -> UsageError:
    return UsageError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}")


def _text(content: bytes, name: str) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is not UTF-8 (byte {error.start + 1}): convert it, for instance with iconv -t UTF-8") from None
    if not text.strip():
        raise UsageError(f"{name} holds no prompt: it is empty")
    return text.removesuffix("\n").removesuffix("\r")
