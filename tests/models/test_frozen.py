"""Frozen dataclasses that cost little: they do what the standard library's do."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, InitVar, field, fields, replace
from typing import Any, ClassVar

import pytest

from llm_sync import Usage
from llm_sync.models.frozen import Frozen, dataclass


@dataclass(frozen=True, repr=False, eq=False)
class Ours(Frozen):
    """With one field of each kind."""

    KIND: ClassVar[str] = "kind"

    name: str
    secret: str = field(default="s", repr=False)
    line: int = field(default=0, compare=False)
    inner: Any = None


@dataclasses.dataclass(frozen=True)
class Usual:
    """The same, as the standard library makes it."""

    KIND: ClassVar[str] = "kind"

    name: str
    secret: str = field(default="s", repr=False)
    line: int = field(default=0, compare=False)
    inner: Any = None


@dataclass(frozen=True, repr=False, eq=False)
class OursBelow(Ours):
    """A subclass, with fields that are given by name, made, passed on, and read after all are there."""

    made: list[int] = field(default_factory=list, kw_only=True)
    suffix: InitVar[str] = ""

    def __post_init__(self, suffix: str) -> None:
        object.__setattr__(self, "name", self.name + suffix)


@dataclasses.dataclass(frozen=True)
class UsualBelow(Usual):
    """The same, as the standard library makes it."""

    made: list[int] = field(default_factory=list, kw_only=True)
    suffix: InitVar[str] = ""

    def __post_init__(self, suffix: str) -> None:
        object.__setattr__(self, "name", self.name + suffix)


PAIRS = [(Ours, Usual), (OursBelow, UsualBelow)]


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
        """Has the same fields."""

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


@pytest.mark.parametrize(("ours", "usual"), PAIRS)
@pytest.mark.parametrize(
    ("args", "given"),
    [
        (("a",), {}),
        (("a", "b", 3), {"inner": 4}),
        ((), {"inner": 4, "name": "a"}),
        (("a",), {"made": [1], "suffix": "z"}),
        ((), {}),
        (("a",), {"name": "a"}),
        (("a",), {"other": 1}),
        (("a", "b", 3, 4, "z", 6), {}),
    ],
)
def test_they_are_made_as_ever(ours: type[Any], usual: type[Any], args: tuple[Any, ...], given: dict[str, Any]) -> None:
    """The same values in the same order, or the same TypeError."""
    assert _outcome(ours, args, given) == _outcome(usual, args, given).replace("Usual", "Ours")


def _outcome(kind: type[Any], args: tuple[Any, ...], given: dict[str, Any]) -> str:
    try:
        return str(vars(kind(*args, **given)))
    except TypeError as error:
        return str(error)


def test_each_has_a_list_of_its_own() -> None:
    """A factory is called for each instance."""
    one, other = OursBelow("a"), OursBelow("a")
    assert one.made == other.made == []
    assert one.made is not other.made


@pytest.mark.parametrize(("ours", "usual"), PAIRS)
def test_they_are_described_as_ever(ours: type[Any], usual: type[Any]) -> None:
    """Signature, fields and what a pattern matches; also before the first instance is made."""
    fresh: type[Any] = dataclass(frozen=True, repr=False, eq=False)(type(ours.__name__, (ours,), {"__annotations__": {}}))
    for each in (ours, fresh):
        assert str(inspect.signature(each)) == str(inspect.signature(usual))
        assert [(one.name, one.type, one.kw_only) for one in fields(each)] == [
            (one.name, one.type, one.kw_only) for one in fields(usual)
        ]
        assert each.__match_args__ == usual.__match_args__


@pytest.mark.parametrize("change", [lambda one: setattr(one, "name", "b"), lambda one: delattr(one, "line")])
@pytest.mark.parametrize(("ours", "usual"), PAIRS)
def test_they_do_not_change(ours: type[Any], usual: type[Any], change: Callable[[Any], None]) -> None:
    """Neither a field, nor by a new attribute; a subclass that is no dataclass may have further ones."""
    with pytest.raises(FrozenInstanceError) as caught:
        change(ours("a"))
    with pytest.raises(FrozenInstanceError) as expected:
        change(usual("a"))
    assert str(caught.value) == str(expected.value)
    with pytest.raises(FrozenInstanceError):
        ours("a").other = 1
    plain = type("Plain", (ours,), {})("a")
    plain.other = 1
    del plain.other
    with pytest.raises(FrozenInstanceError):
        change(plain)


def test_programs_may_derive_dataclasses_from_them() -> None:
    """Frozen ones, of the standard library: another kind of dataclass cannot inherit a frozen one."""

    @dataclasses.dataclass(frozen=True)
    class Derived(Ours):
        more: int = 2

    assert (Derived("a", more=3).more, Derived("a").secret) == (3, "s")
    assert str(inspect.signature(Derived)).endswith("more: 'int' = 2) -> None")
    with pytest.raises(TypeError, match="cannot inherit"):
        dataclasses.dataclass(type("Thawed", (Ours,), {}))


def test_a_subclass_may_have_an_init_of_its_own() -> None:
    """It calls that of the dataclass, and is shown with its own signature."""

    class Own(Ours):
        def __init__(self, twice: str) -> None:
            super().__init__(twice * 2)

    assert Own("a").name == "aa"
    assert str(inspect.signature(Own)) == "(twice: 'str') -> 'None'"


def test_they_are_copied_and_replaced() -> None:
    """Copied, pickled, and with a field replaced."""
    one = Ours("a", inner=[1])
    for same in (copy.copy(one), copy.deepcopy(one), pickle.loads(pickle.dumps(one)), replace(one)):  # noqa: S301
        assert vars(same) == vars(one)
    assert replace(one, name="b").name == "b"


def test_other_options_are_refused() -> None:
    """A class that wants them takes the standard library's decorator."""
    with pytest.raises(TypeError, match=r"use dataclasses\.dataclass"):
        dataclass(frozen=True)
