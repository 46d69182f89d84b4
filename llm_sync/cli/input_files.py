"""Text and JSON files that options name, or standard input in their place."""

from __future__ import annotations

import json
import sys
from typing import Any

from llm_sync.cli.options.argument_parser import UsageError


def read_text(option: str, path: str) -> str:
    """The UTF-8 text of a file, or of standard input for ``-``, without a byte-order mark and one line end at its end.

    Raises UsageError, naming the ``option``, if the file cannot be read or is no text.
    """
    name = _describe(option, path)
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
    """The JSON value in a file, or on standard input for ``-``. Raises UsageError, naming the ``option`` and the line."""
    name = _describe(option, path)
    try:
        return json.loads(read_text(option, path), parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise UsageError(f"{name} is not JSON: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except ValueError as error:
        raise UsageError(f"{name} is not JSON: {error}") from None
    except RecursionError:
        raise UsageError(f"{name} is nested too deeply") from None


def _describe(option: str, path: str) -> str:
    return "standard input" if path == "-" else f"{option} {path!r}"


def _refuse_constant(constant: str) -> Any:
    raise ValueError(f"JSON has no number {constant}")
