"""What a model gets to know of a function, and what the function gets of what the model writes."""

from __future__ import annotations

import dataclasses
import enum
import functools
from collections.abc import Sequence
from datetime import date, datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NewType, Optional, TypedDict, Union

import pytest

from llm_sync import InvalidRequestError, Tool
from llm_sync.client.tools.content import content_of
from llm_sync.client.tools.misfits import Misfit

if TYPE_CHECKING:
    from decimal import Decimal


class Unit(enum.Enum):
    C = "celsius"
    F = "fahrenheit"


@dataclasses.dataclass
class Place:
    city: str
    country: str = "NO"


class Range(TypedDict):
    low: int
    high: int


UserId = NewType("UserId", int)
STRING, INTEGER = {"type": "string"}, {"type": "integer"}
PLACE = {
    "type": "object",
    "properties": {"city": STRING, "country": STRING},
    "required": ["city"],
    "additionalProperties": False,
}

# annotation, its schema, what the model writes, what the function gets
CASES: list[tuple[Any, Any, Any, Any]] = [
    (str, STRING, "a", "a"),
    (int, INTEGER, 3.0, 3),
    (float, {"type": "number"}, 3, 3.0),
    (bool, {"type": "boolean"}, True, True),
    (Any, {}, {"a": [1]}, {"a": [1]}),
    (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}, "b", "b"),
    (Literal[1, "x"], {"enum": [1, "x"]}, 1, 1),
    (Optional[int], {"anyOf": [INTEGER, {"type": "null"}]}, None, None),  # noqa: UP045
    (int | None, {"anyOf": [INTEGER, {"type": "null"}]}, 4, 4),
    (Union[int, str], {"anyOf": [INTEGER, STRING]}, "a", "a"),  # noqa: UP007
    (list[int], {"type": "array", "items": INTEGER}, [1, 2], [1, 2]),
    (Sequence[str], {"type": "array", "items": STRING}, ["a"], ["a"]),
    (set[str], {"type": "array", "items": STRING}, ["a", "a"], {"a"}),
    (tuple[int, ...], {"type": "array", "items": INTEGER}, [1], (1,)),
    (tuple[int, int], {"type": "array", "items": INTEGER, "minItems": 2, "maxItems": 2}, [1, 2], (1, 2)),
    (dict[str, int], {"type": "object", "additionalProperties": INTEGER}, {"a": 1}, {"a": 1}),
    (dict, {"type": "object"}, {"a": None}, {"a": None}),
    (Unit, {"type": "string", "enum": ["celsius", "fahrenheit"]}, "celsius", Unit.C),
    (Place, PLACE, {"city": "Oslo"}, Place("Oslo")),
    (list[Place], {"type": "array", "items": PLACE}, [{"city": "Oslo"}], [Place("Oslo")]),
    (
        Range,
        {
            "type": "object",
            "properties": {"low": INTEGER, "high": INTEGER},
            "required": ["low", "high"],
            "additionalProperties": False,
        },
        {"low": 1, "high": 2},
        {"low": 1, "high": 2},
    ),
    (Annotated[int, "of the house"], {"type": "integer", "description": "of the house"}, 1, 1),
    (UserId, INTEGER, 7, 7),
    (date, {"type": "string", "format": "date"}, "2026-11-30", date(2026, 11, 30)),
    (
        datetime,
        {"type": "string", "format": "date-time"},
        "2026-11-30T12:00:00Z",
        datetime(2026, 11, 30, 12, tzinfo=timezone.utc),
    ),
    (Path, STRING, "a/b", Path("a/b")),
]


def tool_of(annotation: Any, default: Any = dataclasses.MISSING) -> Tool:
    """A tool with one parameter of this type, which returns what it gets."""

    def given(value: Any) -> Any:
        return value

    given.__annotations__ = {"value": annotation}
    if default is not dataclasses.MISSING:
        given.__defaults__ = (default,)
    return Tool(given)


@pytest.mark.parametrize(("annotation", "schema", "written", "read"), CASES, ids=lambda value: str(value)[:30])
def test_a_type_is_described_and_read(annotation: Any, schema: Any, written: Any, read: Any) -> None:
    """The model is told the type, and the function gets a value of it."""
    tool = tool_of(annotation)
    assert tool.parameters["properties"]["value"] == schema
    assert tool.parameters["required"] == ["value"]
    value = tool.bind({"value": written})()
    assert value == read
    assert type(value) is type(read)


@pytest.mark.parametrize(
    ("annotation", "written", "problem"),
    [
        (int, "3", 'value: expected an integer, found "3"'),
        (int, 3.5, "value: expected an integer, found 3.5"),
        (float, 10**400, "value: a number of fewer digits is needed"),
        (Literal["a"], "b", "value: expected one of 'a', found \"b\""),
        (Literal[1], True, "value: expected one of 1, found true"),
        (list[int], [1, "x"], 'value[1]: expected an integer, found "x"'),
        (int | None, "x", 'value: expected an integer or null, found "x"'),
        (Place, {"town": "Oslo"}, "value.town: there is no such name; the names are: city, country"),
        (Place, {}, "value.city: it is required, and missing"),
        (list[Place] | None, [{"city": 1}], "value[0].city: expected a string, found 1"),
        (date, "yesterday", 'value: expected a date as a string, found "yesterday"'),
        (tuple[int, int], [1], "value: expected an array of 2 values, found [1]"),
        (set[dict], [{}], "value: expected an array of strings, numbers or booleans, found [{}]"),
        (str, None, "value: expected a string, found null"),
    ],
    ids=str,
)
def test_a_value_of_another_type_is_a_misfit(annotation: Any, written: Any, problem: str) -> None:
    """The model is told where it is, what was expected and what it wrote."""
    with pytest.raises(Misfit) as caught:
        tool_of(annotation).bind({"value": written})
    assert str(caught.value) == problem


class Node:
    """No dataclass."""


@dataclasses.dataclass
class Tree:
    children: list[Tree]


@pytest.mark.parametrize("annotation", [Node, bytes, dict[int, str], Tree, "Missing", complex, Literal[b"x"]], ids=str)
def test_a_type_that_cannot_be_described_is_refused(annotation: Any) -> None:
    """When the tool is made, and with the way out."""
    with pytest.raises(InvalidRequestError, match="cannot be described to a model") as caught:
        tool_of(annotation)
    assert "parameters=" in (caught.value.guidance or "")


def test_defaults_are_shown_and_make_a_parameter_optional() -> None:
    """As far as JSON has them."""
    assert tool_of(int, 3).parameters["properties"]["value"] == {"type": "integer", "default": 3}
    assert "required" not in tool_of(Unit, Unit.C).parameters
    assert "default" not in tool_of(Unit, Unit.C).parameters["properties"]["value"]
    assert tool_of(Unit, Unit.C).bind({})() is Unit.C


def google(city: str, days: int = 1) -> None:
    """Tells the weather.

    Only for towns.

    Args:
        city (str): the town,
            in English
        days: how many: at least 1

    Returns:
        nothing
    """


def numpy_style(city: str, days: int = 1) -> None:
    """Tells the weather.

    Only for towns.

    Parameters
    ----------
    city : str
        the town,
        in English
    days : int, optional
        how many: at least 1

    Returns
    -------
    None
    """


def sphinx(city: str, days: int = 1) -> None:
    """Tells the weather.

    Only for towns.

    :param city: the town,
        in English
    :param int days: how many: at least 1
    :returns: nothing
    """


@pytest.mark.parametrize("function", [google, numpy_style, sphinx], ids=lambda function: function.__name__)
def test_a_docstring_describes_the_tool_and_its_parameters(function: Any) -> None:
    """In the styles of Google, NumPy and Sphinx."""
    tool = Tool(function)
    assert tool.description == "Tells the weather.\n\nOnly for towns."
    described = {name: schema["description"] for name, schema in tool.parameters["properties"].items()}
    assert described == {"city": "the town, in English", "days": "how many: at least 1"}


class Shop:
    def price(self, item: str) -> Decimal:  # a name for type checkers only
        """What an item costs."""
        return item  # type: ignore[return-value]

    def __call__(self, item: str) -> str:
        """Buys an item."""
        return item


def counted(a: int, /, b: int, *rest: int, c: int = 0, **more: Any) -> Any:
    """All kinds of parameters."""
    return a, b, rest, c, more


@functools.lru_cache
def cached(item: str) -> str:
    """Cached."""
    return item


def test_methods_partials_and_callables_are_functions_too() -> None:
    """``self`` is no parameter, nor is what a partial has set by name: it may be a key."""
    assert Tool(Shop().price).definition["parameters"]["required"] == ["item"]
    assert (Tool(Shop()).name, Tool(Shop()).description) == ("Shop", "Buys an item.")
    bound = Tool(functools.partial(google, city="a secret"))
    assert bound.name == "google"
    assert list(bound.parameters["properties"]) == ["days"]
    assert "secret" not in str(bound.definition)
    assert Tool(cached).bind({"item": "a"})() == "a"
    assert Tool(counted).bind({"a": 1, "b": 2, "x": 3})() == (1, 2, (), 0, {"x": 3})
    assert list(Tool(counted).parameters["properties"]) == ["a", "b", "c"]


def test_what_is_no_blocking_function_is_refused() -> None:
    """Nothing here is asynchronous."""

    async def later() -> None: ...

    with pytest.raises(InvalidRequestError, match="is an async function"):
        Tool(later)
    with pytest.raises(TypeError, match="a tool is a function, not str"):
        Tool("print")  # type: ignore[arg-type]
    with pytest.raises(InvalidRequestError, match="'<lambda>' is no name for a tool"):
        Tool(lambda: None)


def test_a_given_schema_is_held_against_the_arguments() -> None:
    """Also in the form that other libraries write, and without a further package."""
    schema = {
        "type": "object",
        "properties": {
            "n": {"type": ["integer", "null"]},
            "o": {"anyOf": [{"type": "string"}, {"type": "array", "items": INTEGER}]},
        },
        "additionalProperties": False,
    }
    tool = Tool(lambda **given: given, name="any", parameters=schema)
    assert tool.bind({"n": None, "o": [1]})() == {"n": None, "o": [1]}
    for wrong in ({"n": "x"}, {"m": 1}, {"o": ["x"]}, {"o": 5}):
        with pytest.raises(Misfit):
            tool.bind(wrong)
    with pytest.raises(Misfit, match="the arguments do not fit"):
        Tool(lambda a: a, name="any", parameters={}).bind({"b": 1})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": (1, 2)}, '{"a": [1, 2]}'),
        (Place("Oslo"), '{"city": "Oslo", "country": "NO"}'),
        ([Unit.C, date(2026, 11, 30), Path("a")], '["celsius", "2026-11-30", "a"]'),
        ({"set": {1}}, '{"set": [1]}'),
        ("a\udcffb", "a?b"),
        (bytearray(b"text"), "text"),
        ("", ""),
    ],
    ids=str,
)
def test_results_become_text(value: Any, text: str) -> None:
    """A text as it is, everything else as JSON."""
    assert content_of(value, None).text == text
