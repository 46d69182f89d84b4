"""The ledger: what is reserved, spent, given back, and what happens to its file."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import threading
from collections import deque
from pathlib import Path
from typing import Any

import pytest

from llm_sync.config.budgets import Budget
from llm_sync.spending.caps import Refusal
from llm_sync.spending.ledger import Facts, Ledger
from llm_sync.spending.ledger_file import LedgerError, LedgerPaths, open_database, read_mark

DAILY = Budget("daily", 1.0, "day")
FACTS = Facts("p", "m")


def standing(ledger: Ledger, budget: Budget = DAILY) -> tuple[float, float]:
    """(spent, reserved)."""
    return ledger.standing(budget)[:2]


def reserve(ledger: Ledger, usd: float, *budgets: Budget) -> int:
    """An amount that fits."""
    entry = ledger.reserve(usd, budgets or (DAILY,), FACTS)
    assert isinstance(entry, int)
    return entry


def refused(ledger: Ledger, usd: float, *budgets: Budget) -> Refusal:
    """An amount that does not fit."""
    refusal = ledger.reserve(usd, budgets or (DAILY,), FACTS)
    assert isinstance(refusal, Refusal)
    return refusal


def test_what_is_reserved_becomes_what_was_spent(ledger: Ledger) -> None:
    """The true cost takes the place of the most that it could have been."""
    entry = reserve(ledger, 0.5)
    assert standing(ledger) == (0, 0.5)
    ledger.settle(entry, 0.125, (3, 4))
    assert standing(ledger) == (0.125, 0)


def test_what_was_not_sent_is_given_back(ledger: Ledger) -> None:
    """Once."""
    entry = reserve(ledger, 0.5)
    ledger.release(entry)
    ledger.release(entry)
    assert standing(ledger) == (0, 0)


def test_what_may_have_been_billed_stays_counted(ledger: Ledger) -> None:
    """All of it; if its cost becomes known after all, that counts."""
    entry = reserve(ledger, 0.5)
    ledger.settle(entry, None)
    assert standing(ledger) == (0.5, 0)
    ledger.settle(entry, 0.2)
    assert standing(ledger) == (0.2, 0)
    ledger.settle(entry, 0.9)  # it is known already
    assert standing(ledger) == (0.2, 0)


def test_a_refusal_tells_whether_waiting_may_help(ledger: Ledger) -> None:
    """It may, as long as the amount fits beside what is spent."""
    entry = reserve(ledger, 0.75)
    refusal = refused(ledger, 0.5)
    assert (refusal.spent, refusal.reserved, refusal.asked, refusal.final) == (0, 0.75, 0.5, False)
    ledger.settle(entry, 0.6)
    refusal = refused(ledger, 0.5)
    assert (refusal.spent, refusal.reserved, refusal.final, refusal.opens_at) == (0.6, 0, True, 1_796_083_200.0)
    assert reserve(ledger, 0.4)


def test_an_amount_is_reserved_in_all_budgets_or_in_none(ledger: Ledger) -> None:
    """The refusal names one that waiting does not help."""
    small, large = Budget("small", 0.1, "hour"), Budget("large", 5.0)
    reserve(ledger, 0.05, DAILY, small, large)
    assert refused(ledger, 0.06, DAILY, small, large).budget == small
    assert (standing(ledger), standing(ledger, small), standing(ledger, large)) == ((0, 0.05),) * 3


def test_exactly_the_cap_can_be_spent(ledger: Ledger) -> None:
    """Ten tenths are one: amounts are no binary fractions."""
    for _ in range(10):
        ledger.settle(reserve(ledger, 0.1), 0.1)
    assert standing(ledger) == (1.0, 0)
    assert refused(ledger, 1e-12).final
    assert reserve(ledger, 0.0)


@pytest.mark.parametrize("per", ["minute", "hour", "day", "week", "month"])
def test_the_next_window_is_empty(ledger: Ledger, clock: Any, per: str) -> None:
    """As soon as the former is over, not before."""
    budget = Budget("b", 1.0, per)
    reserve(ledger, 1.0, budget)
    left = (ledger.standing(budget)[2].ends or 0) - clock.wall
    clock.pass_time(left - 1)
    assert refused(ledger, 0.1, budget)
    clock.pass_time(2)
    assert reserve(ledger, 0.1, budget)


def test_a_total_has_no_next_window(ledger: Ledger, clock: Any) -> None:
    """Ten years later it is as full."""
    budget = Budget("b", 1.0)
    ledger.settle(reserve(ledger, 1.0, budget), 1.0)
    clock.pass_time(3650 * 86_400)
    assert refused(ledger, 0.1, budget).opens_at is None


def test_what_was_reserved_before_midnight_counts_for_that_day(ledger: Ledger, clock: Any) -> None:
    """Whenever it is settled."""
    entry = reserve(ledger, 0.5)
    clock.pass_time(86_400)
    ledger.settle(entry, 0.5)
    assert standing(ledger) == (0, 0)


def test_a_budget_whose_period_is_changed_keeps_what_was_spent(ledger: Ledger) -> None:
    """The sums are kept for every period."""
    ledger.settle(reserve(ledger, 0.5), 0.5)
    assert standing(ledger, Budget("daily", 1.0, "month")) == (0.5, 0)
    assert standing(ledger, Budget("daily", 1.0)) == (0.5, 0)


# Clocks


@pytest.mark.parametrize("jump", [86_400, -86_400, 3600, -3600, 400 * 86_400])
def test_a_jump_of_the_clock_opens_no_window(ledger: Ledger, clock: Any, jump: float) -> None:
    """Forward, back, and back again."""
    ledger.settle(reserve(ledger, 1.0), 1.0)
    clock.wall += jump
    clock.pass_time(5)
    assert refused(ledger, 0.1).final
    clock.wall -= jump
    assert refused(ledger, 0.1).final


def test_after_a_jump_the_window_opens_when_the_time_is_over(ledger: Ledger, clock: Any) -> None:
    """The machine has run for as long."""
    ledger.settle(reserve(ledger, 1.0), 1.0)
    clock.wall -= 86_400
    clock.pass_time(12 * 3600 + 1)
    assert reserve(ledger, 0.1)


def test_a_boot_with_a_clock_that_was_set_back_opens_no_earlier_window(ledger: Ledger, clock: Any) -> None:
    """The ledger's time never goes back."""
    clock.pass_time(86_400)
    ledger.settle(reserve(ledger, 1.0), 1.0)
    clock.reboot(-86_400)
    assert refused(ledger, 0.1).final


def test_a_boot_takes_a_new_reading_of_the_clock(ledger: Ledger, clock: Any) -> None:
    """A machine that was off over night has a new day."""
    ledger.settle(reserve(ledger, 1.0), 1.0)
    clock.reboot(13 * 3600)
    assert reserve(ledger, 0.1)


# Processes


def _reserve_and_die(paths: LedgerPaths) -> None:
    ledger = Ledger(paths)
    reserve(ledger, 0.75, Budget("b", 1.0))
    os._exit(9)


def test_a_reservation_of_a_process_that_is_gone_counts_as_spent(paths: LedgerPaths) -> None:
    """It is neither waited for nor given back."""
    child = os.fork()
    if child == 0:
        try:
            _reserve_and_die(paths)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    ledger = Ledger(paths)
    assert refused(ledger, 0.5, Budget("b", 1.0)).final
    assert standing(ledger, Budget("b", 1.0)) == (0.75, 0)


def test_a_forked_child_has_a_connection_of_its_own(ledger: Ledger) -> None:
    """Both go on."""
    reserve(ledger, 0.25)
    child = os.fork()
    if child == 0:
        os._exit(0 if isinstance(ledger.reserve(0.25, (DAILY,), FACTS), int) else 1)
    assert os.waitpid(child, 0)[1] == 0
    reserve(ledger, 0.25)
    assert sum(standing(ledger)) == 0.75


def test_threads_share_a_ledger(ledger: Ledger) -> None:
    """No amount is lost or taken twice."""

    def spend() -> None:
        for _ in range(10):
            ledger.settle(reserve(ledger, 0.02), 0.01)

    threads = [threading.Thread(target=spend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert standing(ledger) == (0.4, 0)


# The file


def test_only_the_user_may_read_it(ledger: Ledger, paths: LedgerPaths) -> None:
    """It tells what somebody asks, and of whom."""
    reserve(ledger, 0.1)
    assert oct(os.stat(paths.database).st_mode & 0o777) == oct(os.stat(paths.mark).st_mode & 0o777) == "0o600"
    assert oct(os.stat(Path(paths.database).parent).st_mode & 0o777) == "0o700"


def test_a_damaged_file_is_said_to_be_damaged(ledger: Ledger, paths: LedgerPaths) -> None:
    """With what to do."""
    os.makedirs(Path(paths.database).parent)
    Path(paths.database).write_bytes(b"no database" * 1000)
    with pytest.raises(LedgerError, match="is damaged: file is not a database") as caught:
        reserve(ledger, 0.1)
    assert "llm-sync spend --accept" in caught.value.guidance


def test_a_locked_file_is_said_to_be_locked(ledger: Ledger, paths: LedgerPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time that others get."""
    monkeypatch.setattr("llm_sync.spending.ledger_file.BUSY_TIMEOUT_S", 0.1)
    reserve(ledger, 0.1)
    other = sqlite3.connect(paths.database, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(LedgerError, match="database is locked") as caught:
        Ledger(paths).settle(1, 0.1)
    assert caught.value.passes
    other.close()


def test_a_file_that_cannot_be_written_is_said_to_be_so(paths: LedgerPaths) -> None:
    """Whatever stands in the way."""
    os.makedirs(paths.database)
    with pytest.raises(LedgerError, match="cannot be used: Is a directory"):
        reserve(Ledger(paths), 0.1)


def test_a_full_disk_is_said_to_be_full(ledger: Ledger) -> None:
    """Nothing is reserved then; what was before stays."""
    entry = reserve(ledger, 0.25)
    connection = ledger._open()
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's way to have a full disk
    with pytest.raises(LedgerError, match="database or disk is full"):
        deque((reserve(ledger, 0.001) for _ in range(500)), maxlen=0)
    connection.execute("PRAGMA max_page_count = 100000")
    ledger.settle(entry, 0.25)
    entries = connection.execute("SELECT coalesce(sum(amount), 0) FROM entries").fetchone()[0]
    assert sum(standing(ledger)) == pytest.approx(entries / 1e12)


def test_a_file_of_a_newer_program_is_left_alone(ledger: Ledger, paths: LedgerPaths) -> None:
    """One that would count in another way."""
    reserve(ledger, 0.1)
    with contextlib.closing(sqlite3.connect(paths.database)) as connection:
        connection.execute("PRAGMA user_version = 2")
    with pytest.raises(LedgerError, match="newer llm-sync"):
        reserve(Ledger(paths), 0.1)


def test_a_copy_of_yesterday_is_noticed(ledger: Ledger, paths: LedgerPaths, tmp_path: Path) -> None:
    """What was spent since then is not in it; the user may accept it."""
    reserve(ledger, 0.1)
    ledger._connection.close()  # type: ignore[union-attr]
    ledger._connection = None
    shutil.copy(paths.database, tmp_path / "copy")
    ledger._marked_at = float("-inf")
    reserve(ledger, 0.5)
    ledger._connection.close()  # type: ignore[union-attr]
    shutil.copy(tmp_path / "copy", paths.database)
    with pytest.raises(LedgerError, match="older than it was: a copy was put in its place") as caught:
        reserve(Ledger(paths), 0.1)
    assert "llm-sync spend --accept" in caught.value.guidance
    open_database(paths, accept=True).close()
    assert reserve(Ledger(paths), 0.1)


def test_a_file_that_was_removed_is_noticed(ledger: Ledger, paths: LedgerPaths) -> None:
    """While a process has it open, and by the next one."""
    reserve(ledger, 0.1)
    for name in os.listdir(Path(paths.database).parent):
        if "db" in name:
            os.unlink(Path(paths.database).parent / name)
    for each in (ledger, Ledger(paths)):
        with pytest.raises(LedgerError, match="is gone"):
            reserve(each, 0.1)
    open_database(paths, accept=True).close()
    assert reserve(Ledger(paths), 1.0)


def test_another_ledger_in_its_place_is_noticed(ledger: Ledger, paths: LedgerPaths, tmp_path: Path) -> None:
    """Of another machine, for example."""
    reserve(ledger, 0.1)
    other = LedgerPaths.in_folder(str(tmp_path / "other"))
    strange = Ledger(other)
    reserve(strange, 0.1)
    for each in (ledger, strange):
        each._connection.close()  # type: ignore[union-attr]
    os.replace(other.database, paths.database)
    with pytest.raises(LedgerError, match="another one than before"):
        reserve(Ledger(paths), 0.1)


def test_a_torn_mark_is_none(ledger: Ledger, paths: LedgerPaths) -> None:
    """It is written anew; the database is what counts."""
    reserve(ledger, 0.1)
    Path(paths.mark).write_text("abc")
    assert read_mark(paths.mark) is None
    assert reserve(Ledger(paths), 0.1)
    assert read_mark(paths.mark) is not None
