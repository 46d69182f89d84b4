"""Whether an amount fits into budgets, by the sums that the ledger keeps. Amounts are whole numbers of ``1 / UNIT`` USD."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from llm_sync.config.budgets import Budget
from llm_sync.spending.windows import Window, window_at

UNIT = 10**12  # parts of a US dollar
_MAX_USD = 1_000_000.0  # of one answer: a provider that reports absurd counts does not overflow the sums


class Refusal(NamedTuple):
    """Why an amount was not reserved: ``budget`` is the first that it does not fit into; amounts in USD.

    ``final``: also without what others have reserved it would not fit; otherwise asking again later may succeed.
    ``opens_at``: when the budget's next window begins, in seconds since 1970; None: never.
    """

    budget: Budget
    spent: float
    reserved: float
    asked: float
    opens_at: float | None
    final: bool


def first_refusal(connection: sqlite3.Connection, amount: int, budgets: Iterable[Budget], now: float) -> Refusal | None:
    """Why the amount does not fit, for good if there is such a reason; None if it fits into every budget."""
    refused = []
    for budget in budgets:
        window = window_at(budget.per, now)
        spent, reserved = sums_of(connection, budget, window)
        if spent + reserved + amount > _down(budget.usd):
            final = spent + amount > _down(budget.usd)
            refused.append(Refusal(budget, spent / UNIT, reserved / UNIT, amount / UNIT, window.ends, final))
    return next((each for each in refused if each.final), refused[0] if refused else None)


def sums_of(connection: sqlite3.Connection, budget: Budget, window: Window) -> tuple[int, int]:
    """What is spent and reserved in a window."""
    query = "SELECT spent, reserved FROM totals WHERE budget = ? AND per = ? AND starts = ?"
    row = connection.execute(query, (budget.name, budget.per, window.starts)).fetchone()
    return (0, 0) if row is None else (row[0], row[1])


def rounded_up(usd: float) -> int:
    """US dollars in whole units, of one answer."""
    return math.ceil(round(min(usd, _MAX_USD) * UNIT, 3))


def _down(usd: float) -> int:
    return math.floor(round(usd * UNIT, 3))
