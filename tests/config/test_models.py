"""Configurations as values: pickling by reference, what repr leaves out."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable

import pytest

from llm_sync.config import Auth, LLMConfig, ProviderConfig
from llm_sync.config.models import Pricing
from llm_sync.errors import ConfigurationError

Load = Callable[..., LLMConfig]
MARKER = "sk-MARKER-0123456789"


def test_a_configuration_pickles_with_references(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys, headers and proxies travel as ``${VAR}`` and are resolved where they arrive."""
    monkeypatch.setenv("K", MARKER)
    config = load(
        """\
        providers:
          p:
            api_key: ${K}
            headers: {Authorization: "Bearer ${K}", X-A: "a$$b"}
            query: {key: "${K}"}
            proxy: http://u:${K}@proxy:1
        """.replace("http://u:${K}@proxy:1", "${PROXY}")
    )
    monkeypatch.setenv("PROXY", f"http://u:{MARKER}@proxy:1")
    data = pickle.dumps(config)
    assert b"MARKER" not in data
    monkeypatch.setenv("K", "sk-other")
    p = pickle.loads(data).providers["p"]  # noqa: S301  made above
    assert p.headers == {"Authorization": "Bearer sk-other", "X-A": "a$b"}
    assert p.query == {"key": "sk-other"}
    assert p.proxy == f"http://u:{MARKER}@proxy:1"
    assert p.key.reveal() == "sk-other"


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        (f"api_key: {MARKER}", "api_key"),
        (f"headers: {{Authorization: Bearer {MARKER}}}", "providers.p.headers.Authorization"),
        (f"headers: {{x-api-key: '${{NO:-{MARKER}}}'}}", "providers.p.headers.x-api-key"),
        (f"query: {{key: {MARKER}}}", "providers.p.query.key"),
        (f"proxy: http://u:{MARKER}@proxy:1", "providers.p.proxy"),
    ],
)
def test_a_literal_key_does_not_pickle(load: Load, entry: str, named: str) -> None:
    """The error names the place and the ``${VAR}`` way, not the key; deep copies are no matter."""
    config = load(f"providers:\n  p:\n    {entry}\n")
    with pytest.raises(ConfigurationError) as caught:
        pickle.dumps(config)
    assert named in str(caught.value)
    assert "${VAR}" in str(caught.value)
    assert "MARKER" not in str(caught.value)
    assert "MARKER" not in repr(config)


def test_literal_headers_that_are_no_keys_pickle(load: Load) -> None:
    """Organisation names and versions may stand in the file."""
    config = load("providers: {p: {headers: {OpenAI-Organization: org}, query: {api-version: 1}, proxy: 'http://proxy:1'}}")
    assert pickle.loads(pickle.dumps(config)) == config  # noqa: S301  made here


def test_configurations_copy_deeply(load: Load) -> None:
    """Secrets are shared by the copies."""
    config = load(f"providers: {{p: {{api_key: '${{K}}', headers: {{X: '{MARKER}'}}}}}}")
    assert copy.deepcopy(config) == config


def test_a_provider_is_made_in_code_with_two_words() -> None:
    """Everything else has the defaults a file has."""
    provider = ProviderConfig("mine", "openai")
    assert (provider.attempts.timeout, provider.attempts.deadline, provider.concurrency) == (120.0, 600.0, 1)
    assert provider.entry("m").defaults.temperature is None
    provider.require_variables()


@pytest.mark.parametrize(
    ("prefix", "value"), [("", "KEY"), ("Bearer", "Bearer KEY"), ("Bearer ", "Bearer KEY"), ("Token token=", "Token token=KEY")]
)
def test_the_key_follows_its_prefix(prefix: str, value: str) -> None:
    """A blank is put where a word ends."""
    assert Auth("Authorization", prefix).value("KEY") == value


def test_the_first_entry_of_a_name_counts(load: Load) -> None:
    """Looked up by name, as a search through the list would find it."""
    provider = load("providers: {p: {models: [a, {name: b, max_tokens: 1}]}}").providers["p"]
    twice = dataclasses.replace(
        provider, models=(*provider.models, dataclasses.replace(provider.models[1], pricing=Pricing(1, 1)))
    )
    assert twice.entry("b") is provider.models[1]
    assert twice.entry("a") is provider.models[0]


def test_listings_name_every_provider_of_a_model_once(load: Load) -> None:
    """In the order of the file."""
    config = load("providers: {p: {models: [a, b]}, q: {models: [b]}, r: {models: []}}")
    assert [config.listing(name) for name in "abc"] == [("p",), ("p", "q"), ()]


def test_looking_models_up_leaves_no_trace(load: Load) -> None:
    """Neither in a pickle nor in what makes two configurations equal."""
    config = load("providers: {p: {models: [a, b]}}")
    before = pickle.dumps(config)
    config.listing("a")
    config.providers["p"].entry("a")
    assert pickle.dumps(config) == before
    again = pickle.loads(before)  # noqa: S301  made above
    assert again == config
    assert again.listing("a") == ("p",)
