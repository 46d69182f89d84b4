"""Many processes race for one budget: what the simulator bills never exceeds it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import race  # type: ignore[import-not-found]

import llm_sync
from llm_sync.config.budgets import Budget
from llm_sync.simulator import Simulator
from llm_sync.spending.ledger import Ledger
from llm_sync.spending.ledger_file import LedgerPaths


def billed(simulator: Simulator) -> float:
    """The sum of the simulator's account, in USD."""
    provider = simulator.summary()["providers"]["openai"]
    return (provider["input_tokens"] * race.INPUT + provider["output_tokens"] * race.OUTPUT) / 1e6


def run_race(
    folder: Path, cap: float, processes: int, threads: int, *, kill: int = 0, jump: int = 0
) -> tuple[float, float, float]:
    """(what was billed, what the ledger counts as spent, what it has still reserved).

    ``kill``: so many processes are killed by kill -9. ``jump``: the clock is set forward and back by so many seconds.
    """
    environ = {**os.environ, "XDG_STATE_HOME": str(folder), "PYTHONPATH": str(Path(llm_sync.__file__).parents[1])}
    with Simulator() as simulator:
        command = [sys.executable, str(Path(race.__file__)), simulator.url("openai")]
        command += [str(cap), str(processes), str(threads), str(jump)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as running:
            assert running.stdout is not None
            pids = [int(pid) for pid in running.stdout.readline().split()]
            if kill:
                simulator.wait_for_requests(processes, 120)
                for pid in pids[:kill]:
                    os.kill(pid, signal.SIGKILL)
            assert running.wait(300) == 0
        ledger = Ledger(LedgerPaths.in_folder(str(folder / "llm-sync")))
        spent, reserved, _ = ledger.standing(Budget("race", cap))  # in total
        return billed(simulator), spent, reserved


def most_of_one(threads: int) -> float:
    """More than any request of the race reserves."""
    return (2000 * race.INPUT + race.MAX_TOKENS * race.OUTPUT) / 1e6


def test_the_bill_never_exceeds_the_budget(tmp_path: Path) -> None:
    """All of it is used, but for less than one request for each process; the ledger's figure is the bill."""
    bill, spent, reserved = run_race(tmp_path, 0.3, 4, 3)
    assert bill <= 0.3
    assert spent == pytest.approx(bill, abs=1e-9)
    assert reserved == 0
    assert 0.3 - bill < 4 * most_of_one(3)


def test_processes_that_are_killed_do_not_give_anything_back(tmp_path: Path) -> None:
    """What they had reserved may have been billed; nothing goes beyond the budget, and nothing stays reserved."""
    bill, spent, reserved = run_race(tmp_path, 0.4, 4, 3, kill=2)
    assert bill <= spent + reserved + 1e-9
    assert spent + reserved <= 0.4 + 1e-9


def test_clocks_that_jump_by_a_day_open_no_window(tmp_path: Path) -> None:
    """A daily budget, in processes that disagree about the day at every look."""
    bill, spent, reserved = run_race(tmp_path, 0.1, 3, 2, jump=86_400)
    assert bill <= 0.1
    assert spent + reserved == pytest.approx(bill, abs=1e-9)
    assert 0.1 - bill < 3 * most_of_one(2)


@pytest.mark.soak
@pytest.mark.timeout(3000)
def test_twenty_processes_of_eight_threads_race_for_a_dollar(tmp_path: Path) -> None:
    """50 times; in every other run ten of them are killed midway, in every fourth clocks jump by a day."""
    began, figures = time.monotonic(), []
    for number in range(50):
        kill = 10 * (number % 2)
        bill, spent, reserved = run_race(tmp_path / str(number), 1.0, 20, 8, kill=kill, jump=86_400 * (number % 4 == 3))
        assert bill <= 1.0
        assert bill <= spent + reserved + 1e-9
        assert spent + reserved <= 1.0 + 1e-9
        if not kill:
            assert spent == pytest.approx(bill, abs=1e-9)
        assert 1.0 - (spent + reserved) < 20 * most_of_one(8)
        figures.append(bill)
        print(f"race {number}: {bill:.4f} USD billed, {spent + reserved:.4f} counted", flush=True)
    print(f"50 races: billed {min(figures):.4f} to {max(figures):.4f} USD of 1.00 in {time.monotonic() - began:.0f} s")
