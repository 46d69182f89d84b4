"""From a type to its class: built-in, registered, or offered by an installed package."""

from __future__ import annotations

import importlib.metadata
import sys
import types
from typing import Any

import pytest

from llm_sync.errors import ConfigurationError
from llm_sync.providers import LLMProvider, ProviderFactory

BUILT_IN = ["anthropic", "gemini", "openai", "openai-responses", "openrouter"]


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_dialects(name: str) -> None:
    """Each is a provider class of that very type."""
    assert ProviderFactory.provider_class(name).type == name


def test_an_unknown_type_names_the_known_ones() -> None:
    """The error is a list of what there is."""
    with pytest.raises(ConfigurationError, match="'opnai' is unknown") as caught:
        ProviderFactory.provider_class("opnai")
    assert all(name in caught.value.guidance for name in BUILT_IN)


@pytest.mark.parametrize("bad", ["no_colon", ":Class", "module:", object(), int, LLMProvider.__mro__[-1]])
def test_what_cannot_be_registered(bad: Any) -> None:
    """Only provider classes, or where to find one."""
    with pytest.raises(ConfigurationError):
        ProviderFactory.register("x", bad)


def test_registered_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """ "module:Class" is imported when first asked for."""
    ProviderFactory.register("mine", "my_dialects:Mine")
    assert "mine" in ProviderFactory.types()
    with pytest.raises(ConfigurationError, match="cannot be imported"):
        ProviderFactory.provider_class("mine")
    module = types.ModuleType("my_dialects")
    module.Mine = type("Mine", (ProviderFactory.provider_class("openai"),), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "my_dialects", module)
    assert ProviderFactory.provider_class("mine") is module.Mine


def test_a_name_for_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found there must be a provider class."""
    ProviderFactory.register("mine", "json:dumps")
    with pytest.raises(ConfigurationError, match="no LLMProvider"):
        ProviderFactory.provider_class("mine")


def test_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package offers a type without being imported before."""
    point = importlib.metadata.EntryPoint("offered", "llm_sync.providers.openai:OpenAIProvider", "llm_sync.providers")
    asked: list[str] = []

    def entry_points(*, group: str) -> list[Any]:
        asked.append(group)
        return [point]

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    assert ProviderFactory.types_for(["openai", "anthropic"])
    assert asked == []
    assert "offered" in ProviderFactory.types_for(["offered"])
    assert ProviderFactory.provider_class("offered").type == "openai"
    assert set(asked) == {"llm_sync.providers"}


def test_a_schema_made_anew_each_time(provider: Any, reply: Any) -> None:
    """A body is held against the schema that belongs to it, even where a dialect builds schemas as it goes."""
    made = provider("openai", reply())
    rules = {"type": "string", "required": True}
    for number in range(50):  # the dict of one round is freed before the next one is made, which often gets its id
        (field,) = made._validator({f"field{number}": rules}).check({})
        assert field.path == f"field{number}"
