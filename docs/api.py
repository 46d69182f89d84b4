#!/usr/bin/env python3
"""Writes tests/house/api.txt: every public name with its signature, as the source declares it.

    python docs/api.py

tests/house/test_api.py compares the file with the package, so that a review sees every change of the public API.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import griffe

sys.path.insert(0, str(Path(__file__).parent))

from reference import ROOT, defined, load, parameters, public_names, returned  # type: ignore[import-not-found]

FILE = ROOT / "tests" / "house" / "api.txt"
HEADING = "# Every public name with its signature. Written by docs/api.py: after a change, run make docs.\n"
# The packages and modules that have public names of their own. A name that llm_sync exports too is listed as llm_sync's.
ROOMS = ("batch", "config", "errors", "events", "providers", "reports", "simulator")
WIDTH = 120  # a longer signature gets a line for each parameter, so that a diff shows the one that changed
MAX_VALUE = 60  # a longer value of a class attribute is a schema or a table, which is no part of a signature

Public = Mapping[str, griffe.Object]


def api() -> str:
    """The content of the file."""
    package = load()
    definitions = {name: defined(package, room, name) for name, room in public_names(package).items()}
    paths = {name: f"llm_sync.{name}" for name in definitions}
    for room in ROOMS:
        for name in _exported(package[room]):
            if name not in definitions:
                definitions[name] = defined(package, f"llm_sync.{room}", name)
                paths[name] = f"llm_sync.{room}.{name}"
    entries = (
        entry
        for name in sorted(definitions, key=paths.__getitem__)
        for entry in _entries(paths[name], definitions[name], definitions)
    )
    return HEADING + "".join(f"{entry}\n" for entry in entries)


def _exported(room: griffe.Object) -> list[str]:
    """The names in a room's ``__all__``; without one, the public classes that it defines."""
    if room.exports is not None:
        return [str(name) for name in room.exports]
    return [name for name, member in room.members.items() if name[0] != "_" and not member.is_alias and member.is_class]


def _entries(path: str, definition: griffe.Object, public: Public) -> Iterator[str]:
    """A public name; if it is a class, also what can be called, read or set of it, by name."""
    if isinstance(definition, griffe.Function):
        yield _call(path, parameters(definition, skip=0, types=True), returned(definition))
        return
    bases = [str(base) for base in definition.bases if str(base) in public]  # type: ignore[attr-defined]
    yield f"class {path}({', '.join(bases)})" if bases else f"class {path}"
    members = _members(definition, public)
    constructor = members.pop("__init__", None)
    if constructor is not None:
        yield _call(path, parameters(constructor, skip=1, types=True))
    elif "NamedTuple" in map(str, definition.bases):  # type: ignore[attr-defined]
        yield _call(path, [f"{name}{_declared(member, value=True)}" for name, member in members.items() if _is_field(member)])
    for name, member in sorted(members.items()):
        yield from _member(f"{path}.{name}", member, fields="dataclass" in definition.labels)


def _members(definition: griffe.Object, public: Public) -> dict[str, griffe.Object]:
    """A class's constructor and public members, with those it inherits from classes that are not public themselves."""
    inherited = [base for base in definition.mro() if base.name not in public]  # type: ignore[attr-defined]
    every = {name: member for kind in [*reversed(inherited), definition] for name, member in kind.members.items()}
    return {name: member for name, member in every.items() if name == "__init__" or name[0] != "_"}


def _is_field(member: griffe.Object) -> bool:
    return isinstance(member, griffe.Attribute) and member.annotation is not None and "property" not in member.labels


def _member(path: str, member: griffe.Object, *, fields: bool) -> Iterator[str]:
    """A method, property or attribute. With ``fields`` the constructor has shown the defaults of attributes."""
    if isinstance(member, griffe.Function):
        kind = next((label for label in ("classmethod", "staticmethod") if label in member.labels), "")
        parts = parameters(member, skip=0 if kind == "staticmethod" else 1, types=True)
        yield _call(path, parts, returned(member) + (f"  [{kind}]" if kind else ""))
    elif "property" in member.labels:
        yield f"{path}{_declared(member)}  [property]"
    else:
        yield f"{path}{_declared(member, value='class-attribute' in member.labels and not fields)}"


def _declared(member: griffe.Object, *, value: bool = False) -> str:
    """The type of an attribute and, if wanted, its value."""
    annotation, given = member.annotation, member.value  # type: ignore[attr-defined]
    kind = "" if annotation is None else f": {annotation}"
    if not value or given is None:
        return kind
    return f"{kind} = {given if len(str(given)) <= MAX_VALUE else '…'}"


def _call(path: str, parts: Sequence[str], end: str = "") -> str:
    """How something is called."""
    line = f"{path}({', '.join(parts)}){end}"
    return line if len(line) <= WIDTH else "".join([f"{path}(\n", *(f"    {part},\n" for part in parts), f"){end}"])


if __name__ == "__main__":
    FILE.write_text(api(), encoding="utf-8")
    print(FILE)
