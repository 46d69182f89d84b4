"""From a model's name to its provider: always, when it is plain, or with an error that names the candidates."""

from __future__ import annotations

import pytest

from llm_sync.config import ConfigLoader, LLMConfig
from llm_sync.config.routing import route
from llm_sync.errors import InvalidRequestError, ModelNotFoundError
from llm_sync.models.route import Route


def config(text: str) -> LLMConfig:
    """A configuration from YAML."""
    return ConfigLoader().load_text(text)


SEVERAL = config(
    """
providers:
  openai: {models: [gpt-4o-mini, gpt-4o, shared]}
  openrouter: {models: [openai/gpt-4o-mini, meta-llama/llama-3, shared]}
  local: {type: openai, base_url: http://localhost:1/v1}
"""
)
ONE_OPEN = config("providers: {local: {type: openai, base_url: http://localhost:1/v1}}")
ONE_MODEL = config("providers: {openai: {models: [gpt-4o]}, local: {type: openai, base_url: http://localhost:1/v1}}")
DEFAULT = config("defaults: {model: openai/gpt-4o}\nproviders: {openai: {models: [gpt-4o-mini, gpt-4o]}}")


@pytest.mark.parametrize(
    ("model", "place"),
    [
        ("openai/gpt-4o-mini", ("openai", "gpt-4o-mini")),  # not openrouter, which lists just that name
        ("openrouter/openai/gpt-4o-mini", ("openrouter", "openai/gpt-4o-mini")),
        ("openai/never-listed", ("openai", "never-listed")),
        ("local/any/name:at-all", ("local", "any/name:at-all")),
        ("openai//x", ("openai", "/x")),
        ("gpt-4o", ("openai", "gpt-4o")),
        ("meta-llama/llama-3", ("openrouter", "meta-llama/llama-3")),  # its first part is no provider
    ],
)
def test_a_plain_name_has_one_place(model: str, place: tuple[str, str]) -> None:
    """``provider/model`` works always, split at the first slash; a bare name when one provider lists it."""
    assert route(SEVERAL, model) == Route(*place)


def test_the_only_provider_takes_any_name_if_it_lists_none() -> None:
    """A local server's models need not be written down, slashes or not."""
    assert route(ONE_OPEN, "anything") == Route("local", "anything")
    assert route(ONE_OPEN, "maker/anything") == Route("local", "maker/anything")


@pytest.mark.parametrize("model", [None, "", "  "])
def test_no_name_is_the_default_or_the_only_model(model: str | None) -> None:
    """The file's default model first, else the one model that is listed anywhere."""
    assert route(DEFAULT, model) == Route("openai", "gpt-4o")
    assert route(ONE_MODEL, model) == Route("openai", "gpt-4o")


def test_no_name_where_none_is_obvious_names_the_candidates() -> None:
    """The error says what could be asked, and where a default would stand."""
    with pytest.raises(InvalidRequestError, match="no model is named") as raised:
        route(SEVERAL, None)
    guidance = raised.value.guidance or ""
    for candidate in ("openai/gpt-4o-mini", "openrouter/meta-llama/llama-3", "local/MODEL", "defaults.model"):
        assert candidate in guidance


def test_a_name_that_several_list_names_the_choices() -> None:
    """Which provider is meant is never guessed."""
    with pytest.raises(ModelNotFoundError, match="several providers list 'shared'. Write openai/shared or openrouter/shared"):
        route(SEVERAL, "shared")


@pytest.mark.parametrize(
    ("model", "meant"), [("gpt-4o-mni", "openai/gpt-4o-mini"), ("openia/gpt-4o", "openai/gpt-4o"), ("GPT-4o", "openai/gpt-4o")]
)
def test_a_misspelt_name_gets_the_nearest(model: str, meant: str) -> None:
    """Did you mean, written so that it works."""
    with pytest.raises(ModelNotFoundError, match=f"Did you mean {meant}") as raised:
        route(SEVERAL, model)
    assert raised.value.model == model


def test_an_unlisted_name_beside_an_open_provider_says_how_to_ask_it() -> None:
    """With several providers, a bare unknown name is an error that names the provider that takes any model."""
    with pytest.raises(ModelNotFoundError, match="Write local/zzz to ask local for it all the same"):
        route(SEVERAL, "zzz")


def test_an_unlisted_name_can_be_asked_all_the_same() -> None:
    """An old script's model, say, which the configuration does not list; next to the name that is like it."""
    with pytest.raises(ModelNotFoundError, match=r"Did you mean openai/gpt-4o\? Write openai/gpt-4 to ask openai for it"):
        route(DEFAULT, "gpt-4")
    with pytest.raises(ModelNotFoundError) as raised:
        route(DEFAULT, "nowhere/gpt-9")
    assert "all the same" not in (raised.value.guidance or "")


@pytest.mark.parametrize("model", ["openai/", "local/"])
def test_a_provider_without_a_model_is_no_model(model: str) -> None:
    """The candidates are those of that provider."""
    with pytest.raises(ModelNotFoundError, match="names a provider but no model") as raised:
        route(SEVERAL, model)
    assert ("openrouter" in (raised.value.guidance or "")) is False


def test_many_candidates_are_counted() -> None:
    """An error stays readable beside a long list."""
    many = config(f"providers: {{openai: {{models: {[f'm{n}' for n in range(40)]}}}}}")
    with pytest.raises(ModelNotFoundError, match="openai/m11 and 28 more") as raised:
        route(many, "qqq")
    assert "m12" not in str(raised.value)


@pytest.mark.parametrize("model", ["\0", "a\nb", "👾", "/", "//", "../etc/passwd", "x" * 100_000])
def test_hostile_names_are_unknown_models(model: str) -> None:
    """Whatever is asked for ends as the same error."""
    with pytest.raises(ModelNotFoundError):
        route(SEVERAL, model)
