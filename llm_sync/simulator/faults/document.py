"""A YAML or JSON file as plain values, with the line of every field and what is wrong with its form.

Built from PyYAML's events without recursion: neither depth nor aliases can exhaust anything. Unquoted scalars follow YAML 1.2,
so that ``1e-3`` is a number and ``on`` a text.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from llm_sync.errors import Problem
from llm_sync.validation import field_path, shown

MOST_BYTES = 2**20
MOST_VALUES = 20_000  # with every alias written out
MOST_DEPTH = 24

Path = tuple[str | int, ...]

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?[0-9]{1,30}")
_NUMBER = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_WORDS: dict[str, Any] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_WORDS |= {word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")}
_WORDS |= {".nan": float("nan"), ".NaN": float("nan"), ".inf": float("inf"), "-.inf": float("-inf")}


@dataclass
class Document:
    """``file``: its name for messages, "" for a mapping given in code; ``lines``: where each field stands."""

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


@dataclass
class _Node:
    """A collection being read, or a finished value. ``size`` and ``depth`` count aliases as if they were written out."""

    value: Any
    path: Path = ()
    anchor: str | None = None
    size: int = 1
    depth: int = 0
    key: str | None = None  # of a mapping: the key whose value comes next


class _Unreadable(Exception):
    """The file cannot be read on from here."""

    def __init__(self, message: str, line: int | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message, self.line, self.hint = message, line, hint


def typed(text: str) -> Any:
    """What a value without quotes is: null, a boolean, a number, or a text."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else str(text)


@dataclass(frozen=True)
class Form:
    """What a file is: ``name`` for messages, how much it may say, and what becomes of a value that has no quotes."""

    name: str = "a script"
    most_bytes: int = MOST_BYTES
    most_values: int = MOST_VALUES
    scalar: Callable[[str], Any] = typed


def read_document(path: str | os.PathLike[str], form: Form = Form()) -> Document:
    """Read a file, as JSON where its name says so; what is wrong with it stands in ``problems``."""
    name = printable(path)
    document = Document(name)
    try:
        with open(path, "rb") as stream:
            content = stream.read(form.most_bytes + 1)
    except FileNotFoundError:
        document.problems.append(Problem("there is no such file", file=name))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not a file name"
        document.problems.append(Problem(f"cannot be read: {reason}", file=name))
    else:
        parse_document(content, document, form)
    return document


def parse_document(content: bytes, document: Document, form: Form = Form()) -> None:
    """Fill ``document`` from the content of its file."""
    try:
        text = _text(content, form)
        if document.file.lower().endswith(".json"):
            document.value = _json(text, document, form)
        else:
            _Builder(document, form).build(text)
    except _Unreadable as wrong:
        document.value = None
        document.problems.append(Problem(wrong.message, file=document.file, line=wrong.line, hint=wrong.hint))


def printable(path: str | os.PathLike[str]) -> str:
    """A file's name for messages."""
    name = os.fspath(path)
    return name if name.isprintable() else repr(name)[1:-1]


def _text(content: bytes, form: Form) -> str:
    if len(content) > form.most_bytes:
        raise _Unreadable(f"the file is over {form.most_bytes >> 20} MiB", hint=f"is this {form.name}?")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _Unreadable("the file is not UTF-8", content.count(b"\n", 0, error.start) + 1, "save it as UTF-8") from None


def _json(text: str, document: Document, form: Form) -> Any:
    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        for name, times in Counter(name for name, _ in pairs).items() if len(found) < len(pairs) else ():
            if times > 1:
                message = f"the key {shown(name)} is written {times} times in one object"
                document.problems.append(Problem(message, file=document.file, hint="keep one of them"))
        return found

    def constant(name: str) -> NoReturn:
        raise _Unreadable(f"{name} is not JSON")

    try:
        return json.loads(
            text, object_pairs_hook=members, parse_int=form.scalar, parse_float=form.scalar, parse_constant=constant
        )
    except json.JSONDecodeError as error:
        raise _Unreadable(f"not JSON: {error.msg}", error.lineno) from None
    except RecursionError:
        raise _Unreadable("the file is nested too deeply") from None


class _Builder:
    """Puts the events of one file together."""

    def __init__(self, document: Document, form: Form) -> None:
        self._document = document
        self._form = form
        self._stack: list[_Node] = []
        self._anchors: dict[str, _Node] = {}

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
                elif isinstance(event, yaml.NodeEvent):
                    self._begin(event, line)
                elif isinstance(event, yaml.CollectionEndEvent):
                    self._place(self._stack.pop(), line)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise _Unreadable(f"not YAML: {error.problem or error.context}", mark.line + 1 if mark else None) from None
        except yaml.YAMLError:
            raise _Unreadable("not YAML", hint="is this a text file?") from None

    def _begin(self, event: Any, line: int) -> None:
        parent = self._stack[-1] if self._stack else None
        if parent is not None and isinstance(parent.value, dict) and parent.key is None:
            self._key(event, parent, line)
            return
        path = self._next_path()
        self._document.lines.setdefault(path, line)
        if isinstance(event, yaml.AliasEvent):
            known = self._anchors.get(str(event.anchor))
            if known is None:
                raise _Unreadable(f"the alias *{shown(event.anchor)} names nothing that is complete before it", line)
            self._place(_Node(known.value, path, None, known.size, known.depth), line)
            return
        if event.tag not in (None, "!"):
            raise _Unreadable(f"the tag {shown(event.tag)} is not allowed", line, "leave it out; quotes make a value text")
        if isinstance(event, yaml.ScalarEvent):
            plain = event.style is None or event.style == ""
            self._place(_Node(self._form.scalar(event.value) if plain else event.value, path, event.anchor), line)
        else:
            empty: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
            self._stack.append(_Node(empty, path, event.anchor))
            self._within(0, line)

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

    def _place(self, node: _Node, line: int) -> None:
        if node.anchor:
            self._anchors[node.anchor] = node
        self._within(node.depth, line)
        if not self._stack:
            self._document.value = node.value
            return
        parent = self._stack[-1]
        parent.size += node.size
        parent.depth = max(parent.depth, node.depth + 1)
        if isinstance(parent.value, list):
            parent.value.append(node.value)
        else:
            parent.value[parent.key], parent.key = node.value, None
        if sum(each.size for each in self._stack) > self._form.most_values:
            raise _Unreadable(f"the file says more than {self._form.most_values} values", line, "are aliases nested in aliases?")

    def _within(self, depth: int, line: int) -> None:
        if len(self._stack) + depth > MOST_DEPTH:
            raise _Unreadable(f"the file is nested more than {MOST_DEPTH} deep", line, "are aliases nested in aliases?")
