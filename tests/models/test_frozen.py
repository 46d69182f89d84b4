"""Frozen dataclasses with what they show and compare by in one base: as dataclasses have them."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, field, replace
from typing import Any

import pytest

from llm_sync import Usage
from llm_sync.models.frozen import Frozen


@dataclass(frozen=True, repr=False, eq=False)
class Ours(Frozen):
    """With one field of each kind."""

    name: str
    secret: str = field(default="s", repr=False)
    line: int = field(default=0, compare=False)
    inner: Any = None


@dataclass(frozen=True)
class Usual:
    """The same, as the standard library makes it."""

    name: str
    secret: str = field(default="s", repr=False)
    line: int = field(default=0, compare=False)
    inner: Any = None


VALUES: tuple[dict[str, Any], ...] = (
    {"name": "a"},
    {"name": "b"},
    {"name": "a", "line": 2},
    {"name": "a", "secret": "t"},
    {"name": "a", "inner": (1,)},
)


@pytest.mark.parametrize("one", VALUES)
def test_they_show_and_compare_as_ever(one: dict[str, Any]) -> None:
    """Representation, equality and hash, field by field."""
    assert repr(Ours(**one)) == repr(Usual(**one)).replace("Usual", "Ours")
    assert hash(Ours(**one)) == hash(Usual(**one))
    for other in VALUES:
        assert (Ours(**one) == Ours(**other)) is (Usual(**one) == Usual(**other))


def test_other_kinds_are_never_equal() -> None:
    """Also one that has the same fields, and a subclass."""

    @dataclass(frozen=True, repr=False, eq=False)
    class Further(Ours):
        pass

    assert Ours("a") != Further("a")
    assert Ours("a") != Usual("a")
    assert Ours("a") != "a"


def test_what_holds_itself_is_shown() -> None:
    """Instead of recursing for ever."""
    held: list[Any] = []
    one = Ours("a", inner=held)
    held.append(one)
    assert "..." in repr(one)


def test_public_ones_are_frozen_and_unhashable_where_a_field_is() -> None:
    """As before."""
    usage = Usage(1, 2)
    assert (usage, hash(usage), repr(usage)) == (
        replace(usage),
        hash(Usage(1, 2)),
        "Usage(input_tokens=1, output_tokens=2, cached_tokens=None, reasoning_tokens=None, cache_write_tokens=None)",
    )
    with pytest.raises(FrozenInstanceError):
        usage.input_tokens = 3  # type: ignore[misc]
    with pytest.raises(TypeError, match="unhashable"):
        hash(Ours("a", inner={}))
