"""Files that options name, or standard input in their place: text, JSON, images and documents, of limited size.

A path may name a regular file or a descriptor that the shell opened (``<(…)``); devices and named pipes are refused.
"""

from __future__ import annotations

import json
import os
import shlex
import stat
import sys
from typing import Any

from llm_sync.cli.options.argument_parser import UsageError
from llm_sync.validation.user_files import open_user_file

MAX_TEXT_BYTES = 64 << 20  # longer than any model's context
MAX_FILE_BYTES = 32 << 20  # no provider takes larger files within a request


def read_text(option: str, path: str) -> str:
    """The UTF-8 text of a file, or of standard input for ``-``, without a byte-order mark and one line end at its end.

    Raises UsageError, naming the ``option``, if the file cannot be read or is no text.
    """
    name = _describe(option, path)
    content = _read_stdin() if path == "-" else read_file(option, path, MAX_TEXT_BYTES)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is not UTF-8 (byte {error.start + 1}): convert it, for instance with iconv -t UTF-8") from None
    return text.removesuffix("\n").removesuffix("\r")


def read_file(option: str, path: str, max_bytes: int) -> bytes:
    """The content of a file. Raises UsageError, naming the ``option``, if it cannot be read or is too large."""
    name = _describe(option, path)
    try:
        with open_user_file(path) as file:
            content = file.read(max_bytes + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}{_hint(path)}") from None
    return _checked_size(name, content, max_bytes)


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


def _read_stdin() -> bytes:
    try:
        content = b"" if sys.stdin is None else sys.stdin.buffer.read(MAX_TEXT_BYTES + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"standard input cannot be read: {getattr(error, 'strerror', None) or error}") from None
    return _checked_size("standard input", content, MAX_TEXT_BYTES)


def _checked_size(name: str, content: bytes, max_bytes: int) -> bytes:
    if len(content) > max_bytes:
        raise UsageError(f"{name} is larger than {max_bytes >> 20} MiB")
    return content


def _hint(path: str) -> str:
    """How to pass the content of a named pipe all the same."""
    try:
        is_pipe = stat.S_ISFIFO(os.stat(path).st_mode)
    except (OSError, ValueError):
        return ""
    return f"; pass its content as <(cat {shlex.quote(path)})" if is_pipe else ""


def _describe(option: str, path: str) -> str:
    return "standard input" if path == "-" else f"{option} {path!r}"


def _refuse_constant(constant: str) -> Any:
    raise ValueError(f"JSON has no number {constant}")
