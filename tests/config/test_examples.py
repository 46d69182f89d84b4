"""The example configurations that ship: each loads, fits the known dialects, and asks for nothing but its variables."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import llm_sync
from llm_sync.config import ConfigLoader, ConfigValidator
from llm_sync.config.routing import route
from llm_sync.providers.factory import ProviderFactory

# Beside the installed package, else at the top of the checkout that it was imported from.
_PACKAGE = Path(llm_sync.__file__).parent
_FOLDERS = (_PACKAGE / "config" / "llms", _PACKAGE.parent / "config" / "llms")
EXAMPLES = sorted(next(folder for folder in _FOLDERS if folder.is_dir()).glob("*.yaml"))
KINDS = ["anthropic", "azure", "bedrock", "default-llms", "gemini", "google-cloud", "local", "openai", "openrouter"]
USES = ["mixed-concurrency", "production", "research"]


def test_there_is_one_for_every_kind_and_use() -> None:
    """A user of any of these services, and with any of these ends, finds a file to start from; there are no others."""
    assert {*KINDS, *USES} == {example.stem for example in EXAMPLES}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_valid(example: Path) -> None:
    """Nothing is wrong with it, its default model can be routed, and it asks for no streaming."""
    config = ConfigLoader(known_types=ProviderFactory.types_for).load_config(str(example))
    assert ConfigValidator(ProviderFactory.types()).validate_config(config) == []
    assert config.warnings == ()
    assert route(config, None).provider in config.providers


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_needs_its_variables_only(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the variables it names set, no key is missing; without them, each is named."""
    config = ConfigLoader().load_config(str(example))
    validator = ConfigValidator(ProviderFactory.types())
    by_command = any(provider.key is not None and provider.key.kind == "command" for provider in config.providers.values())
    if by_command:
        pytest.skip("its key comes from a command of a software development kit that may not be here")
    variables = set(re.findall(r"\$\{(\w+)\}", example.read_text("utf-8")))
    for variable in variables:
        monkeypatch.delenv(variable, raising=False)
    reported = " ".join(map(str, validator.validate_environment_variables(config)))
    assert all(variable in reported for variable in variables)
    for variable in variables:
        monkeypatch.setenv(variable, "sim-0123456789abcdef")
    assert validator.validate_environment_variables(config) == []


@pytest.mark.parametrize("variable", ["GOOGLE_API_KEY", "GEMINI_API_KEY"])
@pytest.mark.parametrize("name", ["default-llms", "research", "mixed-concurrency"])
def test_gemini_has_the_key_of_either_variable(name: str, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As without a configuration: README.md promises GEMINI_API_KEY, Google's packages read both."""
    for other in ("GOOGLE_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(variable, "sim-0123456789abcdef")
    config = ConfigLoader().load_config(str(next(path for path in EXAMPLES if path.stem == name)))
    problems = " ".join(map(str, ConfigValidator(ProviderFactory.types()).validate_environment_variables(config)))
    assert "GOOGLE_API_KEY" not in problems
    assert "GEMINI_API_KEY" not in problems


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_says_what_becomes_of_streaming(example: Path) -> None:
    """Who copies it learns, before the first key, that nothing is ever streamed and what becomes of the switches."""
    comment = example.read_text("utf-8").partition("\ndefaults:")[0]
    assert "llm-sync never streams" in comment
    assert "streaming switches" in comment
    assert "left out, with a warning" in comment


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_commented(example: Path) -> None:
    """It begins with what it is for, and says something beside its settings."""
    lines = example.read_text("utf-8").splitlines()
    assert lines[0].startswith("# ")
    assert sum("#" in line for line in lines) >= 4
    assert max(map(len, lines)) <= 130
