"""A YAML or JSON file as mappings, lists and texts, with the line of every field and what is wrong with its form.

Built from PyYAML's events without recursion: neither depth nor aliases can exhaust anything.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from llm_sync.errors import Problem
from llm_sync.validation import field_path, shown

MOST_VALUES = 200_000
MOST_DEPTH = 24

Path = tuple[str | int, ...]

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?[0-9]{1,30}")
_NUMBER = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_WORDS: Mapping[str, Any] = {"": None, "~": None, "null": None, "true": True, "false": False}


class Plain(str):
    """A value that was written without quotes: a text where one belongs, else what ``typed`` makes of it."""

    __slots__ = ()


@dataclass
class Document:
    """``file``: its name for messages, "" for what was given in code; ``lines``: where each field stands."""

    file: str = ""
    value: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def problem(self, path: Path, message: str, hint: str | None = None) -> None:
        """Note one more thing that is wrong."""
        place = path
        while place and place not in self.lines:  # a missing key is told where it should stand
            place = place[:-1]
        self.problems.append(Problem(message, field_path(path), self.file or None, self.lines.get(place), hint))

    def in_order(self) -> tuple[Problem, ...]:
        """The problems as they come in the file."""
        return tuple(sorted(self.problems, key=lambda problem: problem.line or 0))


class _Unreadable(Exception):
    """The file cannot be read on from here."""

    def __init__(self, message: str, line: int | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message, self.line, self.hint = message, line, hint


def read_document(path: str | os.PathLike[str], most_bytes: int, what: str) -> Document:
    """Read a file; what is wrong with it stands in ``problems``. ``what`` it should be, for messages."""
    name = printable(path)
    document = Document(name)
    try:
        content = _content(path, most_bytes, what)
        if name.lower().endswith(".json"):
            document.value = _json(content, document)
        else:
            _Builder(document).build(content)
    except FileNotFoundError:
        document.problems.append(Problem("there is no such file", file=name))
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        document.problems.append(Problem("the file is not UTF-8", file=name, line=line, hint="save it as UTF-8"))
    except _Unreadable as wrong:
        document.value = None
        document.problems.append(Problem(wrong.message, file=name, line=wrong.line, hint=wrong.hint))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not a file name"
        document.problems.append(Problem(f"cannot be read: {reason}", file=name))
    return document


def printable(path: str | os.PathLike[str]) -> str:
    """A file's name for messages."""
    name = os.fspath(path)
    return name if name.isprintable() else repr(name)[1:-1]


def _content(path: str | os.PathLike[str], most_bytes: int, what: str) -> str:
    with open(path, "rb") as stream:
        content = stream.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise _Unreadable(f"the file is over {most_bytes >> 20} MiB", hint=f"is this {what}?")
    return content.decode("utf-8-sig")


def typed(value: Any) -> Any:
    """What unquoted values are by YAML 1.2: null, booleans, numbers (``on`` is a text), or texts."""
    if isinstance(value, Plain):
        if value in _WORDS:
            return _WORDS[value]
        if _INTEGER.fullmatch(value):
            return int(value)
        number = float(value) if _NUMBER.fullmatch(value) else math.nan
        return number if math.isfinite(number) else str(value)
    if isinstance(value, Mapping):
        return {key: typed(member) for key, member in value.items()}
    return [typed(member) for member in value] if isinstance(value, list) else value


def text(value: Any) -> Any:
    """What an unquoted value is where a text belongs: itself, or None where it says that there is none."""
    if isinstance(value, Plain):
        return None if _WORDS.get(value, value) is None else str(value)
    return value


def plain(value: Any, depth: int = 0) -> Any:
    """A value given in code as a file would say it: lists for tuples, nothing nested without end."""
    if depth > MOST_DEPTH:
        return None
    if isinstance(value, Mapping):
        return {key: plain(member, depth + 1) for key, member in value.items()}
    return [plain(member, depth + 1) for member in value] if isinstance(value, (list, tuple)) else value


def _json(text: str, document: Document) -> Any:
    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        names = [name for name, _ in pairs]
        for name, times in Counter(names).items() if len(found) < len(names) else ():
            if times > 1:
                message = f"the key {shown(name)} is written {times} times in one object"
                document.problems.append(Problem(message, file=document.file, hint="keep one of them"))
        return found

    def constant(name: str) -> NoReturn:
        raise _Unreadable(f"{name} is not JSON")

    try:
        found = json.loads(text, object_pairs_hook=members, parse_int=Plain, parse_float=Plain, parse_constant=constant)
    except json.JSONDecodeError as error:
        raise _Unreadable(f"not JSON: {error.msg}", error.lineno) from None
    except RecursionError:
        raise _Unreadable("the file is nested too deeply") from None
    return found


@dataclass
class _Node:
    """A collection being read. ``key``: of a mapping, the key whose value comes next."""

    value: Any
    path: Path = ()
    key: str | None = None


class _Builder:
    """Puts the events of one file together."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._stack: list[_Node] = []
        self._count = 0

    def build(self, text: str) -> None:
        """Raises _Unreadable."""
        documents = 0
        try:
            events: Iterable[Any] = yaml.parse(text, Loader=_LOADER)
            for event in events:
                line = event.start_mark.line + 1
                if isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    if documents > 1:
                        raise _Unreadable("a second document begins here (---)", line, "one file holds one document")
                elif isinstance(event, yaml.AliasEvent):
                    raise _Unreadable(f"the alias *{shown(event.anchor)} is not allowed", line, "write it out, or quote a text")
                elif isinstance(event, yaml.NodeEvent):
                    self._begin(event, line)
                elif isinstance(event, yaml.CollectionEndEvent):
                    self._place(self._stack.pop().value)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = getattr(mark, "line", 0) + 1
            raise _Unreadable(f"not YAML: {error.problem or error.context}", line) from None
        except yaml.YAMLError:
            raise _Unreadable("not YAML", hint="is this a text file?") from None

    def _begin(self, event: Any, line: int) -> None:
        parent = self._stack[-1] if self._stack else None
        if parent is not None and isinstance(parent.value, dict) and parent.key is None:
            self._key(event, parent, line)
            return
        path = self._next_path()
        self._document.lines.setdefault(path, line)
        if event.tag not in (None, "!"):
            raise _Unreadable(f"the tag {shown(event.tag)} is not allowed", line, "leave it out; quotes make a value text")
        self._count += 1
        if self._count > MOST_VALUES:
            raise _Unreadable(f"the file says more than {MOST_VALUES} values", line)
        if len(self._stack) > MOST_DEPTH:
            raise _Unreadable(f"the file is nested more than {MOST_DEPTH} deep", line)
        if isinstance(event, yaml.ScalarEvent):
            self._place(event.value if event.style else Plain(event.value))
        else:
            self._stack.append(_Node({} if isinstance(event, yaml.MappingStartEvent) else [], path))

    def _key(self, event: Any, parent: _Node, line: int) -> None:
        if not isinstance(event, yaml.ScalarEvent):
            raise _Unreadable("a key is not plain text", line, "quote a text that begins with [, {, * or &")
        parent.key = event.value
        path = self._next_path()
        if event.value in parent.value:
            message = f"the key is written twice, first in line {self._document.lines[path]}"
            self._document.problems.append(Problem(message, field_path(path), self._document.file, line, "keep one of them"))
        self._document.lines[path] = line

    def _next_path(self) -> Path:
        if not self._stack:
            return ()
        parent = self._stack[-1]
        return (*parent.path, len(parent.value) if isinstance(parent.value, list) else str(parent.key))

    def _place(self, value: Any) -> None:
        if not self._stack:
            self._document.value = value
            return
        parent = self._stack[-1]
        if isinstance(parent.value, list):
            parent.value.append(value)
        else:
            parent.value[parent.key], parent.key = value, None
