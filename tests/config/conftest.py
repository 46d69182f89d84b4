from __future__ import annotations

import os
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_sync.config import ConfigLoader, LLMConfig
from llm_sync.errors import ConfigurationError

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A bare environment, a folder of its own to stand in, and no configuration of the user's."""
    for name in list(os.environ):
        if name.endswith("_API_KEY") or name.startswith("LLM_SYNC"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file in the test's folder."""

    def written(text: str, name: str = "llms.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    return written


@pytest.fixture
def load() -> Callable[..., LLMConfig]:
    """Loads a configuration from text."""

    def loaded(text: str, **options: bool) -> LLMConfig:
        return ConfigLoader().load_text(textwrap.dedent(text), "x.yaml", **options)

    return loaded


@pytest.fixture
def problems(load: Callable[..., LLMConfig]) -> Callable[..., list[str]]:
    """The problems of a text, as texts."""

    def reported(text: str, **options: bool) -> list[str]:
        with pytest.raises(ConfigurationError) as caught:
            load(text, **options)
        return [str(problem) for problem in caught.value.problems]

    return reported
