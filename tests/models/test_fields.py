"""The table of a request's fields, and that everything else follows from it."""

from __future__ import annotations

import argparse
import ast
import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

import llm_sync
from llm_sync.cli.options.request_options import _add_field_option
from llm_sync.cli.parser import parse
from llm_sync.config import RequestDefaults
from llm_sync.config.schema import request_rules
from llm_sync.errors import InvalidRequestError
from llm_sync.models import ModelRequest, field_checks, fields
from llm_sync.models.fields import ANTHROPIC, ANY_LEVEL, FIELDS, GEMINI, OPENAI, RequestField
from llm_sync.validation import problems

PACKAGE = Path(llm_sync.__file__).parent
CONFIGURABLE = pytest.mark.parametrize("field", fields.CONFIGURABLE, ids=lambda field: field.name)


def test_a_request_has_the_fields_of_the_table() -> None:
    """No more and no fewer; the order of a request's own fields is that of its positional arguments."""
    assert {field.name for field in dataclasses.fields(ModelRequest)} == {field.name for field in FIELDS}
    assert len({field.name for field in FIELDS}) == len(FIELDS)


def test_defaults_are_the_configurable_fields() -> None:
    """In the table's order; a mapping is empty where it is not given, all others are None."""
    assert [field.name for field in dataclasses.fields(RequestDefaults)] == [field.name for field in fields.CONFIGURABLE]
    assert RequestDefaults().top_p is None
    assert RequestDefaults().provider_specific == {}


def test_type_checkers_see_the_same_defaults() -> None:
    """The class that only they read has the attributes of the one that is made of the table."""
    tree = ast.parse((PACKAGE / "config" / "models.py").read_text("utf-8"))
    (seen,) = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == "RequestDefaults"]
    names = [item.target.id for item in seen.body if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)]
    assert names == [field.name for field in fields.CONFIGURABLE]


# Where a field may be spelled out: the table, the typed attribute of a request, what a dialect or a shim has on the wire.
SPELLED = re.compile(r"models/(fields|requests)\.py|config/models\.py|providers/(openai|anthropic|bedrock|gemini|openrouter)/|"
                     r"providers/payload\.py|simulator/dialects/|openai_shape/responses_writer\.py|"
                     r"compat/\w+/(parameters|responses)\.py")  # fmt: skip


def test_a_field_is_spelled_in_the_table_and_on_the_wire_only() -> None:
    """``top_p`` stands for all: nobody else keeps a list of fields."""
    files = [path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py") if "top_p" in path.read_text("utf-8")]
    assert "models/fields.py" in files
    assert [path for path in files if not SPELLED.match(path)] == []


NEW = RequestField(
    "warmth", fields.NUMBER, low=0, high=5, levels=ANY_LEVEL, option=("--warmth", "W", "how warm"), wire={OPENAI: "warmth"}
)


def test_a_new_row_is_checked_configured_and_asked_for() -> None:
    """A row that is in no other place has its check, its schema and its option."""
    assert field_checks.check_field(NEW, 4) == 4
    with pytest.raises(InvalidRequestError, match="warmth=6 is out of range"):
        field_checks.check_field(NEW, 6)
    (problem,) = problems({"warmth": 6}, request_rules([NEW]))
    assert (problem.path, problem.message) == (("warmth",), "expected a number from 0 to 5, found 6")
    parser = argparse.ArgumentParser(prog="x")
    _add_field_option(parser.add_argument_group("request"), NEW)
    assert parser.parse_args(["--warmth", "4"]).warmth == 4
    assert re.search(r"--warmth W\s+how warm", parser.format_help())


VALUES: dict[str, Any] = {
    fields.NUMBER: 1,
    fields.WHOLE: 1,
    fields.TEXT: "x",
    fields.TEXTS: ["x"],
    fields.MAPPING: {"x": 1},
    fields.SWITCH: False,
    fields.WORD: "1h",
}


@CONFIGURABLE
def test_a_request_and_a_configuration_agree(field: RequestField) -> None:
    """What one accepts the other accepts, at the limits of the range and beyond them."""
    rules = request_rules([field])
    values = [VALUES[field.kind], True, object(), *VALUES.values()]
    values += [edge + step for edge in (field.low, field.high) if edge is not None for step in (-1, 0, 1)]
    for value in values:
        try:
            ModelRequest("q", **{field.name: value})
        except InvalidRequestError:
            accepted = False
        else:
            accepted = True
        short_form = field.kind == fields.TEXTS and isinstance(value, str)  # a list by the time the schema sees it
        assert short_form or accepted == (problems({field.name: value}, rules) == []), value


@pytest.mark.parametrize("field", fields.OPTIONS, ids=lambda field: field.name)
def test_an_option_sets_the_field_of_its_row(field: RequestField) -> None:
    """Under the field's own name; help names the option with its metavar."""
    value = {fields.SWITCH: [], fields.WORD: [*field.words[:1]]}.get(field.kind, ["1"])
    args = parse(["generate", "-m", "p/m", str(field.option), *value, "hello"])
    expected: dict[str, Any] = {fields.TEXTS: ["1"], fields.SWITCH: True, fields.WORD: field.words[:1]}
    assert getattr(args, field.name) in (expected.get(field.kind, 1), *field.words[:1])


@pytest.mark.parametrize(
    ("api", "names"),
    [
        (OPENAI, {"temperature": "temperature", "top_p": "top_p", "max_tokens": "max_tokens", "seed": "seed"}),
        (ANTHROPIC, {"temperature": "temperature", "top_p": "top_p", "max_tokens": "max_tokens"}),
        (GEMINI, {"temperature": "temperature", "topP": "top_p", "maxOutputTokens": "max_tokens", "seed": "seed"}),
    ],
)
def test_numbers_have_the_names_of_the_api(api: str, names: dict[str, str]) -> None:
    """Those an API does not take are absent."""
    assert fields.on_wire(api) == names


PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
TYPES = {
    fields.TEXT: "text",
    fields.TEXTS: "text or list of texts",
    fields.MAPPING: "mapping",
    fields.SWITCH: "true or false",
}


def _type(field: RequestField) -> str:
    if field.kind == fields.NUMBER:
        return f"number, {field.low} to {field.high}"
    if field.kind == fields.WHOLE:
        return "whole number" + ("" if field.low is None else f", tokens, {field.low} or more")
    if field.kind == fields.WORD:
        return " or ".join(f"`{word}`" for word in field.words)
    return TYPES[field.kind]


@CONFIGURABLE
def test_the_documentation_has_the_row(field: RequestField) -> None:
    """Type, example and meaning in docs/configuration.md are the table's."""
    row = f"| `{field.name}` | any level | {_type(field)} | none | `{field.example}` | {field.meaning} |"
    assert row in PAGE.read_text("utf-8").splitlines()
