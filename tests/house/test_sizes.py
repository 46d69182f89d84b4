"""Modules and functions stay short enough to read in one go."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import llm_sync

PACKAGE = Path(llm_sync.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))
MAX_MODULE, MAX_FUNCTION, MEDIAN_FUNCTION, MIN_MODULE = 300, 60, 8, 15

# Shorter modules, each with the reason why it is one of its own.
SHORT = {
    "__main__.py": "`python -m llm_sync`",
    "compat/openai/version.py": "a module of the original's name: `from openai.version import VERSION`",
}


def functions() -> Iterator[tuple[int, str]]:
    """Each function's length in lines, and where it is."""
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                yield length, f"{path.relative_to(PACKAGE)}:{node.lineno} {node.name}"


def lines(path: Path) -> int:
    """The number of lines of a file."""
    return len(path.read_text("utf-8").splitlines())


def test_no_module_is_longer_than_a_reader_can_hold() -> None:
    """A second topic that moved in gets a module of its own."""
    assert {str(path.relative_to(PACKAGE)): lines(path) for path in MODULES if lines(path) > MAX_MODULE} == {}


def test_no_function_is_longer_than_a_screen() -> None:
    """A long story is told in parts with names."""
    assert [(length, where) for length, where in functions() if length > MAX_FUNCTION] == []


def test_most_functions_do_one_thing() -> None:
    """Half of them have at most this many lines."""
    assert statistics.median(length for length, _ in functions()) <= MEDIAN_FUNCTION


def test_a_short_module_has_a_reason() -> None:
    """A few lines belong beside what they serve, unless there is a reason; reasons of modules that grew are removed."""
    modules = [path for path in MODULES if path.name != "__init__.py"]
    assert {path.relative_to(PACKAGE).as_posix() for path in modules if lines(path) < MIN_MODULE} == set(SHORT)
