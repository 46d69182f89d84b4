"""Built-in defaults: no configuration file, and a usual key variable that is set."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

import llm_sync
from llm_sync import AuthenticationError, ConfigurationError, LLMClient
from llm_sync.client import built_in
from llm_sync.config.routing import route
from llm_sync.models.route import Route
from llm_sync.providers import ProviderFactory
from llm_sync.simulator import Simulator


@pytest.fixture(autouse=True)
def unconfigured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder and a home without configurations, and no key; returns the folder."""
    for names in built_in.KEY_VARIABLES.values():
        for name in names:
            monkeypatch.delenv(name, raising=False)
    for name in ("LLM_SYNC_CONFIG", "LLM_SYNC_CONFIG_DIR", "LLM_SYNC_SIMULATOR_URL", *built_in.BASE_URL_VARIABLES.values()):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_variables_are_those_of_the_dialects() -> None:
    """The copy of the table is true."""
    assert {kind: ProviderFactory.provider_class(kind).key_variables for kind in built_in.KEY_VARIABLES} == built_in.KEY_VARIABLES


def test_there_is_a_provider_for_each_variable_that_is_set(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Either of Gemini's variables counts; an empty one does not. A log message names the variables, and no key."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-first")
    monkeypatch.setenv("GEMINI_API_KEY", "sk-second")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "")
    with caplog.at_level(logging.INFO, "llm_sync"), LLMClient.from_config() as client:
        assert list(client.config.providers) == ["openai", "gemini"]
        client.check_providers(["openai", "gemini"])
    assert "no configuration file found: built-in defaults for openai ($OPENAI_API_KEY), gemini ($GEMINI_API_KEY)" in caplog.text
    assert "sk-" not in caplog.text


@pytest.mark.parametrize(("name", "model"), [("openai", "openai/gpt-4o-mini"), ("anthropic", "anthropic/claude-haiku-4-5")])
def test_the_address_of_the_providers_own_variable_is_used(
    name: str, model: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A proxy or gateway that other programs are told of by OPENAI_BASE_URL gets the request, and the log message says so."""
    with Simulator() as simulator:
        monkeypatch.setenv(f"{name.upper()}_API_KEY", "sk-first-0123456789")
        monkeypatch.setenv(f"{name.upper()}_BASE_URL", simulator.url(name))
        with caplog.at_level(logging.INFO, "llm_sync"), LLMClient.from_config() as client:
            assert client.generate("hi", model=model).text
    assert f"${name.upper()}_API_KEY at ${name.upper()}_BASE_URL" in caplog.text


def test_a_wrong_key_is_named_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """And by no line of a file, as there is none."""
    with Simulator() as simulator:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong-0123456789")
        monkeypatch.setenv("OPENAI_BASE_URL", simulator.url("openai"))
        with LLMClient.from_config() as client, pytest.raises(AuthenticationError, match="Check the key in OPENAI_API_KEY: 127"):
            client.generate("hi", model="openai/gpt-4o-mini")


@pytest.mark.parametrize("address", ["nonsense", "https://user:password@example.com/v1", "file:///etc/passwd"])
def test_an_address_that_cannot_be_used_is_an_error(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a file, and no other host gets the key instead."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-first")
    monkeypatch.setenv("OPENAI_BASE_URL", address)
    with pytest.raises(ConfigurationError, match="base_url"):
        LLMClient.from_config()


@pytest.mark.parametrize("variable", ["LLM_SYNC_CONFIG", "LLM_SYNC_CONFIG_DIR"])
def test_a_configuration_that_is_named_must_be_there(monkeypatch: pytest.MonkeyPatch, unconfigured: Path, variable: str) -> None:
    """A missing file or an empty folder must not silently become another host, another key or other limits."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-first")
    monkeypatch.setenv(variable, str(unconfigured / "away.yaml"))
    with pytest.raises(ConfigurationError):
        LLMClient.from_config()
    monkeypatch.delenv(variable)
    with pytest.raises(ConfigurationError):
        LLMClient.from_config("default-llms")
    with pytest.raises(ConfigurationError):
        LLMClient.from_config(config_dir=str(unconfigured))


def test_a_file_of_another_name_is_a_configuration(monkeypatch: pytest.MonkeyPatch, unconfigured: Path) -> None:
    """Its user is asked to name it."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-first")
    folder = unconfigured / "config" / "llms"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("providers: {openai: {}}\n")
    with pytest.raises(ConfigurationError, match="no configuration named 'default-llms'"):
        LLMClient.from_config()


def test_a_mistake_in_the_file_is_reported(monkeypatch: pytest.MonkeyPatch, unconfigured: Path) -> None:
    """A key in the environment does not hide it."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-first")
    folder = unconfigured / "config" / "llms"
    folder.mkdir(parents=True)
    (folder / "default-llms.yaml").write_text("providers: 3\n")
    with pytest.raises(ConfigurationError, match="a problem with"):
        LLMClient.from_config()


def test_without_a_key_the_error_names_the_ways_to_an_answer() -> None:
    """A key, a configuration, or the simulator."""
    with pytest.raises(ConfigurationError) as caught:
        llm_sync.generate("hi", model="openai/gpt-4o-mini")
    for word in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "llm-sync init", "llm-sync simulate -- COMMAND"):
        assert word in caught.value.guidance


def test_a_usual_provider_without_a_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its model is not sent to the only provider that has one."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-first")
    config = built_in.built_in_config()
    assert config is not None
    assert route(config, "gpt-4o-mini") == Route("openai", "gpt-4o-mini")
    with pytest.raises(AuthenticationError, match="neither a configuration nor a key for anthropic") as caught:
        route(config, "anthropic/claude-haiku-4-5")
    assert caught.value.guidance == "Set ANTHROPIC_API_KEY, as in: export ANTHROPIC_API_KEY=…"


def test_openrouter_serves_models_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its key alone, openai/gpt-4o-mini is OpenRouter's model of that name."""
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-first")
    config = built_in.built_in_config()
    assert config is not None
    assert route(config, "openai/gpt-4o-mini") == Route("openrouter", "openai/gpt-4o-mini")
