"""Which way a model's requests go, by the configuration and the call."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from llm_sync.config import LLMConfig
from llm_sync.config.schema import SCHEMA
from llm_sync.config.ways import WAYS, checked_way, is_own_choice, way_of
from llm_sync.errors import InvalidRequestError

FILE = """
    defaults: {via: batch}
    providers:
      a: {type: openai, base_url: https://a.example.com/v1, models: [x, {name: y, via: background}]}
      b: {type: openai, base_url: https://b.example.com/v1, via: direct, models: [z]}
"""


@pytest.mark.parametrize(
    ("provider", "model", "chosen", "way"),
    [
        ("a", "x", None, "batch"),
        ("a", "y", None, "background"),
        ("a", "y", "direct", "direct"),
        ("a", "unlisted", None, "batch"),
        ("b", "z", None, "direct"),
        ("b", "z", "batch", "batch"),
    ],
)
def test_the_first_that_names_a_way_decides(
    load: Callable[..., LLMConfig], provider: str, model: str, chosen: str | None, way: str
) -> None:
    """The call comes before the model, the model before its provider, and that before the defaults."""
    assert way_of(load(FILE).providers[provider], model, chosen) == way


def test_requests_go_directly_where_nothing_names_a_way(load: Callable[..., LLMConfig]) -> None:
    """A file without the key changes nothing."""
    config = load("providers: {a: {type: openai, base_url: 'https://a.example.com/v1'}}")
    assert way_of(config.providers["a"], "x") == "direct"


def test_a_way_of_the_defaults_is_not_the_entry_s_own(load: Callable[..., LLMConfig]) -> None:
    """So that a way for all providers asks nothing of one that does not have it."""
    config = load(FILE)
    assert [is_own_choice(config, "a", "x"), is_own_choice(config, "a", "y"), is_own_choice(config, "b", "z")] == [
        False,
        True,
        True,
    ]


def test_a_way_that_does_not_exist_is_refused() -> None:
    """With the ways that there are."""
    with pytest.raises(InvalidRequestError, match="via='fax'") as caught:
        checked_way("fax")
    assert "direct, background, batch" in str(caught.value)


def test_the_schema_has_the_same_ways() -> None:
    """It names them itself, so that reading a configuration imports nothing for them."""
    rules = SCHEMA["defaults"]["schema"]["via"]
    assert rules["allowed"] == list(WAYS)
