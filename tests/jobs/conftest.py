"""Batches by jobs against the simulator."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_sync.simulator import Simulator

# The tests are no package; what they share goes by a name of its own.
if "jobs_apparatus" not in sys.modules:
    _spec = importlib.util.spec_from_file_location("jobs_apparatus", Path(__file__).with_name("apparatus.py"))
    assert _spec is not None
    assert _spec.loader is not None
    sys.modules[_spec.name] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules[_spec.name])

from jobs_apparatus import JobBatch  # type: ignore[import-not-found]


@pytest.fixture(autouse=True)
def _own_ledger(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What a test spends counts for no other one, nor for this user."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests kill processes, not machines."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., JobBatch]]:
    """Makes a batch against a simulator of its own; the arguments are the rules of its script."""
    started: list[Simulator] = []

    def make(*rules: dict[str, Any], kind: str = "openai", lines: int = 40, speed: float = 36_000, **jobs: Any) -> JobBatch:
        script = {"jobs": {"speed": speed, **jobs}, **({"rules": list(rules)} if rules else {})}
        started.append(Simulator(script=script).start())
        return JobBatch(tmp_path / f"run{len(started)}", started[-1], kind, lines)

    yield make
    for simulator in started:
        simulator.stop()
        assert simulator.faults == []
