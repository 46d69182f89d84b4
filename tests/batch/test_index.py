"""The index: what is set is found, in eight bytes each, wherever it lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_sync.batch.input.selection import Selection
from llm_sync.batch.state import index as module
from llm_sync.batch.state.index import JOURNAL_LINE, NOTHING, TO_SEND, Entry, Index, RouteTable
from llm_sync.errors import InvalidRequestError

ENTRIES = st.builds(Entry, st.integers(1, 3), st.integers(0, 2**16 - 1), st.integers(0, 2**45 - 1), st.booleans())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 40), ENTRIES) | st.integers(0, 40), max_size=60))
def test_it_is_a_list_of_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: list[Any]) -> None:
    """Whatever the order of setting, adding, cutting and looking, and wherever a chunk ends."""
    monkeypatch.setattr(module, "_CHUNK", 4)
    index, model = Index(str(tmp_path)), {}
    count = 0
    for step in steps:
        if isinstance(step, int):
            index.truncate(step)
            model = {slot: entry for slot, entry in model.items() if slot < step}
            count = min(count, step)
        else:
            index.set(*step)
            model[step[0]] = step[1]
            count = max(count, step[0] + 1)
        assert index.count == count
        assert index.get(step if isinstance(step, int) else step[0]) == model.get(
            step if isinstance(step, int) else step[0], Entry(NOTHING, 0, 0)
        )
    assert dict(index.walk()) == model
    wanted = {entry.route for entry in model.values()} & set(range(0, 2**16, 2))
    assert dict(index.to_send(wanted)) == {
        slot: entry for slot, entry in model.items() if entry.state == TO_SEND and entry.route in wanted and not entry.review
    }
    index.close()


def test_a_walk_goes_on_while_entries_change(tmp_path: Path) -> None:
    """A lane's own requests end behind it."""
    index = Index(str(tmp_path))
    for place in range(10_000):
        index.add(Entry(TO_SEND, 1 + place % 2, place))
    seen = []
    for slot, entry in index.to_send([1]):
        seen.append(slot)
        index.set(slot, Entry(JOURNAL_LINE, entry.route, 7))
    assert seen == list(range(0, 10_000, 2))
    assert [slot for slot, _ in index.to_send([1, 2])] == list(range(1, 10_000, 2))
    index.close()


def test_an_offset_that_is_too_large_is_an_error(tmp_path: Path) -> None:
    """Not wrapped around."""
    index = Index(str(tmp_path))
    with pytest.raises(OverflowError):
        index.add(Entry(TO_SEND, 0, 2**45))
    index.close()


def test_routes_are_numbered_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a number fits into an entry."""
    routes = RouteTable()
    assert [routes.number("a", str(number % 3)) for number in range(6)] == [1, 2, 3, 1, 2, 3]
    assert (routes.named(2), routes.of("a"), routes.of("b"), routes.number(None, None)) == (("a", "1"), [1, 2, 3], [], 0)
    monkeypatch.setattr("llm_sync.batch.state.index.MAX_ROUTES", 4)
    with pytest.raises(InvalidRequestError, match="more than 3 different models"):
        routes.number("a", "x")


@given(st.integers(1, 7), st.integers(1, 7), st.integers(0, 40), st.integers(0, 60))
def test_shards_take_every_line_once(parts: int, width: int, limit: int, lines: int) -> None:
    """And each slot knows its line."""
    models = tuple(("p", str(number)) for number in range(width))
    taken: list[int] = []
    for part in range(1, parts + 1):
        selection = Selection.of((part, parts), limit, models)  # type: ignore[arg-type]
        mine = [position for position in range(lines) if selection.takes(position)]
        slots = [slot for position in mine for slot in selection.slots(position)]
        assert slots == list(range(len(slots)))
        assert [selection.position(slot) for slot in slots] == [position for position in mine for _ in range(width)]
        taken += mine
    assert sorted(taken) == list(range(min(lines, limit)))


@pytest.mark.parametrize("shard", [(0, 2), (3, 2), (1, 0), (-1, 2)])
def test_an_impossible_shard_is_refused(shard: tuple[int, int]) -> None:
    """They are counted from 1."""
    with pytest.raises(InvalidRequestError, match="there is no shard"):
        Selection.of(shard, None, None)
    with pytest.raises(InvalidRequestError, match="limit=-1"):
        Selection.of(None, -1, None)
