#!/usr/bin/env python3
"""Writes the reference in docs/python.md from the package's docstrings, which griffe reads without importing anything.

    python docs/reference.py [--check]

With --check nothing is written; the exit status is 1 when the page is not what would be written.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import griffe

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "python.md"
BEGIN, END = "<!-- docs/reference.py writes from here … -->", "<!-- … to here -->"

# What a reader meets first comes first; whatever else is public follows by its name. Errors have a page of their own.
ORDER = (
    "generate",
    "run_tools",
    "close",
    "LLMClient",
    "ModelRequest",
    "Message",
    "Part",
    "ToolCall",
    "Tool",
    "ToolRun",
    "ToolRound",
    "ToolResult",
    "ModelResponse",
    "Usage",
    "Adjustment",
    "ModelListing",
    "ProviderStatus",
    "ConfigLoader",
    "ConfigValidator",
    "LLMConfig",
    "ProviderFactory",
)
ERRORS = "llm_sync.errors"


class _Dataclasses(griffe.Extension):
    """Lets griffe take the decorator of models/frozen.py for the standard library's, as type checkers do."""

    def on_alias_instance(self, *, alias: griffe.Alias, **_: object) -> None:
        """Called with each name that a module imports."""
        if alias.target_path == "llm_sync.models.frozen.dataclass":
            alias.target_path = "dataclasses.dataclass"


def load() -> griffe.Object:
    """The package, as its source says: nothing is imported."""
    extensions = griffe.load_extensions(_Dataclasses)
    return griffe.load("llm_sync", search_paths=[str(ROOT)], try_relative_path=False, extensions=extensions)  # type: ignore[return-value]


def public_names(package: griffe.Object) -> dict[str, str]:
    """Name -> the module it is defined in, from the table in llm_sync/__init__.py."""
    rooms = package["_ROOMS"].value
    return {str(name).strip("'\""): str(room).strip("'\"") for room, names in _items(rooms) for name in names.elements}


def _items(mapping: griffe.ExprDict) -> Iterator[tuple[griffe.Expr, griffe.ExprTuple]]:
    return zip(mapping.keys, mapping.values, strict=True)  # type: ignore[arg-type]


def reference() -> str:
    """The whole reference, in Markdown."""
    package = load()
    homes = {name: room for name, room in public_names(package).items() if room != ERRORS}
    names = [name for name in ORDER if name in homes] + sorted(name for name in homes if name not in ORDER)
    return "\n".join(part for name in names for part in _entry(name, defined(package, homes[name], name)))


def defined(package: griffe.Object, room: str, name: str) -> griffe.Object:
    """The class or function behind a public name of a room, wherever in the room it is defined."""
    definition = package[f"{room.partition('.')[2]}.{name}"]
    while definition.is_alias:  # a package's own public names come from its files
        definition = package[definition.target_path.partition(".")[2]]
    return definition


def _entry(name: str, definition: griffe.Object) -> Iterator[str]:
    yield f"### {name}\n"
    if isinstance(definition, griffe.Function):
        yield from _call(f"llm_sync.{name}", definition, skip=0)
        return
    if "dataclass" in definition.labels:
        yield f"{_text(definition)}\n"
        yield from _fields(definition)
    else:
        yield from _call(name, definition["__init__"] if "__init__" in definition.members else None, skip=1)
        yield f"{_text(definition)}\n"
    for member in sorted(definition.members.values(), key=lambda member: member.lineno or 0):
        if member.name.startswith("_") or not (isinstance(member, griffe.Function) or "property" in member.labels):
            continue
        if "property" in member.labels:
            yield f"#### {name}.{member.name}\n\n{_text(member)}\n"
        else:
            yield f"#### {name}.{member.name}()\n"
            yield from _call(f".{member.name}", member, skip=0 if "staticmethod" in member.labels else 1)


def _call(name: str, function: griffe.Object | None, *, skip: int) -> Iterator[str]:
    """How it is called, then its docstring, unless it is a constructor."""
    if function is None:
        yield f"`{name}()`\n"
        return
    yield f"`{name}({', '.join(parameters(function, skip=skip))}){returned(function)}`\n"
    if function.name != "__init__":
        yield f"{_text(function)}\n"


def parameters(function: griffe.Object, *, skip: int, types: bool = False) -> list[str]:
    """A function's parameters as in its ``def``, with their defaults; the first ``skip`` are left out."""
    parts, star = [], False
    for parameter in list(function.parameters)[skip:]:  # type: ignore[attr-defined]
        kind = str(parameter.kind.value)
        if kind == "keyword-only" and not star:
            parts.append("*")
        star = star or kind in ("keyword-only", "variadic positional")
        mark = {"variadic positional": "*", "variadic keyword": "**"}.get(kind, "")
        typed = f": {parameter.annotation}" if types and parameter.annotation is not None else ""
        equals = " = " if typed else "="
        default = "" if parameter.default is None or mark else f"{equals}{parameter.default}"
        parts.append(f"{mark}{parameter.name}{typed}{default}")
    return parts


def returned(function: griffe.Object) -> str:
    """What follows the parameters: the type that a function returns, nothing for a constructor."""
    if function.name == "__init__" or function.returns is None:  # type: ignore[attr-defined]
        return ""
    return f" -> {function.returns}"  # type: ignore[attr-defined]


def _fields(definition: griffe.Object) -> Iterator[str]:
    yield "| field | type | default |\n|---|---|---|"
    for member in sorted(definition.members.values(), key=lambda member: member.lineno or 0):
        if isinstance(member, griffe.Attribute) and member.annotation is not None and not member.name.startswith("_"):
            kind = str(member.annotation).replace("|", "\\|")
            yield f"| `{member.name}` | `{kind}` | {_default(member)} |"
    yield ""


def _default(member: griffe.Attribute) -> str:
    if member.value is None:
        return "required"
    factory = re.search(r"default_factory=(\w+)", str(member.value))
    if factory:
        return {"dict": "`{}`", "list": "`[]`"}.get(factory[1], f"`{factory[1]}()`")
    given = re.search(r"^field\(default=([^,)]+)", str(member.value))
    return f"`{given[1] if given else member.value}`"


def _text(definition: griffe.Object) -> str:
    """A docstring as Markdown: code in single backticks, examples in blocks of their own."""
    if definition.docstring is None:
        raise SystemExit(f"{definition.path} has no docstring")
    text = inspect.cleandoc(definition.docstring.value)
    text = re.sub(r"::\n\n((?:    .*\n?|\n)+)", lambda code: f":\n\n```python\n{inspect.cleandoc(code[1])}\n```\n", text)
    return text.replace("``", "`").strip() if "```" not in text else text.strip()


def page() -> str:
    """docs/python.md with the reference in its place."""
    text = PAGE.read_text("utf-8")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    return f"{before}{BEGIN}\n\n{reference()}\n{END}{after}"


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if page() == PAGE.read_text("utf-8") else f"{PAGE} is not what docs/reference.py writes: run it")
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
