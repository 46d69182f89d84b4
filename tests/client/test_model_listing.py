"""What every provider lists, its errors in place, and which configured models are missing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from llm_sync import AuthenticationError, InvalidRequestError, LLMClient
from llm_sync.config import ConfigLoader
from llm_sync.simulator import Simulator

OpenClient = Callable[..., LLMClient]

PATIENCE_S = 10.0

LISTINGS = """
providers:
  openai: {api_key: test-key, base_url: "<openai>", models: [gpt-4o-mini, gpt-not-there]}
  anthropic: {api_key: wrong-key, base_url: "<anthropic>", models: [claude-haiku-4-5]}
  gemini: {api_key: test-key, base_url: "<gemini>", models: [models/gemini-2.5-flash, gemini-2.0-flash]}
  unset: {type: openai, api_key: "${LLM_SYNC_TEST_UNSET}", base_url: "<openai>"}
"""


def test_listing_tells_models_and_errors_by_provider(open_client: OpenClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each provider gets its models or its error, none stops another, and configured models that are not listed are named."""
    monkeypatch.delenv("LLM_SYNC_TEST_UNSET", raising=False)
    listings = open_client(LISTINGS).list_all_models()
    assert list(listings) == ["openai", "anthropic", "gemini", "unset"]
    assert "gpt-4o-mini" in listings["openai"].models
    assert listings["openai"].missing == ("gpt-not-there",)
    assert (listings["openai"].error, listings["anthropic"].models) == (None, ())
    assert isinstance(listings["anthropic"].error, AuthenticationError)
    assert not [name for name in listings["gemini"].models if name.startswith("models/")]
    assert listings["gemini"].missing == ()
    assert isinstance(listings["unset"].error, AuthenticationError)
    assert "LLM_SYNC_TEST_UNSET" in str(listings["unset"].error)


def test_listings_are_asked_for_all_at_once(open_client: OpenClient, upstream: Simulator) -> None:
    """Every provider is asked before any has answered."""
    client = open_client()
    with upstream.hold() as hold:
        found: list[Any] = []
        asking = threading.Thread(target=lambda: found.append(client.list_all_models()))
        asking.start()
        assert {record.provider for record in hold.wait(2)} == {"openai", "anthropic"}
    asking.join(PATIENCE_S)
    assert all(listing.models for listing in found[0].values())


def test_a_provider_that_lists_nothing_has_no_error(write_config: Any) -> None:
    """An empty list is an answer; what is configured is missing from it."""
    with Simulator(models={"openai": ()}) as bare:
        text = f"providers: {{openai: {{api_key: k, base_url: {bare.url()}, models: [m]}}}}"
        with LLMClient(ConfigLoader().load_text(text)) as client:
            listing = client.list_all_models()["openai"]
    assert (listing.models, listing.missing, listing.error) == ((), ("m",), None)


def test_listed_names_are_bare(write_config: Any) -> None:
    """``models/`` before a name, as Gemini's servers have it, is no part of it, in the list or in the configuration."""
    with Simulator(models={"openai": ("models/a", "b")}) as prefixing:
        text = f"providers: {{openai: {{api_key: k, base_url: {prefixing.url()}, models: [a, models/b, models/c]}}}}"
        with LLMClient(ConfigLoader().load_text(text)) as client:
            listing = client.list_all_models()["openai"]
    assert (set(listing.models), listing.missing) == ({"a", "b"}, ("models/c",))


def test_an_alias_of_a_dated_model_is_not_missing(write_config: Any) -> None:
    """Providers list dated names and serve their aliases too; a name of another date, or of another model, is missing."""
    listed = ("claude-x-1-20250929", "gpt-y-2024-08-06", "z-20240101")
    with Simulator(models={"openai": listed}) as simulator:
        names = "[claude-x-1, claude-x-1-latest, gpt-y, z-20240101, claude-x, gpt-y-mini]"
        text = f"providers: {{openai: {{api_key: k, base_url: {simulator.url()}, models: {names}}}}}"
        with LLMClient(ConfigLoader().load_text(text)) as client:
            assert client.list_all_models()["openai"].missing == ("claude-x", "gpt-y-mini")


def test_listing_with_an_impossible_timeout_is_refused(client: LLMClient, upstream: Simulator) -> None:
    """It is the caller's mistake, not an error of each provider."""
    with pytest.raises(InvalidRequestError, match="timeout=0"):
        client.list_all_models(timeout=0)
    assert upstream.requests == []
