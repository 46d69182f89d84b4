"""The YAML reader: a file as plain values, with the line of every field and every problem of its form.

Keys are always text; scalars follow YAML 1.2. Built from PyYAML's events without recursion, so that neither depth nor aliases
can exhaust anything. The only user of yaml.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from llm_sync.validation.document import Document, FileFormat, Path, Unreadable, printable
from llm_sync.validation.json_document import read_json
from llm_sync.validation.messages import shown
from llm_sync.validation.user_files import open_user_file
from llm_sync.validation.yaml_scalars import plain_value

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's parser is six times as fast
_CORE = "tag:yaml.org,2002:"
_CONTROL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TAGGED_TYPES: dict[str, type | tuple[type, ...]] = {"int": int, "float": (int, float), "bool": bool, "null": type(None)}
_ALIASES = "are aliases nested in aliases?"


@dataclass
class _Node:
    """A scalar (``content`` is its value), a sequence (a list of nodes) or a mapping (a dict of key -> (line, node)).

    ``size`` and ``depth`` count aliases as if they were written out.
    """

    line: int
    content: Any
    size: int = 1
    depth: int = 0
    anchor: str | None = None
    key: _Key | None = None  # of a mapping being read: the key whose value comes next
    merges: list[tuple[int, _Node]] = field(default_factory=list)


@dataclass
class _Key:
    text: str
    line: int
    merge: bool  # an unquoted <<


def read_document(path: str | os.PathLike[str], form: FileFormat) -> Document:
    """Read a file. Raises nothing for a file that is missing or wrong: the document's ``problems`` say so."""
    document = Document(printable(path), path=path)
    try:
        with open_user_file(path) as stream:
            content = stream.read(form.max_bytes + 1)
    except IsADirectoryError:
        document.problem_at(None, "is a folder, not a file", form.folder_hint)
    except FileNotFoundError:
        document.problem_at(None, "there is no such file", _looked_in(path))
    except (OSError, ValueError) as error:
        document.problem_at(None, f"cannot be read: {getattr(error, 'strerror', None) or 'it is not a file name'}")
    else:
        document.content = content
        _parse(content, document, form)
    return document


def _looked_in(path: str | os.PathLike[str]) -> str | None:
    if os.path.isabs(path):
        return None
    try:
        return f"looked in {os.getcwd()}"
    except OSError:  # the folder is deleted
        return None


def parse_document(content: bytes, file: str, form: FileFormat) -> Document:
    """The document of a file's content; ``file`` is its name for messages."""
    document = Document(file)
    _parse(content, document, form)
    return document


def _parse(content: bytes, document: Document, form: FileFormat) -> None:
    try:
        text = _decode(content, form)
        if form.json and document.file.lower().endswith(".json"):
            document.value = read_json(text, document, form)
            return
        _refuse_control_characters(text, form)
        root = _Builder(document, form).build(text)
    except Unreadable as error:
        document.problem_at(error.line, error.message, error.hint)
        return
    if root is not None:
        document.value = _to_values(root, (), document.lines)


def _decode(content: bytes, form: FileFormat) -> str:
    if len(content) > form.max_bytes:
        raise Unreadable(f"the file is over {form.max_bytes >> 20} MiB", hint=f"is this {form.name}?")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable("the file is not UTF-8", content.count(b"\n", 0, error.start) + 1, "save it as UTF-8") from None


def _refuse_control_characters(text: str, form: FileFormat) -> None:
    control = _CONTROL.search(text)
    if control:
        line = text.count("\n", 0, control.start()) + 1
        raise Unreadable(f"the file holds the control character U+{ord(control[0]):04X}", line, f"is this {form.name}?")


class _Builder:
    """Builds the tree of nodes from the events of one file."""

    def __init__(self, document: Document, form: FileFormat) -> None:
        self._document = document
        self._form = form
        self._stack: list[_Node] = []
        self._anchors: dict[str, _Node] = {}
        self._root: _Node | None = None
        self._size = 0

    def build(self, text: str) -> _Node | None:
        """The root, None for an empty file. Raises Unreadable."""
        for event in _events(text, self._form):
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
                raise Unreadable("a second document begins here (---)", line, "one file holds one document")
        return self._root

    def _open(self, event: Any, line: int) -> None:
        mapping = isinstance(event, yaml.MappingStartEvent)
        self._check_depth(1, line)
        if event.tag not in (None, "!", _CORE + ("map" if mapping else "seq")):
            self._document.problem_at(line, f"the tag {_tag(event.tag)} is not allowed", "leave it out")
        if self._expects_key():
            raise Unreadable("a key is a list or a mapping", line, "keys are text; quote a text that begins with [ or {")
        self._stack.append(_Node(line, {} if mapping else [], anchor=event.anchor))

    def _close(self) -> None:
        node = self._stack.pop()
        for line, merged in node.merges:
            self._merge(node, merged, line)
        self._place(node)

    def _scalar(self, event: Any, line: int) -> None:
        if self._expects_key():
            self._key(event, line)
        else:
            self._place(_Node(line, self._value(event, line), anchor=event.anchor))

    def _key(self, event: Any, line: int) -> None:
        if event.tag not in (None, "!", _CORE + "str"):
            self._document.problem_at(line, f"the tag {_tag(event.tag)} is not allowed on a key", "leave it out")
        if event.anchor:
            self._anchors[event.anchor] = _Node(line, event.value)
        if event.value == "" and not event.style:
            self._document.problem_at(line, "a key is empty", "write a name before the colon")
        self._stack[-1].key = _Key(event.value, line, merge=event.value == "<<" and not event.style)

    def _value(self, event: Any, line: int) -> Any:
        if event.tag in (None, "!"):
            return self._form.scalar(event.value) if not event.style and event.tag is None else event.value
        core, kind = event.tag.startswith(_CORE), event.tag.removeprefix(_CORE)
        if core and kind == "str":
            return event.value
        if not core or kind not in _TAGGED_TYPES:
            self._document.problem_at(line, f"the tag {_tag(event.tag)} is not allowed", "leave it out")
            return event.value
        value: Any = plain_value(event.value)
        fits = isinstance(value, _TAGGED_TYPES[kind]) and (kind == "bool" or not isinstance(value, bool))
        if fits:
            return float(value) if kind == "float" else value
        self._document.problem_at(line, f"the value is not of the type its tag !!{kind} says", "leave the tag out")
        return event.value

    def _alias(self, event: Any, line: int) -> None:
        if self._expects_key():
            raise Unreadable("a key is an alias", line, "write the key out")
        if any(node.anchor == event.anchor for node in self._stack):
            raise Unreadable(f"the alias *{shown(event.anchor)} is inside what it names", line)
        if event.anchor not in self._anchors:
            raise Unreadable(f"the alias *{shown(event.anchor)} names nothing", line, "its &anchor must come before it")
        self._place(self._anchors[event.anchor], line)

    def _expects_key(self) -> bool:
        """Whether the next node is a key of the mapping being read."""
        return bool(self._stack) and isinstance(self._stack[-1].content, dict) and self._stack[-1].key is None

    def _place(self, node: _Node, line: int | None = None) -> None:
        """Add a finished node to its parent; an alias (``line``) adds the size of what it names once more."""
        if line is None and node.anchor:
            self._anchors[node.anchor] = node
        self._size += 1 if line is None else node.size
        if self._size > self._form.max_values:
            raise Unreadable(f"the file says more than {self._form.max_values} values", line or node.line, _ALIASES)
        self._check_depth(node.depth, line or node.line)
        if not self._stack:
            self._root = node
            return
        parent = self._stack[-1]
        parent.size += node.size
        parent.depth = max(parent.depth, node.depth + 1)
        if isinstance(parent.content, list):
            parent.content.append(node)
        elif parent.key is not None:
            key, parent.key = parent.key, None
            self._add_member(parent, key, node)

    def _add_member(self, parent: _Node, key: _Key, node: _Node) -> None:
        if key.merge:
            parent.merges.append((key.line, node))
        elif key.text in parent.content:
            first = parent.content[key.text][0]
            message = f"the key {shown(key.text)} is written twice, first in line {first}"
            self._document.problem_at(key.line, message, "keep one of them")
        else:
            parent.content[key.text] = (key.line, node)

    def _check_depth(self, added: int, line: int) -> None:
        if len(self._stack) + added > self._form.max_depth:
            raise Unreadable(f"the file is nested more than {self._form.max_depth} deep", line, _ALIASES)

    def _merge(self, node: _Node, merged: _Node, line: int) -> None:
        sources = merged.content if isinstance(merged.content, list) else [merged]
        for source in sources:
            if not isinstance(source.content, dict):
                self._document.problem_at(line, "<< takes a mapping or a list of mappings", "as in: <<: *anchor")
                return
            for key, member in source.content.items():
                node.content.setdefault(key, member)


def _tag(tag: str) -> str:
    return shown(tag.replace(_CORE, "!!"))


def _events(text: str, form: FileFormat) -> Iterator[Any]:
    try:
        yield from yaml.parse(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, text, form) from None
    except yaml.YAMLError:
        raise Unreadable("not YAML") from None


def _syntax_error(error: yaml.MarkedYAMLError, text: str, form: FileFormat) -> Unreadable:
    mark = error.problem_mark or error.context_mark
    lines = text.rstrip().split("\n")
    line = min(mark.line + 1, len(lines)) if mark else len(lines)  # at the end of a file the mark is one further
    begun = f" begun in line {error.context_mark.line + 1}," if error.context_mark and error.context_mark.line + 1 != line else ""
    message = f"{error.context or ''}{begun} {error.problem or ''}".strip()
    if "nesting depth" in message:  # newer versions of libyaml scan ahead and have a limit of their own, of thousands
        return Unreadable(f"the file is nested more than {form.max_depth} deep", line)
    near = lines[max(0, line - 2) : line]
    hint = None
    if any("\t" in part[: len(part) - len(part.lstrip())] or re.match(r"[^#]*:\t", part) for part in near):
        hint = "YAML is indented with spaces, and there is a tab"
    elif any(re.search(r"[{,]\s*[\w-]+:\s*\$\{", part) for part in near):
        hint = 'within braces, a variable needs quotation marks: {api_key: "${NAME}"}'
    return Unreadable(f"not YAML: {message}", line, hint)


def _to_values(node: _Node, path: Path, lines: dict[Path, int]) -> Any:
    """Values without nodes. Recursion is bounded by the format's depth and number of values."""
    lines.setdefault(path, node.line)
    if isinstance(node.content, list):
        return [_to_values(item, (*path, index), lines) for index, item in enumerate(node.content)]
    if isinstance(node.content, dict):
        values = {}
        for key, (line, value) in node.content.items():
            here = (*path, key)
            lines[here] = line
            values[key] = _to_values(value, here, lines)
        return values
    return node.content
