"""The part of a configuration that is sound is checked, too: a mistake hides no other problem."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm_sync.config import ConfigLoader, LLMConfig
from llm_sync.providers.factory import ProviderFactory


def sound_part(tmp_path: Path, text: str) -> LLMConfig | None:
    """What is left of a text."""
    (tmp_path / "x.yaml").write_text(text, "utf-8")
    return ConfigLoader(known_types=ProviderFactory.types_for).load_sound_part(tmp_path / "x.yaml")


def test_fields_that_are_wrong_are_left_out(tmp_path: Path) -> None:
    """Of the defaults, of a provider, and items of a list, also several of them."""
    config = sound_part(
        tmp_path,
        """
defaults: {model: openai/b, temperature: hot, max_tokens: 5}
providers:
  openai: {temprature: 1, concurrency: many, models: [1, a, {nme: x}, b, [], ~, {name: c, pricing: 3}], top_p: 0.5}
""",
    )
    assert config is not None
    assert config.default_model == "openai/b"
    assert [entry.name for entry in config.providers["openai"].models] == ["a", "b", "c"]
    defaults = config.providers["openai"].defaults
    assert (defaults.temperature, defaults.max_tokens, defaults.top_p) == (None, 5, 0.5)


def test_providers_that_cannot_be_used_are_left_out(tmp_path: Path) -> None:
    """Of an unknown type, of no settings, or with a key that is wrong: their keys would be missing, which is no news."""
    config = sound_part(
        tmp_path,
        """
defaults: {model: other/x}
providers: {other: {type: nosuch}, "a/b": [], anthropic: 7, gemini: {api_key: [1]}, openrouter: {}}
""",
    )
    assert config is not None
    assert list(config.providers) == ["openrouter"]


@pytest.mark.parametrize("text", ["providers: [1]", "providers: 5", "provider: {openai: {}}", "[]", "", "5", "defaults: []"])
def test_nothing_may_be_left(tmp_path: Path, text: str) -> None:
    """Then there is nothing more to check."""
    assert sound_part(tmp_path, text) is None


def test_a_sound_file_is_whole(tmp_path: Path) -> None:
    """And the caller's file is not changed."""
    text = "providers: {openai: {models: [a, {name: b, temperature: 1}], provider_specific: {x: [1, {y: 2}]}}}"
    config = sound_part(tmp_path, text)
    assert config == ConfigLoader().load_config(tmp_path / "x.yaml")
