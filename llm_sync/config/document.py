"""A YAML file as plain values, with the line of every field and every problem of its form.

Keys are always text; scalars are what scalars.py makes of them. Built from PyYAML's events without recursion, so that neither
depth nor aliases can exhaust anything.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from llm_sync.config.scalars import plain_value
from llm_sync.errors import Problem
from llm_sync.validation import field_path, shown

MOST_BYTES = 2**20
MOST_VALUES = 50_000  # with every alias written out; a file of 1 MiB that means something has fewer
MOST_DEPTH = 40

Path = tuple[str | int, ...]

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's parser is six times as fast
_CORE = "tag:yaml.org,2002:"
_CONTROL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass
class Document:
    """``value``: what the file says; ``lines``: the line of each field, by path; ``problems``: what is wrong with its form."""

    file: str
    value: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, path: Path) -> int | None:
        """The line of a field, or of what it would stand in."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)

    def problem(self, path: Path, message: str, hint: str | None = None) -> None:
        """Note one more thing that is wrong."""
        self.problems.append(Problem(message, field_path(path), self.file, self.line(path), hint))


@dataclass
class _Node:
    """``content``: a plain value, a list of nodes, or a dict of key -> (line, node). ``size`` and ``depth`` count aliases as
    if written out."""

    line: int
    content: Any
    size: int = 1
    depth: int = 0
    anchor: str | None = None
    key: tuple[str, int] | None = None  # of a mapping being read: the key whose value comes next
    merges: list[tuple[int, _Node]] = field(default_factory=list)


class _Wrong(Exception):
    """The file cannot be read on from here."""

    def __init__(self, message: str, line: int | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message, self.line, self.hint = message, line, hint


def read_document(path: str | os.PathLike[str]) -> Document:
    """Read a file. Never raises for what is wrong with it: the document's ``problems`` say so."""
    name = os.fspath(path)
    name = name if name.isprintable() else repr(name)[1:-1]
    document = Document(name)
    try:
        with open(path, "rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except IsADirectoryError:
        document.problems.append(Problem("is a folder, not a file", file=name, hint="name the file in it, or use --config-dir"))
    except FileNotFoundError:
        document.problems.append(Problem("there is no such file", file=name, hint=_looked_in(path)))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not a file name"
        document.problems.append(Problem(f"cannot be read: {reason}", file=name))
    else:
        _parse(content, document)
    return document


def _looked_in(path: str | os.PathLike[str]) -> str | None:
    if os.path.isabs(path):
        return None
    try:
        return f"looked in {os.getcwd()}"
    except OSError:  # the folder is deleted
        return None


def parse_document(content: bytes, file: str) -> Document:
    """The same for the content of a file."""
    document = Document(file)
    _parse(content, document)
    return document


def _parse(content: bytes, document: Document) -> None:
    try:
        root = _Builder(document).build(_text(content))
    except _Wrong as wrong:
        document.problems.append(Problem(wrong.message, file=document.file, line=wrong.line, hint=wrong.hint))
        return
    document.value = _plain(root, (), document.lines)


def _text(content: bytes) -> str:
    if len(content) > MOST_BYTES:
        raise _Wrong("the file is over 1 MiB", hint="a configuration is a few kilobytes: is this the right file?")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _Wrong("the file is not UTF-8", content.count(b"\n", 0, error.start) + 1, "save it as UTF-8") from None
    control = _CONTROL.search(text)
    if control:
        line = text.count("\n", 0, control.start()) + 1
        raise _Wrong(f"the file holds the control character U+{ord(control[0]):04X}", line, "is this a text file?")
    return text


class _Builder:
    """Puts the events of one file together."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._stack: list[_Node] = []
        self._anchors: dict[str, _Node] = {}
        self._root: _Node | None = None
        self._size = 0

    def build(self, text: str) -> _Node:
        for event in _events(text):
            line = event.start_mark.line + 1
            if isinstance(event, yaml.ScalarEvent):
                self._scalar(event, line)
            elif isinstance(event, yaml.CollectionStartEvent):
                self._open(event, line)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._close()
            elif isinstance(event, yaml.AliasEvent):
                self._alias(event, line)
            elif isinstance(event, yaml.DocumentStartEvent) and self._root is not None:
                raise _Wrong("a second document begins here (---)", line, "one file holds one configuration")
        if self._root is None or self._root.content is None:
            raise _Wrong("the file is empty", hint="a configuration is a mapping: providers: {openai: {…}}")
        return self._root

    def _wrong(self, message: str, line: int, hint: str | None = None) -> None:
        self._document.problems.append(Problem(message, file=self._document.file, line=line, hint=hint))

    def _open(self, event: Any, line: int) -> None:
        mapping = isinstance(event, yaml.MappingStartEvent)
        if len(self._stack) >= MOST_DEPTH:
            raise _Wrong(f"the file is nested more than {MOST_DEPTH} deep", line)
        if event.tag not in (None, "!", _CORE + ("map" if mapping else "seq")):
            self._wrong(f"the tag {_tag(event.tag)} is not allowed", line, "leave it out")
        if self._stack and self._key_comes():
            raise _Wrong("a key is a list or a mapping", line, "keys are text; quote a text that begins with [ or {")
        self._stack.append(_Node(line, {} if mapping else [], anchor=event.anchor))

    def _close(self) -> None:
        node = self._stack.pop()
        for line, merged in node.merges:
            self._merge(node, merged, line)
        self._place(node)

    def _scalar(self, event: Any, line: int) -> None:
        if self._stack and self._key_comes():
            if event.tag not in (None, "!", _CORE + "str"):
                self._wrong(f"the tag {_tag(event.tag)} is not allowed on a key", line, "leave it out")
            if event.anchor:
                self._anchors[event.anchor] = _Node(line, event.value)
            self._stack[-1].key = (event.value, line)
            if event.value == "" and not event.style:
                self._wrong("a key is empty", line, "write a name before the colon")
            elif event.value == "<<" and not event.style:
                self._stack[-1].key = ("<<", -line)  # the sign tells a merge from a quoted "<<"
            return
        self._place(_Node(line, self._value(event, line), anchor=event.anchor))

    def _value(self, event: Any, line: int) -> Any:
        if event.tag in (None, "!"):
            return plain_value(event.value) if not event.style and event.tag is None else event.value
        kind = event.tag.removeprefix(_CORE)
        if event.tag.startswith(_CORE) and kind == "str":
            return event.value
        value = plain_value(event.value)
        names = {"int": int, "float": (int, float), "bool": bool, "null": type(None)}
        if event.tag.startswith(_CORE) and kind in names:
            if isinstance(value, names[kind]) and (kind == "bool" or not isinstance(value, bool)):  # type: ignore[arg-type]
                return float(value) if kind == "float" else value
            self._wrong(f"the value is not of the type its tag !!{kind} says", line, "leave the tag out")
            return event.value
        self._wrong(f"the tag {_tag(event.tag)} is not allowed", line, "leave it out")
        return event.value

    def _alias(self, event: Any, line: int) -> None:
        if self._key_comes():
            raise _Wrong("a key is an alias", line, "write the key out")
        if any(node.anchor == event.anchor for node in self._stack):
            raise _Wrong(f"the alias *{shown(event.anchor)} is inside what it names", line)
        if event.anchor not in self._anchors:
            raise _Wrong(f"the alias *{shown(event.anchor)} names nothing", line, "its &anchor must come before it")
        self._place(self._anchors[event.anchor], line)

    def _key_comes(self) -> bool:
        """Whether the next node is a key of the mapping being read."""
        return bool(self._stack) and isinstance(self._stack[-1].content, dict) and self._stack[-1].key is None

    def _place(self, node: _Node, line: int | None = None) -> None:
        """Put a finished node where it belongs; an alias (``line``) adds the size of what it names once more."""
        if line is None and node.anchor:
            self._anchors[node.anchor] = node
        self._size += 1 if line is None else node.size
        if self._size > MOST_VALUES:
            raise _Wrong(f"the file says more than {MOST_VALUES} values", line or node.line, "are aliases nested in aliases?")
        if len(self._stack) + node.depth > MOST_DEPTH:
            raise _Wrong(f"the file is nested more than {MOST_DEPTH} deep", line or node.line, "are aliases nested in aliases?")
        if not self._stack:
            self._root = node
            return
        parent = self._stack[-1]
        parent.size += node.size
        parent.depth = max(parent.depth, node.depth + 1)
        if isinstance(parent.content, list):
            parent.content.append(node)
            return
        key, key_line = parent.key or ("", 0)
        parent.key = None
        if key_line < 0:
            parent.merges.append((-key_line, node))
        elif key in parent.content:
            first = parent.content[key][0]
            self._wrong(f"the key {shown(key)} is written twice, first in line {first}", key_line, "keep one of them")
        else:
            parent.content[key] = (key_line, node)

    def _merge(self, node: _Node, merged: _Node, line: int) -> None:
        sources = merged.content if isinstance(merged.content, list) else [merged]
        for source in sources:
            if not isinstance(source.content, dict):
                self._wrong("<< takes a mapping or a list of mappings", line, "as in: <<: *anchor")
                return
            for key, entry in source.content.items():
                node.content.setdefault(key, entry)


def _tag(tag: str) -> str:
    return shown(tag.replace(_CORE, "!!"))


def _events(text: str) -> Iterator[Any]:
    try:
        yield from yaml.parse(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        lines = text.rstrip().split("\n")
        line = min(mark.line + 1, len(lines)) if mark else len(lines)  # at the end of a file the mark is one further
        begun = (
            f" begun in line {error.context_mark.line + 1}," if error.context_mark and error.context_mark.line + 1 != line else ""
        )
        if "nesting depth" in str(error.problem):  # newer libyaml scans ahead, and stops before an event is made
            raise _Wrong(f"the file is nested more than {MOST_DEPTH} deep", line) from None
        message = f"{error.context or ''}{begun} {error.problem or ''}".strip()
        if "nesting depth" in message:  # newer versions of libyaml have a limit of their own, of thousands
            raise _Wrong(f"the file is nested more than {MOST_DEPTH} deep", line) from None
        near = lines[max(0, line - 2) : line]
        hint = None
        if any("\t" in part[: len(part) - len(part.lstrip())] or re.match(r"[^#]*:\t", part) for part in near):
            hint = "YAML is indented with spaces, and there is a tab"
        raise _Wrong(f"not YAML: {message}", line, hint) from None
    except yaml.YAMLError:
        raise _Wrong("not YAML") from None


def _plain(node: _Node, path: Path, lines: dict[Path, int]) -> Any:
    """Values without nodes. Recursive, to at most MOST_DEPTH, over at most MOST_VALUES."""
    lines.setdefault(path, node.line)
    if isinstance(node.content, list):
        return [_plain(item, (*path, index), lines) for index, item in enumerate(node.content)]
    if isinstance(node.content, dict):
        out = {}
        for key, (line, value) in node.content.items():
            here = (*path, key)
            lines[here] = line
            out[key] = _plain(value, here, lines)
        return out
    return node.content
