"""The ledger stays small: what was settled long ago is kept as sums, and every figure stays what it was."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from typing import Any

import pytest

from llm_sync.cli.console.spend_text import spend_lines
from llm_sync.config.budgets import Budget
from llm_sync.spending import folding
from llm_sync.spending.caps import Refusal
from llm_sync.spending.ledger import Facts, Ledger
from llm_sync.spending.ledger_file import LedgerPaths
from llm_sync.spending.report import GROUPS, Row, spent_by

DAILY, TOTAL = Budget("daily", 100.0, "day"), Budget("all", 100.0)
FACTS = Facts("p", "m")
DAY = 86_400


def spend(ledger: Ledger, usd: float, facts: Facts = FACTS, *budgets: Budget) -> None:
    """One request that was answered, of 3 and 4 tokens."""
    entry = ledger.reserve(usd, budgets or (DAILY, TOTAL), facts)
    assert isinstance(entry, int)
    ledger.settle(entry, usd, (3, 4))


def some_days(ledger: Ledger, clock: Any, days: int, requests: int = 6) -> None:
    """Requests of several models, tags and ends on each of so many days."""
    for day in range(days):
        for number in range(requests):
            facts = Facts("p", f"m{number % 2}", "c.yaml", f"tag {number % 3}", f"run{day}")
            spend(ledger, 0.0625, facts)
            ledger.record(0.125, facts, (1, 2))
            ledger.record_hit(0.25, facts, (5, 6), [DAILY])
        ledger.settle(reserve(ledger, 0.5), None)
        clock.pass_time(DAY)


def reserve(ledger: Ledger, usd: float) -> int:
    """An amount that fits."""
    entry = ledger.reserve(usd, (DAILY, TOTAL), FACTS)
    assert isinstance(entry, int)
    return entry


def reports() -> dict[str, list[Row]]:
    """What ``llm-sync spend`` shows."""
    return {group: spent_by(group) for group in GROUPS}


def rows(paths: LedgerPaths) -> int:
    """How many rows the ledger has."""
    with contextlib.closing(sqlite3.connect(paths.database, isolation_level=None)) as connection:
        return int(connection.execute("SELECT count(*) FROM entries").fetchone()[0])


def fold_all(ledger: Ledger, clock: Any) -> None:
    """All that is old enough by now."""
    while folding.fold(ledger._open(), clock.wall):
        pass


@pytest.fixture
def unfolded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger does not fold by itself."""
    monkeypatch.setattr("llm_sync.spending.ledger.fold", lambda connection, now: False)


@pytest.mark.usefixtures("unfolded")
@pytest.mark.parametrize("later", [0, 100])
def test_every_figure_stays_the_same(ledger: Ledger, clock: Any, paths: LedgerPaths, later: int) -> None:
    """By every group, in every budget, since any day; but there are fewer rows."""
    days = 4
    some_days(ledger, clock, days, requests=12)
    fold_all(ledger, clock)
    clock.pass_time(later * DAY)
    some_days(ledger, clock, 2)
    spend(ledger, 0.5)
    before, standing, many = reports(), ledger.standing(TOTAL), rows(paths)
    starts = [(clock.wall // DAY - day) * DAY for day in range(later + 8)]
    since = [spent_by("model", start) for start in starts]
    fold_all(ledger, clock)
    assert reports() == before
    assert ledger.standing(TOTAL) == standing
    assert [spent_by("model", start) for start in starts] == since
    assert rows(paths) < many


def test_the_ledger_folds_by_itself(ledger: Ledger, clock: Any, paths: LedgerPaths) -> None:
    """For a year: one row for each day that had requests, and those of the latest day one by one."""
    for _ in range(50):
        ledger._folded_at = float("-inf")
        for _ in range(8):
            ledger.record_hit(0.001, FACTS, (1, 2), [TOTAL])
        clock.pass_time(7 * DAY)
    assert rows(paths) < 50 + 16
    assert spent_by("model")[0].requests == 400


@pytest.mark.usefixtures("unfolded")
def test_what_may_have_been_billed_can_be_settled_for_90_days(ledger: Ledger, clock: Any) -> None:
    """As jobs are collected late; after that it stays counted."""
    entries = [reserve(ledger, 0.5) for _ in range(2)]
    for entry in entries:
        ledger.settle(entry, None)
    clock.pass_time(89 * DAY)
    fold_all(ledger, clock)
    ledger.settle(entries[0], 0.25)
    assert ledger.standing(TOTAL)[0] == 0.75
    clock.pass_time(3 * DAY)
    fold_all(ledger, clock)
    ledger.settle(entries[1], 0.25)
    ledger.release(entries[1])
    assert ledger.standing(TOTAL)[0] == 0.75
    assert spent_by("budget")[0].unsure == 0.5


@pytest.mark.usefixtures("unfolded")
def test_what_is_reserved_is_not_folded(ledger: Ledger, clock: Any) -> None:
    """It can be settled a year later."""
    entry = reserve(ledger, 0.5)
    clock.pass_time(365 * DAY)
    fold_all(ledger, clock)
    ledger.settle(entry, 0.25)
    assert ledger.standing(TOTAL)[:2] == (0.25, 0)


@pytest.mark.usefixtures("unfolded")
def test_a_maximum_of_a_run_is_kept_for_90_days(ledger: Ledger, clock: Any, paths: LedgerPaths) -> None:
    """After its last request; then its requests are those of earlier runs."""
    runs = [Budget(f"{folding.RUN}{number}", 1.0) for number in range(3)]
    for run in runs:
        spend(ledger, 0.75, FACTS, run, TOTAL)
    clock.pass_time(60 * DAY)
    fold_all(ledger, clock)
    assert isinstance(ledger.reserve(0.5, [runs[0]], FACTS), Refusal)
    spend(ledger, 0.125, FACTS, runs[1])
    clock.pass_time(60 * DAY)
    fold_all(ledger, clock)
    assert ledger.standing(runs[1])[0] == 0.875
    assert ledger.standing(TOTAL)[0] == 2.25
    with contextlib.closing(sqlite3.connect(paths.database, isolation_level=None)) as connection:
        kept = connection.execute("SELECT budget FROM totals WHERE per = 'total' ORDER BY budget").fetchall()
    assert kept == [("all",), (runs[1].name,)]
    assert {row.key: row.spent for row in spent_by("budget")} == {"all": 2.25, folding.RUN: 2.25, runs[1].name: 0.125}


@pytest.mark.usefixtures("unfolded")
def test_a_clock_that_was_wrong_for_a_while_is_survived(ledger: Ledger, clock: Any, paths: LedgerPaths) -> None:
    """What a clock in the future has noted does not keep the ledger from being folded."""
    some_days(ledger, clock, 2)
    folding.fold(ledger._open(), clock.wall + 400 * DAY)
    clock.pass_time(-DAY)
    some_days(ledger, clock, 3, requests=12)
    before, many = reports(), rows(paths)
    fold_all(ledger, clock)
    assert reports() == before
    assert rows(paths) < many


OLD_SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, state TEXT NOT NULL, amount INTEGER NOT NULL, owner TEXT NOT NULL,
    provider TEXT NOT NULL, model TEXT NOT NULL, config TEXT NOT NULL, tag TEXT NOT NULL, run TEXT NOT NULL,
    input_tokens INTEGER, output_tokens INTEGER
);
CREATE TABLE charges (entry INTEGER NOT NULL, budget TEXT NOT NULL, PRIMARY KEY (entry, budget)) WITHOUT ROWID;
CREATE TABLE totals (
    budget TEXT NOT NULL, per TEXT NOT NULL, starts REAL NOT NULL, spent INTEGER NOT NULL, reserved INTEGER NOT NULL,
    PRIMARY KEY (budget, per, starts)
) WITHOUT ROWID;
CREATE INDEX entries_at ON entries (at);
CREATE INDEX entries_open ON entries (owner) WHERE state = 'reserved';
INSERT INTO meta VALUES ('ledger', 'abc');
PRAGMA user_version = 1;
"""
OLD_INSERT = """INSERT INTO entries (at, state, amount, owner, provider, model, config, tag, run, input_tokens, output_tokens)
    VALUES (?,'spent',250000000000,'','p','m','','','',3,4)"""


def test_a_ledger_of_a_former_program_goes_on_and_that_program_too(ledger: Ledger, clock: Any, paths: LedgerPaths) -> None:
    """Both write it, in turns; nothing is lost."""
    ledger.record(0.0, FACTS, (0, 0))  # makes the folder
    ledger._connection.close()  # type: ignore[union-attr]
    for path in paths:
        with open(path, "w"):
            pass
    former = sqlite3.connect(paths.database, isolation_level=None)
    former.executescript(OLD_SCHEMA)
    for number in range(5):
        former.execute(OLD_INSERT, (clock.wall - 3 * DAY + number,))
    ledger = Ledger(paths, clock)
    assert spent_by("model") == [Row("p/m", 5, 15, 20, 1.25, 0.0, 0, 0.0)]
    ledger.record(0.25, FACTS, (3, 4))
    former.execute(OLD_INSERT, (clock.wall - 3 * DAY + 9,))
    fold_all(ledger, clock)
    assert spent_by("model") == [Row("p/m", 7, 21, 28, 1.75, 0.0, 0, 0.0)]
    assert former.execute("SELECT sum(amount) FROM entries").fetchone() == (1_750_000_000_000,)
    former.close()


def test_two_processes_may_fold_at_the_same_time(
    ledger: Ledger, clock: Any, paths: LedgerPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row is folded once."""
    monkeypatch.setattr(folding, "_CHUNK", 5)
    some_days(ledger, clock, 4)
    before = reports()
    ledgers = [Ledger(paths, clock) for _ in range(2)]
    threads = [threading.Thread(target=fold_all, args=(each, clock)) for each in ledgers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reports() == before


def test_a_disk_that_is_full_when_it_folds_costs_no_settlement(ledger: Ledger, clock: Any) -> None:
    """Folding needs space of its own; it is tried again later."""
    some_days(ledger, clock, 3)
    entry, before = reserve(ledger, 0.5), spent_by("day")
    ledger._folded_at = float("-inf")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folding, "_replace", lambda *_: ledger._open().execute("INSERT INTO nowhere VALUES (1)"))
        ledger.settle(entry, 0.5, (0, 0))
    assert ledger.standing(DAILY)[:2] == (0.5, 0)
    assert spent_by("day")[:3] == before[:3]


def test_absurd_amounts_break_no_report(ledger: Ledger, clock: Any) -> None:
    """Twenty answers of a million dollars each, as a provider says, are more than an integer holds."""
    for _ in range(20):
        ledger.record(1e300, FACTS, (2**62, 2**62))
    assert spent_by("model")[0].spent == 20e6
    clock.pass_time(3 * DAY)
    fold_all(ledger, clock)
    assert spent_by("model")[0].requests == 20


def test_runs_have_names_that_no_budget_can_have() -> None:
    """In the table of budgets."""
    found = [Row(key, 1, 2, 3, 0.5, 0.0, 0, 0.0) for key in ("run/0123456789abcdef", "run/", "run", "daily")]
    names = [line.split("  ")[1].strip() for line in spend_lines("budget", found, [])[1:]]
    assert names == ["max_cost of run 0123456789abcdef", "max_cost of earlier runs", "run", "daily"]
