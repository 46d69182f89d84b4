"""The ledger: what every attempt under a budget, a maximum or a tag reserved and cost, shared by all processes of the user.

An amount is reserved before an attempt is sent, in one transaction with the check of every budget it counts for: two processes
cannot both take the last cent. Afterwards the true cost takes its place. A reservation whose process is gone stays: it counts
as spent until its window is over. Amounts are whole millionths of a millionth of a US dollar.
"""

from __future__ import annotations

import contextlib
import math
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from llm_sync.config.budgets import PERIODS, Budget
from llm_sync.events import logger
from llm_sync.runtime import fork
from llm_sync.spending.caps import UNIT, Refusal, first_refusal, rounded_up, sums_of
from llm_sync.spending.folding import RUN, fold
from llm_sync.spending.ledger_file import (
    LedgerError,
    LedgerPaths,
    current_mark,
    explained,
    open_database,
    read_reference,
    transaction,
    write_mark,
    write_reference,
)
from llm_sync.spending.owner import is_gone, own_identity
from llm_sync.spending.trusted_time import Reading, read_clock, trusted_time
from llm_sync.spending.windows import Window, window_at

RESERVED, SPENT, UNSURE = "reserved", "spent", "unsure"  # unsure: sent, but without an answer that tells the cost
CACHED = "cached"  # nothing was sent; the amount is what another answer would have cost, and counts in no sum
_MARK_INTERVAL_S = 1.0  # how much a copy must be older to be noticed
_SHORT_WINDOWS_S = 172_800.0  # how long the sums of minutes and hours are kept
_SWEEP_INTERVAL_S = 0.5  # between two looks for reservations of processes that are gone
_FOLD_INTERVAL_S = 60.0  # between two looks of one process for what is to be folded

_log = logger("spending")


class Facts(NamedTuple):
    """What a row says of its request. ``config``: the configuration's file; ``run``: an id of the client."""

    provider: str
    model: str
    config: str = ""
    tag: str = ""
    run: str = ""


class Ledger:
    """The ledger of one user. Any thread may call its methods, also in a forked child; all of them raise LedgerError.

    ``clock`` is for tests. The file is opened with the first call.
    """

    def __init__(self, paths: LedgerPaths, clock: Callable[[], Reading] = read_clock) -> None:
        self._paths = paths
        self._clock = clock
        self._connection: sqlite3.Connection | None = None
        self._inherited: list[sqlite3.Connection] = []  # of the parent: closing one here would release its locks
        self._file: tuple[int, int] | None = None  # device and inode of the open database
        self._lock = threading.Lock()  # guards the connection, over one transaction
        self._owner = ""
        self._marked_at = -math.inf
        self._swept_at = self._folded_at = -math.inf
        fork.watch(self)

    # Money ----------------------------------------------------------------------------------------------------------

    def reserve(self, usd: float, budgets: Sequence[Budget], facts: Facts) -> int | Refusal:
        """Reserve an amount in every budget, or in none. Returns the number of the entry, or why not."""
        amount = rounded_up(usd)
        with self._lock, explained(self._paths.database):
            connection = self._open()
            refused = first_refusal(connection, amount, budgets, self._now(connection))  # without a lock: many may wait
            if refused is not None:
                self._sweep(connection)
                return first_refusal(connection, amount, budgets, self._now(connection)) or refused._replace(final=False)
            connection.execute("PRAGMA synchronous = FULL")  # what is sent must be known after a power cut
            with transaction(connection):
                result = self._reserve(connection, amount, budgets, facts)
            if isinstance(result, int):
                self._mark(connection)
            return result

    def settle(self, entry: int, usd: float | None, tokens: tuple[int | None, int | None] = (None, None)) -> None:
        """Put the true cost in place of what was reserved. None: it may have been billed, and nobody knows how much: the whole
        reservation stays counted."""
        with self._lock, explained(self._paths.database):
            connection = self._open()
            connection.execute("PRAGMA synchronous = NORMAL")  # what a power cut takes back stays reserved
            with transaction(connection):
                row = connection.execute("SELECT amount, state FROM entries WHERE id = ?", (entry,)).fetchone()
                if row is None or row[1] not in (RESERVED, UNSURE):
                    return
                amount = row[0] if usd is None else rounded_up(usd)
                state = UNSURE if usd is None else SPENT
                connection.execute(
                    "UPDATE entries SET state = ?, amount = ?, input_tokens = ?, output_tokens = ? WHERE id = ?",
                    (state, amount, *tokens, entry),
                )
                taken, counted = (row[0], 0) if row[1] == RESERVED else (0, row[0])
                self._add(connection, entry, spent=amount - counted, reserved=-taken)
            self._fold(connection)

    def release(self, entry: int) -> None:
        """Give back what was reserved for an attempt that surely was not billed, also where its process is gone meanwhile."""
        with self._lock, explained(self._paths.database):
            connection = self._open()
            connection.execute("PRAGMA synchronous = NORMAL")
            with transaction(connection):
                query = "SELECT amount, state FROM entries WHERE id = ? AND state IN ('reserved', 'unsure')"
                row = connection.execute(query, (entry,)).fetchone()
                if row is not None:
                    taken, counted = (row[0], 0) if row[1] == RESERVED else (0, row[0])
                    self._add(connection, entry, spent=-counted, reserved=-taken)
                    connection.execute("DELETE FROM charges WHERE entry = ?", (entry,))
                    connection.execute("DELETE FROM entries WHERE id = ?", (entry,))

    def record(
        self, usd: float | None, facts: Facts, tokens: tuple[int | None, int | None], budgets: Sequence[Budget] = ()
    ) -> None:
        """Write down what a request cost for which nothing was reserved; None: unknown. Also beyond its budgets."""
        with self._lock, explained(self._paths.database):
            connection = self._open()
            connection.execute("PRAGMA synchronous = FULL")  # the mark must not be ahead of the file
            with transaction(connection):
                state, amount = (UNSURE, 0) if usd is None else (SPENT, rounded_up(usd))
                row = (self._now(connection, store=True), state, amount, self._owner, *facts)
                self._add(connection, self._insert(connection, row, tokens, budgets), spent=amount, reserved=0)
            self._mark(connection)
            self._fold(connection)

    def record_hit(
        self, saved: float | None, facts: Facts, tokens: tuple[int | None, int | None], budgets: Sequence[Budget] = ()
    ) -> None:
        """Write down a request that the answer cache has answered: of its budgets, but in none of their sums."""
        with self._lock, explained(self._paths.database):
            connection = self._open()
            connection.execute("PRAGMA synchronous = NORMAL")  # a power cut may take it back
            with transaction(connection):
                row = (self._now(connection), CACHED, rounded_up(saved or 0.0), self._owner, *facts)
                self._insert(connection, row, tokens, budgets)
            self._fold(connection)

    def sweep(self) -> None:
        """Count as spent what processes had reserved that are gone."""
        with self._lock, explained(self._paths.database):
            self._sweep(self._open())

    def standing(self, budget: Budget) -> tuple[float, float, Window]:
        """What is spent and reserved in a budget's present window, in USD, and the window."""
        with self._lock, explained(self._paths.database):
            connection = self._open()
            self._sweep(connection)
            window = window_at(budget.per, self._now(connection))
            spent, reserved = sums_of(connection, budget, window)
            return spent / UNIT, reserved / UNIT, window

    def close(self) -> None:
        """Close the file, unless a thread is just using it; the next call opens it again. Never raises.

        When the last process has closed it, all of it is in one file: with changes in a file beside it, a copy that is put in its
        place would be a mixture of both.
        """
        if self._lock.acquire(blocking=False):
            try:
                self._close()
            finally:
                self._lock.release()

    def reset_after_fork(self) -> None:
        """In a forked child: a connection and a lock of its own."""
        self._lock = threading.Lock()
        if self._connection is not None:
            self._inherited.append(self._connection)
        self._connection, self._file, self._owner = None, None, ""

    # Steps of a transaction -------------------------------------------------------------------------------------------

    def _reserve(self, connection: sqlite3.Connection, amount: int, budgets: Sequence[Budget], facts: Facts) -> int | Refusal:
        now = self._now(connection, store=True)
        refused = first_refusal(connection, amount, budgets, now)
        if refused is not None:  # another process was faster
            return refused
        entry = self._insert(connection, (now, RESERVED, amount, self._owner, *facts), (None, None), budgets)
        self._add(connection, entry, spent=0, reserved=amount)
        return entry

    def _insert(
        self,
        connection: sqlite3.Connection,
        row: tuple[object, ...],
        tokens: tuple[int | None, int | None],
        budgets: Sequence[Budget],
    ) -> int:
        """Add an entry of some budgets, not yet in their sums; return its number."""
        cursor = connection.execute(
            """INSERT INTO entries (at, state, amount, owner, provider, model, config, tag, run, input_tokens, output_tokens)
            VALUES (?,?,?,?,?,?,?,?,?,?,?)""",
            (*row, *tokens),
        )
        entry = cursor.lastrowid or 0
        names = {budget.name for budget in budgets}
        connection.executemany("INSERT INTO charges VALUES (?,?)", [(entry, name) for name in names])
        return entry

    def _sweep(self, connection: sqlite3.Connection) -> None:
        """Count as spent what processes had reserved that are gone: the provider may have billed it."""
        if time.monotonic() - self._swept_at < _SWEEP_INTERVAL_S:
            return
        self._swept_at = time.monotonic()
        owners = [row[0] for row in connection.execute("SELECT DISTINCT owner FROM entries WHERE state = 'reserved'")]
        for owner in owners:
            if owner != self._owner and is_gone(owner):
                with transaction(connection):
                    query = "SELECT id, amount FROM entries WHERE state = 'reserved' AND owner = ?"
                    for entry, amount in connection.execute(query, (owner,)).fetchall():
                        connection.execute("UPDATE entries SET state = 'unsure' WHERE id = ?", (entry,))
                        self._add(connection, entry, spent=amount, reserved=-amount)

    def _add(self, connection: sqlite3.Connection, entry: int, *, spent: int, reserved: int) -> None:
        """Change the sums of the windows that an entry counts in: for every period, as a budget's period may be changed."""
        query = "SELECT at, budget FROM entries JOIN charges ON id = entry WHERE id = ?"
        for at, budget in connection.execute(query, (entry,)).fetchall():
            for per in PERIODS if not budget.startswith(RUN) else ("total",):
                key = (budget, per, window_at(per, at).starts)
                cursor = connection.execute(
                    "UPDATE totals SET spent = spent + ?, reserved = reserved + ? WHERE budget = ? AND per = ? AND starts = ?",
                    (spent, reserved, *key),
                )
                if not cursor.rowcount:
                    connection.execute("INSERT INTO totals VALUES (?,?,?,?,?)", (*key, spent, reserved))
                    if per == "hour":  # now and then: nobody asks for the minutes and hours of other days
                        old = "DELETE FROM totals WHERE budget = ? AND per IN ('minute', 'hour') AND starts < ?"
                        connection.execute(old, (budget, at - _SHORT_WINDOWS_S))

    def _fold(self, connection: sqlite3.Connection) -> None:
        """Keep the file small. What goes wrong is only logged: the amounts are safe."""
        if time.monotonic() - self._folded_at >= _FOLD_INTERVAL_S:
            try:
                self._sweep(connection)
                if not fold(connection, self._now(connection)):
                    self._folded_at = time.monotonic()
            except (sqlite3.Error, ValueError, OverflowError) as error:
                self._folded_at = time.monotonic()
                _log.debug("old entries of the ledger are not folded: %s", error)

    def _now(self, connection: sqlite3.Connection, *, store: bool = False) -> float:
        now, reference = trusted_time(self._clock(), read_reference(connection))
        if store:
            write_reference(connection, reference)
        return now

    # The file ---------------------------------------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and self._file == _identity(self._paths.database):
            return self._connection
        self._close()  # another file is in its place
        self._connection = open_database(self._paths)
        self._file = _identity(self._paths.database)
        self._owner = own_identity()
        return self._connection

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _mark(self, connection: sqlite3.Connection) -> None:
        if time.monotonic() - self._marked_at >= _MARK_INTERVAL_S:
            self._marked_at = time.monotonic()
            write_mark(self._paths.mark, current_mark(connection))


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError as error:
        raise LedgerError(f"{path} is gone: {error.strerror}", "Put it back.") from error
    return status.st_dev, status.st_ino
