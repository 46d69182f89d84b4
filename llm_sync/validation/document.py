"""What a reader makes of a file: plain values, the line of every field, and the problems found."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from llm_sync.errors import Problem
from llm_sync.validation.messages import field_path
from llm_sync.validation.yaml_scalars import plain_value

MAX_BYTES = 2**20

Path = tuple[str | int, ...]


class FileFormat(NamedTuple):
    """What a reader accepts. ``name`` ("a configuration") is for messages.

    ``max_values`` and ``max_depth`` count aliases as if they were written out. ``scalar`` converts a value that is written
    without quotes. ``json``: a file whose name ends in .json is read as JSON, not as YAML. ``folder_hint``: what to do when the
    path is a folder.
    """

    name: str
    max_bytes: int = MAX_BYTES
    max_values: int = 50_000
    max_depth: int = 40
    scalar: Callable[[str], Any] = plain_value
    json: bool = False
    folder_hint: str = "name a file in it"


@dataclass
class Document:
    """A file's content. ``file`` is its name for messages, "" for values given in code.

    ``lines``: the line of each field, by path. ``problems``: what is wrong, in the order of discovery. ``value`` is None for
    an empty file and for one that could not be read. ``path`` and ``content``: the file as it was read, None for no file.
    """

    file: str = ""
    value: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    path: str | os.PathLike[str] = ""
    content: bytes | None = field(default=None, repr=False)

    def line(self, path: Path) -> int | None:
        """The line of a field; of a missing field, the line of what should contain it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)

    def problem(self, path: Path, message: str, hint: str | None = None) -> None:
        """Add a problem with the field at ``path``."""
        self.problems.append(Problem(message, field_path(path), self.file or None, self.line(path), hint))

    def problem_at(self, line: int | None, message: str, hint: str | None = None) -> None:
        """Add a problem with the file's form, which has a line at most."""
        self.problems.append(Problem(message, file=self.file or None, line=line, hint=hint))


class Unreadable(Exception):
    """The file cannot be read any further."""

    def __init__(self, message: str, line: int | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message, self.line, self.hint = message, line, hint


def printable(path: str | os.PathLike[str]) -> str:
    """A file's name for messages: control characters are escaped."""
    name = os.fspath(path)
    return name if name.isprintable() else repr(name)[1:-1]
