"""The prompt of ``generate``: from the arguments, a file or standard input."""

from __future__ import annotations

import argparse
import sys

from llm_sync.cli.input_files import read_text
from llm_sync.cli.options.argument_parser import UsageError


def read_prompt(args: argparse.Namespace) -> str:
    """The prompt. Raises UsageError if there is none, if there are two, or if it is no text."""
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
        raise UsageError(f"{name} contains no prompt: it is empty")
    return text


def _with_standard_input(words: list[str]) -> list[str]:
    """The words of a prompt, in which the text of standard input replaces a ``-``."""
    if "-" not in words:
        return words
    if words.count("-") > 1:
        raise UsageError("only one - can be replaced by standard input: keep one, and quote a dash together with other words")
    text = read_text("-", "-")
    if not text.strip():
        raise UsageError("standard input is empty: there is nothing to replace - with")
    return [text if word == "-" else word for word in words]
