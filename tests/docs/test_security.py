"""SECURITY.md: every promise names tests, and each of them exists."""

from __future__ import annotations

import ast
import re

import pytest
from docs_world import ROOT  # type: ignore[import-not-found]

PAGE = (ROOT / "SECURITY.md").read_text("utf-8")
PROMISES = PAGE.partition("\n## What is promised\n")[2].partition("\n## ")[0]
ROWS = [
    (promise, tests)
    for promise, tests in re.findall(r"^\| (.+?) \| (.+) \|$", PROMISES, re.MULTILINE)
    if (promise, tests) != ("promise", "tests")
]


def test_there_are_promises_for_each_kind_of_danger() -> None:
    """Every section below the heading has a table, and every row of a table is read."""
    sections = re.split(r"^### ", PROMISES, flags=re.MULTILINE)[1:]
    assert len(sections) >= 4
    assert all("| promise | tests |" in section for section in sections)
    assert sum(tests.count("::test_") for _, tests in ROWS) == PROMISES.count("::test_") - 1  # one is in the prose above


@pytest.mark.parametrize(("promise", "tests"), ROWS, ids=[promise for promise, _ in ROWS])
def test_a_promise_names_tests_that_exist(promise: str, tests: str) -> None:
    """Each as `file::test`, and nothing else in the row; a test that is renamed or moved is renamed here."""
    assert promise.endswith(".")
    named = re.findall(r"`([^`]+)::(test_\w+)`", tests)
    assert named
    assert ", ".join(f"`{file}::{name}`" for file, name in named) == tests
    for file, name in named:
        assert (ROOT / file).is_file(), file
        assert name in {
            node.name for node in ast.walk(ast.parse((ROOT / file).read_text("utf-8"))) if isinstance(node, ast.FunctionDef)
        }
