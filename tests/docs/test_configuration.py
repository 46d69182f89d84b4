"""docs/configuration.md beside the code: every key, place and default it names is so. test_pages.py runs its examples."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from docs_world import ROOT  # type: ignore[import-not-found]

from llm_sync.cache.settings import CacheSettings
from llm_sync.config import ConfigLoader, LLMConfig, ModelEntry, ProviderConfig, RequestDefaults
from llm_sync.config.schema import SCHEMA
from llm_sync.models import AttemptOptions
from llm_sync.providers.factory import ProviderFactory

PAGE = (ROOT / "docs" / "configuration.md").read_text("utf-8")

ANY_LEVEL = frozenset({"defaults", "provider", "default_params", "model"})
# Defaults that are no value: the page has words for them.
IN_WORDS = {
    "type": "the entry's name",
    "base_url": "the dialect's",
    "auth": "the dialect's",
    "api_key": "the usual variable",
    "dir": "your own folder",
    "region": "the environment's",
}


class Row(NamedTuple):
    """One row of the page's tables of keys."""

    key: str
    where: str
    kind: str
    default: str
    example: str
    meaning: str


def _levels(rules: Mapping[str, Any], place: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """A level of the schema and those within it, each with the page's word for it."""
    yield place, rules
    provider = rules.get("providers", {}).get("valuesrules", {}).get("schema")
    within = {"provider": provider}
    for key in ("defaults", "default_params", "auth", "pricing", "cache"):
        within[key] = rules.get(key, {}).get("schema")
    within["model"] = rules.get("models", {}).get("schema", {}).get("schema")
    for inner, found in within.items():
        if found is not None:
            yield from _levels(found, inner)


def _schema_keys() -> dict[str, dict[str, Mapping[str, Any]]]:
    """Every key of the schema: key -> place -> its rules."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for place, rules in _levels(SCHEMA, "top"):
        for key, rule in rules.items():
            found.setdefault(key, {})[place] = rule
    return found


def _rows() -> list[Row]:
    tables = re.findall(
        r"^\| key \| where \| type \| default \| example \| meaning \|\n\|[-|]+\|\n((?:\|.*\|\n)+)", PAGE, re.MULTILINE
    )
    lines = [line for table in tables for line in table.splitlines()]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [Row(key.strip("`"), *rest) for key, *rest in cells]


def _code_defaults() -> dict[str, Any]:
    """Key -> the code's default, of every key that has a field; None for what is left unset."""
    found: dict[str, Any] = {}
    for kind in (AttemptOptions, RequestDefaults, ProviderConfig, ModelEntry, LLMConfig, CacheSettings):
        for field in dataclasses.fields(kind):
            made = field.default_factory is not dataclasses.MISSING
            value = field.default_factory() if made else field.default  # type: ignore[misc]
            found.setdefault(field.name, None if value in (dataclasses.MISSING, (), {}) else value)
    return found


KEYS = _schema_keys()
ROWS = _rows()
DEFAULTS = _code_defaults()


def test_a_key_of_the_schema_is_documented() -> None:
    """It has exactly one row, under its own name."""
    rows = [row.key for row in ROWS]
    assert {key for key in KEYS if rows.count(key) != 1} == set()


def test_a_documented_key_is_in_the_schema_where_the_page_says() -> None:
    """It may stand in the places named, and in no other."""
    named = {row.key: ANY_LEVEL if row.where == "any level" else {row.where} for row in ROWS}
    assert {key: KEYS.get(key, {}).keys() for key in named} == named


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
def test_a_documented_default_is_the_code_s(row: Row) -> None:
    """A value in the table is the field's default; none, required and words stand where there is no value."""
    required = any(rule.get("required") for rule in KEYS[row.key].values())
    default = None if required or row.where == "top" else DEFAULTS.get(row.key)
    if row.default.startswith("`"):
        named = yaml.safe_load(row.default.strip("`"))
        assert (named, isinstance(named, bool)) == (default, isinstance(default, bool))
    else:
        assert default is None
        assert row.default == ("required" if required else IN_WORDS.get(row.key, "none"))


@pytest.mark.parametrize("row", [row for row in ROWS if row.kind == "true or false"], ids=lambda row: row.key)
def test_a_switch_is_a_switch(row: Row) -> None:
    """What the page calls true or false is a boolean of the schema."""
    assert {rule["type"] for rule in KEYS[row.key].values()} == {"boolean"}


@pytest.mark.parametrize("row", [row for row in ROWS if row.kind != "true or false"], ids=lambda row: row.key)
def test_no_switch_is_called_otherwise(row: Row) -> None:
    """What the page gives another type is no boolean; whole numbers are whole, and limits are the schema's."""
    for rule in KEYS[row.key].values():
        assert rule["type"] != "boolean"
        assert (rule["type"] == "integer") == row.kind.startswith("whole number")
        bounds = re.search(r"(\d+) to (\d+)", row.kind)
        if bounds:
            assert (rule["min"], rule["max"]) == (int(bounds[1]), int(bounds[2]))
        least = re.search(r"(\d+) or more", row.kind)
        if least:
            assert rule["min"] == int(least[1])
        if row.kind.endswith("above 0"):
            assert 0 < rule["min"] < 1


# What must stand beside an example to make a whole file: place -> the file around it.
AROUND: dict[str, Callable[[str, Any], dict[str, Any]]] = {
    "top": lambda key, value: {"providers": {"openai": {}}, key: value},
    "defaults": lambda key, value: {"defaults": {key: value}, "providers": {"openai": {}}},
    "provider": lambda key, value: {"providers": {"openai": {**_BESIDE.get(key, {}), key: value}}},
    "default_params": lambda key, value: {"providers": {"openai": {"default_params": {key: value}}}},
    "model": lambda key, value: {"providers": {"openai": {"models": [{"name": "m", key: value}]}}},
    "auth": lambda key, value: {"providers": {"openai": {"auth": {"header": "X-Key", key: value}}}},
    "cache": lambda key, value: {"defaults": {"cache": {key: value}}, "providers": {"openai": {}}},
    "pricing": lambda key, value: {
        "providers": {"openai": {"models": [{"name": "m", "pricing": {"input": 1, "output": 1, key: value}}]}}
    },
}
_BESIDE: dict[str, dict[str, Any]] = {
    **{key: {"type": "gemini", "auth": "google-cloud", "project": "p"} for key in ("project", "location")},
    **{key: {"type": "bedrock"} for key in ("region", "profile")},
}


@pytest.mark.parametrize(
    ("row", "place"),
    [pytest.param(row, place, id=f"{row.key}-{place}") for row in ROWS for place in sorted(KEYS.get(row.key, {"top": None}))],
)
def test_an_example_works_wherever_the_key_may_stand(row: Row, place: str, tmp_path: Path) -> None:
    """It loads without a problem or a warning, and is not what holds anyway."""
    for name in ("company.pem", "me.pem", "me.key"):
        (tmp_path / name).touch()  # the files that the examples of ca_bundle and the client's certificate name
    assert row.example.startswith("`")
    value = yaml.safe_load(row.example.strip("`"))
    file = tmp_path / "llms.yaml"
    document = AROUND[place](row.key, value)
    if row.key == "client_key":  # which belongs to one
        document["providers"]["openai"]["client_cert"] = "me.pem"
    if row.key == "budget":  # which names one
        document["budgets"] = {value: {"usd": 1}}
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    config = ConfigLoader(known_types=ProviderFactory.types_for).load_config(file)
    assert config.warnings == ()
    assert row.example != row.default


SECTIONS = dict(
    re.findall(
        r"^### ([^\n]+)\n(.*?)(?=^##)",
        PAGE.split("\n## Provider by provider\n")[1].split("\n## ")[0] + "\n## ",
        re.MULTILINE | re.DOTALL,
    )
)


@pytest.mark.parametrize("name", SECTIONS)
def test_a_provider_s_section_shows_an_entry_and_says_what_becomes_of_streaming(name: str) -> None:
    """Every one, down to the last compatible server."""
    assert "```yaml fragment\n" in SECTIONS[name]
    assert re.search(r"\bStreaming\b", SECTIONS[name])


def test_every_dialect_has_a_section() -> None:
    """An entry of its type, by its name or by ``type``."""
    shown = "".join(SECTIONS.values())
    for kind in ProviderFactory.types_for(()):
        if ProviderFactory.provider_class(kind).__module__.startswith("llm_sync."):  # others are registered by tests
            assert re.search(rf"^({kind}:|  type: {kind})$", shown, re.MULTILINE), kind
