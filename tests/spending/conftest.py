"""A ledger and clients of its own for each test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_sync import LLMClient
from llm_sync.config import ConfigLoader
from llm_sync.simulator import Simulator
from llm_sync.spending.ledger import Ledger
from llm_sync.spending.ledger_file import LedgerPaths
from llm_sync.spending.trusted_time import Reading

sys.path.insert(0, str(Path(__file__).parent))


class Clock:
    """Clocks that a test sets: what the ledger reads."""

    def __init__(self) -> None:
        self.wall, self.uptime, self.boot = 1_796_040_000.0, 5_000.0, "boot-1"  # 2026-11-30 12:00 UTC

    def pass_time(self, seconds: float) -> None:
        """Both clocks go on."""
        self.wall += seconds
        self.uptime += seconds

    def reboot(self, seconds: float) -> None:
        """The machine was off for a while."""
        self.wall += seconds
        self.uptime, self.boot = 10.0, f"{self.boot}'"

    def __call__(self) -> Reading:
        return Reading(self.wall, self.uptime, self.boot)


@pytest.fixture
def clock() -> Clock:
    """The clocks."""
    return Clock()


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's state folder, of this test alone; the folder of llm-sync in it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "llm-sync"


@pytest.fixture(autouse=True)
def _closed_ledgers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close what a test opens: Python 3.13 warns of a database that is left open."""
    made: list[Ledger] = []
    make = Ledger.__init__

    def make_and_note(self: Ledger, *args: Any, **options: Any) -> None:
        make(self, *args, **options)
        made.append(self)

    monkeypatch.setattr(Ledger, "__init__", make_and_note)
    yield
    for ledger in made:
        ledger.close()


@pytest.fixture
def paths(state: Path) -> LedgerPaths:
    """Where the ledger is."""
    return LedgerPaths.in_folder(str(state))


@pytest.fixture
def ledger(paths: LedgerPaths, clock: Clock) -> Ledger:
    """The ledger, by the test's clock."""
    return Ledger(paths, clock)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A simulator without a script."""
    with Simulator() as running:
        yield running


@pytest.fixture
def open_client(simulator: Simulator) -> Iterator[Callable[..., LLMClient]]:
    """``open_client(text, **options)``: a client for a configuration in which URL stands for the simulator."""
    clients: list[LLMClient] = []

    def open_one(text: str, **options: Any) -> LLMClient:
        config = ConfigLoader().load_text(text.replace("URL", simulator.url("openai")))
        clients.append(LLMClient(config, **options))
        return clients[-1]

    yield open_one
    for client in clients:
        client.close(cancel_pending=True)
