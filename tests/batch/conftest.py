"""Batches against a scripted server: inputs, outputs, and what it saw of them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_sync import LLMClient
from llm_sync.config import ConfigLoader
from llm_sync.providers.factory import ProviderFactory
from llm_sync.simulator import Simulator

# The tests are no package; what they share goes by a name of its own.
if "batch_apparatus" not in sys.modules:
    _spec = importlib.util.spec_from_file_location("batch_apparatus", Path(__file__).with_name("apparatus.py"))
    assert _spec is not None
    assert _spec.loader is not None
    sys.modules[_spec.name] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules[_spec.name])

from batch_apparatus import CONFIG, STUB_CONFIG, Batch, Far, Stub  # type: ignore[import-not-found]


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests kill processes, not machines: nothing of them depends on what a power cut leaves, and fsync costs."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


@pytest.fixture
def far() -> Far:
    """What is answered, and what was asked."""
    return Far()


@pytest.fixture
def simulator(far: Far) -> Iterator[Simulator]:
    """The server it stands on."""
    with Simulator(on_request=far) as started:
        yield started
        assert started.faults == []


@pytest.fixture
def open_client(simulator: Simulator) -> Iterator[Callable[..., LLMClient]]:
    """Makes clients of providers a (models m, n), b (m2) and c (claude-haiku-4-5); ``text`` is another configuration."""
    opened: list[LLMClient] = []

    def make(text: str = CONFIG, **options: Any) -> LLMClient:
        for dialect in ("openai", "anthropic"):
            text = text.replace(f"<{dialect}>", simulator.url(dialect))
        opened.append(LLMClient(ConfigLoader().load_text(text), **options))
        return opened[-1]

    yield make
    for each in opened:
        each.close(cancel_pending=True, grace=0)


@pytest.fixture
def client(open_client: Callable[..., LLMClient]) -> LLMClient:
    """The usual one."""
    return open_client()


@pytest.fixture
def job(tmp_path: Path, client: LLMClient) -> Batch:
    """A batch of the usual client in a folder of its own."""
    return Batch(tmp_path, client)


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Batch]:
    """A batch whose providers answer without a wire, for what is to be tried thousands of times."""
    monkeypatch.setitem(ProviderFactory._classes, "stub", Stub)
    Stub.asked.clear()
    Stub.faults.clear()
    with LLMClient(ConfigLoader(known_types=lambda _: ["stub"]).load_text(STUB_CONFIG)) as client:
        yield Batch(tmp_path, client)
