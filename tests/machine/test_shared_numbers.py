"""Numbers that processes share: what happens when their file cannot be used."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import llm_sync
from llm_sync.machine import shared_numbers
from llm_sync.machine.folder import SharedDirectory
from llm_sync.machine.shared_numbers import FileStore

HOLDER = """
import os, signal
from llm_sync.machine.folder import SharedDirectory
from llm_sync.machine.shared_numbers import FileStore

def step(numbers):
    numbers["held"] = 1.0
    print("held", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)

FileStore(SharedDirectory(lambda: "identity"), "pace").change(step)
"""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileStore:
    """A store in a runtime folder of the test's own."""
    (tmp_path / "run").mkdir(mode=0o700)
    monkeypatch.setenv("LLM_SYNC_RUNTIME_DIR", str(tmp_path / "run"))
    return FileStore(SharedDirectory(lambda: "identity"), "pace")


def count(numbers: dict[str, float]) -> float:
    """One more."""
    numbers["count"] = numbers.get("count", 0) + 1
    return numbers["count"]


def test_a_process_that_is_stopped_with_the_lock_holds_nobody_up(
    store: FileStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The others go on alone, and say so once; when it goes on, they share again."""
    monkeypatch.setattr(shared_numbers, "_MAX_WAIT_S", 0.05)
    store.change(count)
    environ = {**os.environ, "PYTHONPATH": str(Path(llm_sync.__file__).parents[1])}
    with subprocess.Popen([sys.executable, "-c", HOLDER], env=environ, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with caplog.at_level(logging.WARNING):
            assert [store.change(count) for _ in range(3)] == [1, 2, 3]
        assert ["a process that does not go on holds its lock" in record.message for record in caplog.records] == [True]
        holder.send_signal(signal.SIGCONT)
        assert holder.wait(20) == 0
    later = shared_numbers.clock.now() + shared_numbers._ALONE_S
    monkeypatch.setattr(shared_numbers.clock, "now", lambda: later)
    assert store.change(dict) == {"count": 1, "held": 1.0}


def test_nothing_is_lost_among_many_threads(store: FileStore) -> None:
    """Each opens the file anew, so the lock keeps them apart as it does processes."""
    threads = [threading.Thread(target=lambda: [store.change(count) for _ in range(50)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.change(dict) == {"count": 400}
