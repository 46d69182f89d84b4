"""Configurations that no client is made of."""

from __future__ import annotations

import pytest

from llm_sync import AuthenticationError, ConfigurationError, LLMClient
from llm_sync.config import ConfigLoader


def test_an_unknown_type_is_refused_at_once() -> None:
    """A client never starts with a provider nobody can speak to."""
    config = ConfigLoader().load_text("providers: {a: {type: opnai, base_url: https://a.test/v1}}")
    with pytest.raises(ConfigurationError, match="did you mean openai"):
        LLMClient(config)


@pytest.mark.parametrize("key", ["api_key: '${LLM_SYNC_TEST_UNSET}', ", "api_key: 'sk-…', ", ""])
def test_strict_checks_every_key_at_the_start(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unset variable, an impossible key and no key at all are told before the first request; without strict at its time."""
    monkeypatch.delenv("LLM_SYNC_TEST_UNSET", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-good")
    config = ConfigLoader().load_text(f"providers: {{anthropic: {{models: [a]}}, openai: {{{key}models: [m]}}}}")
    with LLMClient(config) as lenient, pytest.raises(AuthenticationError):
        lenient.check_providers(["anthropic", "openai"])
    with pytest.raises(ConfigurationError) as raised:
        LLMClient(config, strict=True)
    assert [problem.field.startswith("providers.openai") for problem in raised.value.problems] == [True]
