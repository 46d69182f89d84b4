"""No module of llm_sync imports, by whatever way round, one that imports it: at run time, in functions, or for type checkers."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import llm_sync

PACKAGE = Path(llm_sync.__file__).parent


def modules() -> dict[str, Path]:
    """Every module by its name, but for ``llm_sync`` itself, which loads its names on first use."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return {name: path for name, path in found.items() if name != "llm_sync"}


def imported(source: str, known: Mapping[str, object]) -> Iterator[str]:
    """The modules among ``known`` that a source imports anywhere in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield from (each for each in (name if name in known else node.module,) if each in known)


def cycles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """The sets of modules that lead to each other (Tarjan's strongly connected components of more than one)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        order[name] = lowest[name] = len(order)
        stack.append(name)
        for other in graph[name]:
            if other not in order:
                visit(other)
            if other in stack:
                lowest[name] = min(lowest[name], lowest[other])
        if lowest[name] == order[name]:
            members = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(members) > 1:
                found.append(sorted(members))

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, 5 * len(graph)))
    try:
        for name in graph:
            if name not in order:
                visit(name)
    finally:
        sys.setrecursionlimit(limit)  # other tests count on it
    return found


def test_there_is_no_import_cycle() -> None:
    """A cycle means that two modules are one, or that something lies in the wrong one of them."""
    known = modules()
    graph = {name: set(imported(path.read_text("utf-8"), known)) - {name} for name, path in known.items()}
    assert sum(map(len, graph.values())) > 500  # it does read them
    assert cycles(graph) == []


def test_a_cycle_would_be_found() -> None:
    """Also one of several modules, of which one names another for type checkers only."""
    sources = {
        "p.a": "from p import b",
        "p.b": "def later():\n    import p.c",
        "p.c": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p.a import Name",
        "p.d": "import p.a",
    }
    graph = {name: set(imported(source, sources)) for name, source in sources.items()}
    assert cycles(graph) == [["p.a", "p.b", "p.c"]]
