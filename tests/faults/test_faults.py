"""Every fault in the table: outcome, requests sent and billed, time taken, and what is left behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults_table import CALL_KINDS, DIALECTS, TABLE, Cell, cells, is_as_expected, run_cell  # type: ignore[import-not-found]

from llm_sync.simulator.faults.script_schema import ACTIONS

CELLS = list(cells())
# Each fault once, with alternating dialects and kinds of call; the soak has the rest.
FIRST = [
    (found := [cell for cell in CELLS if cell.fault is fault])[number * (len(DIALECTS) + 1) % len(found)]
    for number, fault in enumerate(TABLE)
]


def holds(cell: Cell) -> None:
    """Assert that one cell has the outcome of its row, in time, and leaves nothing behind."""
    found = run_cell(cell)
    assert is_as_expected(cell, found), found


@pytest.mark.parametrize("cell", FIRST, ids=lambda cell: cell.title)
def test_each_fault_once(cell: Cell) -> None:
    """Each fault has the expected outcome in one dialect and one kind of call."""
    holds(cell)


@pytest.mark.soak
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.title)
def test_every_cell(cell: Cell) -> None:
    """Each fault has the expected outcome in every dialect and every kind of call to which it applies."""
    holds(cell)


def test_every_action_has_a_row() -> None:
    """The table has a row for every action of the simulator that can happen to any single request.

    Not for those of certain requests only: of answers that can be deferred, and of service tiers.
    """
    certain = {"deferred", "served_tier", "no_capacity"}
    single = {name for name, action in ACTIONS.items() if "generate" in action.request_kinds} - certain
    assert {next(iter(fault.action)) for fault in TABLE} == single


def test_the_table_has_every_dialect_and_names_each_fault_once() -> None:
    """The table covers every dialect and kind of call, and its names are unique."""
    assert {(cell.dialect, cell.call_kind) for cell in FIRST} <= {
        (dialect, call_kind) for dialect in DIALECTS for call_kind in CALL_KINDS
    }
    assert len({cell.dialect for cell in FIRST}) == len(DIALECTS)
    assert len({fault.name for fault in TABLE}) == len(TABLE)
    for fault in TABLE:
        for call_kind in ("generate", "batch"):
            assert {cell.dialect for cell in CELLS if cell.fault is fault and cell.call_kind == call_kind} == set(DIALECTS)


def test_the_page_is_of_this_table() -> None:
    """docs/reliability.md has a row for each fault, with the outcomes of the table; ``make reliability`` writes it."""
    page = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text("utf-8")
    rows = [[column.strip(" `") for column in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("| ")]
    told = {name: row[0::2] for name, *row in rows[1:]}
    assert list(told) == [fault.name for fault in TABLE]
    for fault in TABLE:
        assert all(word.startswith(fault.outcome.what) for word in told[fault.name][:2])
        assert told[fault.name][2].startswith("–" if fault.listing is None else fault.listing.what)
