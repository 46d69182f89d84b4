"""Fixtures: a runtime folder for each test, programs in separate processes (those of ``endings``), and waiting."""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

if "endings_apparatus" not in sys.modules:
    _spec = importlib.util.spec_from_file_location("endings_apparatus", Path(__file__).parents[1] / "endings/apparatus.py")
    assert _spec is not None
    assert _spec.loader is not None
    sys.modules[_spec.name] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules[_spec.name])

from endings_apparatus import PATIENCE_S, Program  # type: ignore[import-not-found]

from llm_sync.simulator import Simulator

SHARED = """
defaults: {model: openai/m, retry_base: 0, max_retries: 0}
providers:
  openai: {api_key: "${MACHINE_TEST_KEY}", base_url: "<openai>", models: [m], machine_wide: true}
"""

PREAMBLE = """
from llm_sync.machine import locks
from llm_sync.machine.folder import SharedDirectory
from llm_sync.machine.semaphore import MachineSemaphore
from llm_sync.runtime.cancellation import CallControl

def slots(count=1, identity="one"):
    return MachineSemaphore(SharedDirectory(lambda: identity), count, "p")
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """There are no file locks on Windows."""
    for item in items:
        if Path(__file__).parent in item.path.parents and not hasattr(os, "fork"):
            item.add_marker(pytest.mark.skip("there is no flock on this platform"))


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The runtime folder of this test's processes; it does not exist yet."""
    folder = tmp_path / "runtime"
    monkeypatch.setenv("LLM_SYNC_RUNTIME_DIR", str(folder))
    monkeypatch.setenv("MACHINE_TEST_KEY", "test-key")
    monkeypatch.setattr("llm_sync.machine.status._command", [])  # commands that other tests ran in this process say what they are
    return folder


@pytest.fixture
def program() -> Iterator[Callable[..., Program]]:
    """``program(body, *arguments)`` starts a program that can use ``slots``; it does not outlive the test."""
    started: list[Program] = []

    def start(body: str, *arguments: str) -> Program:
        started.append(Program(PREAMBLE + body, *arguments))
        return started[-1]

    yield start
    for each in started:
        each.end()


@pytest.fixture
def shared_config(upstream: Simulator, tmp_path: Path) -> str:
    """The path of a configuration with one provider, which is machine-wide."""
    path = tmp_path / "shared.yaml"
    path.write_text(SHARED.replace("<openai>", upstream.url("openai")))
    return str(path)


@pytest.fixture
def soon() -> Callable[[Callable[[], object]], None]:
    """``soon(condition)`` waits until a condition holds that another process or thread brings about."""

    def wait(condition: Callable[[], object]) -> None:
        until = time.monotonic() + PATIENCE_S
        pause = threading.Event()
        while not condition():
            assert time.monotonic() < until, "it does not come"
            pause.wait(0.005)

    return wait


@pytest.fixture
def in_line(runtime: Path) -> Callable[[], int]:
    """``in_line()`` is the number of tickets in the only queue."""
    return lambda: len(list(runtime.glob("providers/*/ticket-*")))
