"""Every fault in the table, met by a whole client: what it gets, what was sent and billed, how long, and what is left behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults_table import DIALECTS, DOORS, TABLE, Cell, cells, held, meet  # type: ignore[import-not-found]

from llm_sync.simulator.faults.script_schema import ACTIONS

CELLS = list(cells())
# Each fault once, in one dialect after the other and through one door after the other; the soak has the rest.
FIRST = [
    (found := [cell for cell in CELLS if cell.fault is fault])[number * (len(DIALECTS) + 1) % len(found)]
    for number, fault in enumerate(TABLE)
]


def holds(cell: Cell) -> None:
    """One cell comes to what its row says, in its time, and leaves nothing behind."""
    found = meet(cell)
    assert held(cell, found), found


@pytest.mark.parametrize("cell", FIRST, ids=lambda cell: cell.title)
def test_each_fault_once(cell: Cell) -> None:
    """In the dialect and through the door whose turn it is."""
    holds(cell)


@pytest.mark.soak
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.title)
def test_every_cell(cell: Cell) -> None:
    """Every fault, in every dialect, through every door for which it makes sense."""
    holds(cell)


def test_every_action_has_a_row() -> None:
    """An action that no client is led into proves nothing."""
    assert {next(iter(fault.does)) for fault in TABLE} == set(ACTIONS)


def test_the_table_has_every_dialect_and_names_each_fault_once() -> None:
    """A cell that is not there cannot fail."""
    assert {(cell.dialect, cell.door) for cell in FIRST} <= {(dialect, door) for dialect in DIALECTS for door in DOORS}
    assert len({cell.dialect for cell in FIRST}) == len(DIALECTS)
    assert len({fault.name for fault in TABLE}) == len(TABLE)
    for fault in TABLE:
        for door in ("generate", "batch"):
            assert {cell.dialect for cell in CELLS if cell.fault is fault and cell.door == door} == set(DIALECTS)


def test_the_page_is_of_this_table() -> None:
    """docs/reliability.md has a row for each fault, with what the table says of it; ``make reliability`` writes it anew."""
    page = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text("utf-8")
    rows = [[column.strip(" `") for column in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("| ")]
    told = {name: row[0::2] for name, *row in rows[1:]}
    assert list(told) == [fault.name for fault in TABLE]
    for fault in TABLE:
        assert all(word.startswith(fault.ends.what) for word in told[fault.name][:2])
        assert told[fault.name][2].startswith("–" if fault.lists is None else fault.lists.what)
