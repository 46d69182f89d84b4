"""docs/migrating.md beside the code: the support of every parameter, and the results of the scripts that were run both ways."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from llm_sync.compat.anthropic import parameters as of_anthropic
from llm_sync.compat.litellm import parameters as of_litellm
from llm_sync.compat.openai import parameters as of_openai
from llm_sync.compat.shim.parameters import Table

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "migrating.md").read_text("utf-8")


def load(path: Path) -> ModuleType:
    """A script as a module."""
    spec = importlib.util.spec_from_file_location(f"script_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_has_the_tables_that_the_code_runs() -> None:
    """docs/shims.py would change nothing."""
    assert load(ROOT / "docs" / "shims.py").page() == PAGE


@pytest.mark.parametrize("table", [*of_openai.TABLES, *of_anthropic.TABLES, *of_litellm.TABLES], ids=lambda table: table.call)
def test_every_parameter_stands_in_its_table(table: Table) -> None:
    """By its name, with its support, under its call."""
    told = [line.split("|")[1:3] for line in PAGE.split("\n### Parameters", 1)[1].splitlines() if line.startswith("| `")]
    for row in table.values():
        assert any(f"`{row.name}`" in names and support.strip() == row.support for names, support in told), row


def test_every_script_was_run_both_ways_and_is_equal() -> None:
    """Whoever adds or changes one runs make interop-shims."""
    shims = load(ROOT / "tests" / "interop" / "shims.py")
    scripts = sorted(shims.SCRIPTS.glob("*.py"))
    results = PAGE.split(shims.BEGIN, 1)[1].split(shims.END, 1)[0].strip().splitlines()[2:]
    told = {line.split("|")[2].strip(): line.split("|")[3].strip() for line in results}
    assert told == {shims.title(script): "equal" for script in scripts}
    assert len(scripts) >= 30
