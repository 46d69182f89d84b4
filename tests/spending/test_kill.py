"""A process is killed at every write of the ledger: the sums stay those of the entries, and nothing that was sent is lost."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import llm_sync
from llm_sync.config.budgets import PERIODS, Budget
from llm_sync.spending.ledger import Facts, Ledger
from llm_sync.spending.ledger_file import LedgerPaths
from llm_sync.spending.windows import window_at

# Reserves, settles, gives back and records; kills itself before its Nth statement. It writes down what it "sent" beforehand.
VICTIM = """
import os, signal, sys
from llm_sync.config.budgets import Budget
from llm_sync.spending.ledger import Facts, Ledger
from llm_sync.spending.ledger_file import LedgerPaths
from llm_sync.spending.trusted_time import read_clock

folder, last = sys.argv[1], int(sys.argv[2])
ledger = Ledger(LedgerPaths.in_folder(folder))
sent = os.open(os.path.join(folder, "sent"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
budgets = (Budget("a", 5.0, "day"), Budget("b", 5.0))
ledger.reserve(0.0, budgets, Facts("p", "m"))
statements = 0
if len(sys.argv) > 3:  # days later there is something to fold
    for number in range(3):
        ledger.settle(ledger.reserve(0.25, budgets, Facts("p", "m")), 0.25)
        os.write(sent, b"x")
    ledger._clock = lambda: read_clock()._replace(wall=0.0, uptime=read_clock().uptime + float(sys.argv[3]) * 86400)
    ledger._folded_at = float("-inf")

def count(statement):
    global statements
    statements += 1
    if statements == last:
        os.kill(os.getpid(), signal.SIGKILL)

ledger._connection.set_trace_callback(count)
for number in range(3):
    entry = ledger.reserve(0.25, budgets, Facts("p", "m"))
    os.write(sent, b"x")
    ledger.settle(entry, 0.25 if number else None)
    ledger.release(ledger.reserve(0.5, budgets, Facts("p", "m")))
    ledger.record(0.125, Facts("p", "m", tag="t"), (1, 2))
"""


def check(folder: Path, *later: str) -> None:
    """The sums are the entries', for every budget and period; all that was sent is counted."""
    ledger = Ledger(LedgerPaths.in_folder(str(folder)))
    b = Budget("b", 5.0)
    spent, reserved, _ = ledger.standing(b)
    sent = (folder / "sent").stat().st_size * 0.25
    assert spent + reserved >= sent
    with contextlib.closing(sqlite3.connect(folder / "spending.db", isolation_level=None)) as connection:
        rows = connection.execute("SELECT budget, at, state, amount FROM charges JOIN entries ON id = entry").fetchall()
        totals = connection.execute("SELECT budget, per, starts, spent, reserved FROM totals").fetchall()
    expected: dict[tuple[str, str, float], list[int]] = {}
    periods = PERIODS if not later else PERIODS[2:]  # the minutes and hours of other days are forgotten
    for budget, at, state, amount in rows:
        for per in periods:
            sums = expected.setdefault((budget, per, window_at(per, at).starts), [0, 0])
            sums[state == "reserved"] += amount
    found = {(budget, per, starts): [spent, reserved] for budget, per, starts, spent, reserved in totals if per in periods}
    assert {key: sums for key, sums in found.items() if sums != [0, 0]} == {
        key: sums for key, sums in expected.items() if sums != [0, 0]
    }
    assert isinstance(ledger.reserve(0.1, [b], Facts("p", "m")), int)  # and it goes on


def run_victim(folder: Path, last: int, *later: str) -> int:
    """Its status, -9 if it was killed. ``later``: after how many days it goes on."""
    folder.mkdir()
    environ = {**os.environ, "PYTHONPATH": str(Path(llm_sync.__file__).parents[1])}
    return subprocess.run([sys.executable, "-c", VICTIM, str(folder), str(last), *later], env=environ, check=False).returncode


@pytest.mark.parametrize("last", random.Random(17).sample(range(1, 120), 12))  # noqa: S311  (no secret)
def test_a_kill_before_a_statement_loses_nothing(tmp_path: Path, last: int) -> None:
    """A few of them; all are tried in the long tests."""
    assert run_victim(tmp_path / "ledger", last) == -signal.SIGKILL
    check(tmp_path / "ledger")


@pytest.mark.parametrize("last", random.Random(18).sample(range(30, 130), 4))  # noqa: S311  (no secret)
def test_a_kill_while_the_ledger_is_folded_loses_nothing(tmp_path: Path, last: int) -> None:
    """Sums take the place of requests as a whole, or not at all."""
    assert run_victim(tmp_path / "ledger", last, "3") == -signal.SIGKILL
    check(tmp_path / "ledger", "3")


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("later", [(), ("3",), ("100",)])
def test_a_kill_before_any_statement_loses_nothing(tmp_path: Path, later: tuple[str, ...]) -> None:
    """Until the program ends by itself; also while requests of days ago become sums."""
    for last in range(1, 1000):
        status = run_victim(tmp_path / str(last), last, *later)
        check(tmp_path / str(last), *later)
        if status == 0:
            print(f"killed before each of {last - 1} statements")
            return
        assert status == -signal.SIGKILL
    raise AssertionError("it never ended")
