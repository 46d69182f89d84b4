"""A simulator, clients with a cache in a folder, and the folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_sync import LLMClient

OPENAI = "openai/gpt-4o-mini"
PRICED = """
defaults: {retry_base: 0}
providers:
  openai:
    api_key: sk-test-0123456789abcdef
    base_url: "<openai>"
    concurrency: 8
    models: [{name: gpt-4o-mini, pricing: {input: 1, output: 2}}]
  anthropic: {api_key: test-key, base_url: "<anthropic>", models: [claude-haiku-4-5]}
  gemini: {api_key: test-key, base_url: "<gemini>", models: [gemini-2.5-flash]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where answers are stored; it does not exist yet."""
    return tmp_path / "answers"


@pytest.fixture
def cached(open_client: Callable[..., LLMClient], folder: Path) -> Callable[..., LLMClient]:
    """Makes a client that stores its answers in ``folder``; keywords are further settings of its cache."""

    def make(text: str = PRICED, **settings: Any) -> LLMClient:
        return open_client(text, cache={"dir": str(folder), **settings})

    return make


def stored(folder: Path) -> list[Path]:
    """The files of all answers."""
    return sorted(path for path in folder.rglob("*") if path.is_file())
