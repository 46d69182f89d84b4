"""Simulated providers and clients of them, begun and ended around each test; and Ctrl-C as on a terminal."""

from __future__ import annotations

import gc
import signal
import socket
import sys
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

from llm_sync import LLMClient
from llm_sync.config import ConfigLoader
from llm_sync.simulator import Simulator

# A shell starts background jobs with SIGINT ignored, nohup a program with SIGHUP, which every program they start inherits: none
# would hear Ctrl-C, or that its terminal is closed.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

TWO_PROVIDERS = """
defaults: {retry_base: 0}
providers:
  openai: {api_key: test-key, base_url: "<openai>", models: [gpt-4o-mini]}
  anthropic: {api_key: test-key, base_url: "<anthropic>", models: [claude-haiku-4-5]}
"""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the tests out of garbage collection: there are many, all are needed to the end, and each full one would visit them.

    Without this, collecting the tests takes half as long again, and so does each test that calls ``gc.collect()``.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.fixture(autouse=True)
def _own_runtime_folder(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Share nothing with what else this user runs, and leave no lock file open: a process keeps those of the answer cache."""
    monkeypatch.setenv("LLM_SYNC_RUNTIME_DIR", str(tmp_path_factory.getbasetemp() / "runtime"))
    yield
    if (asking_locks := sys.modules.get("llm_sync.cache.asking_locks")) is not None:
        for file in list(asking_locks._files.values()):
            file.retire()


@pytest.fixture
def rehearsal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A simulator that takes one key, and this process made one that ``llm-sync simulate`` runs.

    Whoever looks up any name but this machine's has left the rehearsal.
    """
    look_up = socket.getaddrinfo

    def looking_up(host: Any, *more: Any, **options: Any) -> Any:
        assert host in ("127.0.0.1", "localhost"), f"{host} is looked up"
        return look_up(host, *more, **options)

    key = "sk-simulated-0123456789"
    with Simulator(keys=[key]) as started:
        monkeypatch.setattr(socket, "getaddrinfo", looking_up)
        monkeypatch.setenv("LLM_SYNC_SIMULATOR_URL", started.root)
        monkeypatch.setenv("LLM_SYNC_SIMULATOR_KEY", key)
        yield started
        assert started.faults == []


@pytest.fixture
def upstream() -> Iterator[Simulator]:
    """Simulated providers of every dialect, which must not have failed inside."""
    with Simulator() as started:
        yield started
        assert started.faults == []


@pytest.fixture
def write_config(upstream: Simulator) -> Callable[[str], str]:
    """Fills a configuration's ``<dialect>`` marks with the base URLs of ``upstream``."""

    def filled(text: str = TWO_PROVIDERS) -> str:
        for dialect in ("openai", "openai-responses", "anthropic", "gemini", "openrouter"):
            text = text.replace(f"<{dialect}>", upstream.url(dialect))
        return text

    return filled


@pytest.fixture
def open_client(write_config: Callable[[str], str]) -> Iterator[Callable[..., LLMClient]]:
    """Makes clients of ``upstream``, ended with the test whatever is still under way; options as LLMClient's."""
    opened: list[LLMClient] = []

    def make(text: str = TWO_PROVIDERS, **options: Any) -> LLMClient:
        opened.append(LLMClient(ConfigLoader().load_text(write_config(text)), **options))
        return opened[-1]

    yield make
    for each in opened:
        each.close(cancel_pending=True, grace=0)


@pytest.fixture
def client(open_client: Callable[..., LLMClient]) -> LLMClient:
    """A client of two providers: openai/gpt-4o-mini and anthropic/claude-haiku-4-5."""
    return open_client()
