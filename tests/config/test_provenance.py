from __future__ import annotations

from pathlib import Path

import pytest

from llm_sync.config import ConfigLoader
from llm_sync.config.provenance import Provenance, Variable
from llm_sync.config.schema import SCHEMA

FULL = """\
defaults:
  timeout: 10
  top_p:
  provider_specific: {a: 1, b: 1}
providers:
  p:
    type: openai
    timeout:
    max_tokens: 7
    default_params: {seed: 1, retry_cap: 5}
    provider_specific: {b: 2, nested: {api_token: sk-marker, list: [{secret: sk-marker}], n: 1}}
    models:
      - m
      - {name: n, timeout: 3, pricing: {input: 1, output: 2}, provider_specific: {b: 3}}
"""


@pytest.fixture
def explained(tmp_path: Path) -> Provenance:
    """Where the values of FULL come from."""
    path = tmp_path / "full.yaml"
    path.write_text(FULL)
    return ConfigLoader().explain_config(path)[1]


def places(origins: Provenance) -> dict[str, tuple[object, str | None, int | None]]:
    """Value, field and line of each of the provider's values."""
    return {value.name: (value.value, value.field, value.line) for value in origins.providers["p"]}


def test_each_level_gives_what_no_nearer_one_gives(explained: Provenance) -> None:
    """A key without a value is as good as absent; default_params are the provider's; the rest is the default."""
    origins = places(explained)
    assert origins["timeout"] == (10, "defaults.timeout", 2)
    assert origins["max_tokens"] == (7, "providers.p.max_tokens", 9)
    assert origins["seed"] == (1, "providers.p.default_params.seed", 10)
    assert origins["retry_cap"] == (5, "providers.p.default_params.retry_cap", 10)
    assert origins["deadline"] == (600.0, None, None)
    assert origins["concurrency"] == (1, None, None)
    assert "top_p" not in origins
    assert origins["type"] == ("openai", "providers.p.type", 7)


def test_provider_specific_is_listed_key_by_key(explained: Provenance) -> None:
    """As it is merged."""
    origins = places(explained)
    assert origins["provider_specific.a"] == (1, "defaults.provider_specific.a", 4)
    assert origins["provider_specific.b"] == (2, "providers.p.provider_specific.b", 11)


def test_values_with_the_name_of_a_secret_are_masked(explained: Provenance) -> None:
    """However deep it lies; numbers under such names are none."""
    assert places(explained)["provider_specific.nested"][0] == {"api_token": "***", "list": [{"secret": "***"}], "n": 1}


def test_a_model_has_what_its_entry_gives(explained: Provenance) -> None:
    """The rest is its provider's."""
    assert [value.name for value in explained.models["p"]["m"]] == ["name"]
    own = {value.name: (value.value, value.line) for value in explained.models["p"]["n"]}
    assert own == {
        "name": ("n", 14),
        "timeout": (3, 14),
        "pricing": ({"input": 1, "output": 2}, 14),
        "provider_specific.b": (3, 14),
    }


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("${KEY}", "${KEY}"),
        ("${A}-${B:-sk-marker}", "${A}***${B}"),
        ("sk-marker", "***"),
        ("Bearer ${KEY}", "***${KEY}"),
    ],
)
def test_keys_are_shown_as_references(tmp_path: Path, written: str, shown: str) -> None:
    """Text of their own, defaults too, may be (part of) the key."""
    path = tmp_path / "x.yaml"
    path.write_text(f'providers: {{p: {{type: openai, api_key: "{written}", headers: {{Authorization: "{written}"}}}}}}')
    values = {value.name: value.value for value in ConfigLoader().explain_config(path)[1].providers["p"]}
    assert values["api_key"] == values["headers.Authorization"] == shown


def test_what_comes_from_a_variable_stays_a_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In headers, queries and parameters of the provider's own: gateways call their keys as they like."""
    monkeypatch.setenv("ORIGINS_TOKEN", "sk-marker")
    path = tmp_path / "x.yaml"
    path.write_text("""\
defaults: {provider_specific: {route: "${ORIGINS_TOKEN}", of: [{a: "x-${ORIGINS_TOKEN}"}]}}
providers:
  p: {type: openai, headers: {X-Api: "${ORIGINS_TOKEN}", X-Team: "${TEAM:-blue}", X-Price: "$$5"}, query: {k: "${ORIGINS_TOKEN}"}}
""")
    values = {value.name: value.value for value in ConfigLoader().explain_config(path)[1].providers["p"]}
    assert "sk-marker" not in str(values)
    assert values["headers.X-Api"] == values["query.k"] == values["provider_specific.route"] == "${ORIGINS_TOKEN}"
    assert values["provider_specific.of"] == [{"a": "x-${ORIGINS_TOKEN}"}]
    assert (values["headers.X-Team"], values["headers.X-Price"]) == ("${TEAM:-blue}", "$$5")


@pytest.mark.parametrize(
    "name",
    [
        *("code", "sig", "Sig", "signature", "X-Amz-Signature", "sas", "token", "sas_token", "access_token", "key", "apikey"),
        *("api-key", "subscription-key", "AWSAccessKeyId", "auth", "jwt", "pwd", "password", "client_secret", "session"),
    ],
)
@pytest.mark.parametrize(("written", "masked"), [("sk-marker", True), ("123456", True), ("true", False)])
def test_query_fields_that_carry_a_key_are_masked(tmp_path: Path, name: str, written: str, masked: bool) -> None:
    """By the names that functions, signed links and gateways use; a key of digits, which YAML reads as a number, too."""
    path = tmp_path / "x.yaml"
    path.write_text(f"providers: {{p: {{type: openai, query: {{{name}: {written}, api-version: 2024-10-21, n: 7}}}}}}")
    values = {value.name: value.value for value in ConfigLoader().explain_config(path)[1].providers["p"]}
    assert values[f"query.{name}"] == ("***" if masked else True)
    assert (values["query.api-version"], values["query.n"]) == ("2024-10-21", 7)


def test_of_a_command_only_the_program_is_shown(tmp_path: Path) -> None:
    """Its arguments may hold what nobody should see."""
    path = tmp_path / "x.yaml"
    path.write_text("providers: {p: {type: openai, api_key_command: [/usr/bin/vault, --token, sk-marker]}}")
    values = {value.name: value.value for value in ConfigLoader().explain_config(path)[1].providers["p"]}
    assert values["api_key_command"] == "vault ***"


def test_variables_are_listed_with_their_fields(tmp_path: Path) -> None:
    """Those of keys, commands and files too; with a default or without."""
    path = tmp_path / "x.yaml"
    path.write_text('providers: {p: {type: openai, base_url: "https://${HOST:-x}/${HOST}", api_key_command: [get, "${WHICH}"]}}')
    assert ConfigLoader().explain_config(path)[1].variables == (
        Variable("HOST", "providers.p.base_url", True),
        Variable("HOST", "providers.p.base_url", False),
        Variable("WHICH", "providers.p.api_key_command", False),
    )


def test_every_key_of_a_provider_is_listed(tmp_path: Path) -> None:
    """A key added to the schema has to be shown, too."""
    keys = SCHEMA["providers"]["valuesrules"]["schema"].keys()
    bundle = tmp_path / "ca.pem"
    bundle.write_text("")
    given = {
        "api_key": "${K}",
        "base_url": "https://x.example.com/v1",
        "headers": {"X-A": "1"},
        "query": {"a": "1"},
        "auth": {"header": "X-Key"},
        "max_tokens_field": "max_completion_tokens",
        "reasoning_field": "none",
        "structured_output": "prompt",
        "budget": "b",
        "via": "batch",
        "proxy": "http://proxy:1",
        "ca_bundle": str(bundle),
        "client_cert": str(bundle),
        "client_key": str(bundle),
        "temperature": 1,
        "top_p": 1,
        "max_tokens": 1,
        "stop_sequences": ["x"],
        "seed": 1,
        "system_prompt": "x",
        "cache_system": True,
        "cache_ttl": "1h",
        "service_tier": "flex",
        "completion_window": "2h",
        "provider_specific": {"a": 1},
        "cache": {"max_age": "30d"},
        "type": "openai",
    }
    import json

    path = tmp_path / "x.yaml"
    google = {"type": "gemini", "auth": "google-cloud", "project": "x", "location": "y"}
    aws = {"type": "bedrock", "region": "us-east-1", "profile": "work"}
    path.write_text(json.dumps({"budgets": {"b": {"usd": 1}}, "providers": {"p": given, "g": google, "a": aws}}))
    origins = ConfigLoader().explain_config(path)[1]
    reported = {value.name.partition(".")[0] for name in ("p", "g", "a") for value in origins.providers[name]}
    assert keys - reported == {"api_key_file", "api_key_command", "models", "default_params"}
