"""docs/testing.md beside the code: its tables name what there is. tests/docs runs its examples."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from llm_sync.simulator import RequestRecord
from llm_sync.simulator.faults.error_table import ERROR_KINDS
from llm_sync.simulator.faults.retry_after import RETRY_AFTER_FORMS
from llm_sync.simulator.faults.script import shipped
from llm_sync.simulator.faults.script_schema import _WHEN, ACTIONS, PROVIDERS
from llm_sync.simulator.faults.seeded_random import DISTRIBUTIONS

PAGE = (Path(__file__).parents[2] / "docs" / "testing.md").read_text("utf-8")


def columns(heading: str) -> list[list[str]]:
    """The rows of the table that begins with this column."""
    table = re.search(rf"^\| {heading} \|.*\n\|[-|]+\|\n((?:\|.*\|\n)+)", PAGE, re.MULTILINE)
    assert table
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1].splitlines()]


def words(cell: str) -> list[str]:
    """What stands in code marks."""
    return re.findall(r"`([^`]+)`", cell)


def test_the_tables_name_what_there_is() -> None:
    """Scripts, conditions, actions, errors, hints, distributions and fields: none is missing, none is made up."""
    assert sorted(words(row[0])[0] for row in columns("script")) == shipped()
    assert [words(row[0])[0] for row in columns("condition")] == list(_WHEN)
    assert all(name in columns("condition")[0][1] for name in PROVIDERS)
    actions = {words(row[0])[0]: row for row in columns("action")}
    assert set(actions) == set(ACTIONS)
    assert words(actions["error"][2]) == list(ERROR_KINDS)
    assert {word for row in columns("hint") for word in words(row[0])} == set(RETRY_AFTER_FORMS)
    assert all(f"{name}:" in PAGE for name in DISTRIBUTIONS if name != "seconds")
    fields = {field.name for field in dataclasses.fields(RequestRecord)} - {"arrived", "ended"}
    assert {word for row in columns("field") for word in words(row[0])} == fields | {"ended_at", "billed"}
