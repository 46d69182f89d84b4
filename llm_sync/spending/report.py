"""What was spent, for ``llm-sync spend``: read from the ledger."""

from __future__ import annotations

import contextlib
import os
from typing import Any, NamedTuple

from llm_sync.config.budgets import Budget
from llm_sync.spending.caps import UNIT
from llm_sync.spending.ledger import Ledger
from llm_sync.spending.ledger_file import LedgerPaths, explained, open_database

GROUPS = ("day", "provider", "model", "budget", "config", "tag")
_KEYS = {
    "day": "strftime('%Y-%m-%d', at, 'unixepoch')",
    "provider": "provider",
    "model": "provider || '/' || model",
    "budget": "coalesce(budget, '')",
    "config": "config",
    "tag": "tag",
}


class Row(NamedTuple):
    """One group. ``spent``: USD of answers whose cost is known; ``unsure``: USD of ``unknown`` attempts that may have been
    billed, each counted in full; ``reserved``: USD of requests in flight. ``requests`` counts all of them. ``cached``: how many
    of these the answer cache has answered, ``saved``: USD that others would have cost, where that is known; they have no tokens.
    """

    key: str
    requests: int
    input_tokens: int
    output_tokens: int
    spent: float
    unsure: float
    unknown: int
    reserved: float
    cached: int = 0
    saved: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return self._asdict()


class Standing(NamedTuple):
    """A budget now, in USD. ``opens_at``: seconds since 1970, None for a total."""

    budget: Budget
    spent: float
    reserved: float
    opens_at: float | None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        budget = self.budget
        return {"budget": budget.name, "usd": budget.usd, "per": budget.per, **self._asdict()} | {"budget": budget.name}


def spent_by(group: str, since: float = 0.0, *, simulated: bool = False) -> list[Row]:
    """A row for each group, the dearest first (days in their order); none without a ledger. Raises LedgerError."""
    paths = LedgerPaths.of_user(simulated=simulated)
    if not os.path.exists(paths.database) and not os.path.exists(paths.mark):
        return []
    with contextlib.closing(Ledger(paths)) as ledger:
        ledger.sweep()
    charges = "LEFT JOIN charges ON entry = id" if group == "budget" else ""
    # total(), not sum(): absurd figures of a provider would overflow integers.
    query = f"""SELECT {_KEYS[group]} AS key, sum(requests),
        total(CASE WHEN state != 'cached' THEN input_tokens END), total(CASE WHEN state != 'cached' THEN output_tokens END),
        total(CASE state WHEN 'spent' THEN amount END), total(CASE state WHEN 'unsure' THEN amount END),
        total(CASE state WHEN 'unsure' THEN requests END), total(CASE state WHEN 'reserved' THEN amount END),
        total(CASE state WHEN 'cached' THEN requests END), total(CASE state WHEN 'cached' THEN amount END)
        FROM entries {charges} WHERE at >= ? GROUP BY key"""  # noqa: S608  (the parts are constants)
    with explained(paths.database), contextlib.closing(open_database(paths)) as connection:
        found = connection.execute(query, (since,)).fetchall()
        rows = [
            Row(
                key,
                count,
                int(sent),
                int(made),
                spent / UNIT,
                unsure / UNIT,
                int(unknown),
                reserved / UNIT,
                int(cached),
                saved / UNIT,
            )
            for key, count, sent, made, spent, unsure, unknown, reserved, cached, saved in found
        ]
    return sorted(rows, key=lambda row: row.key) if group == "day" else sorted(rows, key=lambda row: (-row.spent, row.key))


def standings(budgets: list[Budget], *, simulated: bool = False) -> list[Standing]:
    """How much of each budget is gone in its present window. Raises LedgerError."""
    found = []
    with contextlib.closing(Ledger(LedgerPaths.of_user(simulated=simulated))) as ledger:
        for budget in budgets:
            spent, reserved, window = ledger.standing(budget)
            found.append(Standing(budget, spent, reserved, window.ends))
    return found


def accept(*, simulated: bool = False) -> str:
    """Take the ledger and the clock as they are now; returns the ledger's path. Raises LedgerError."""
    paths = LedgerPaths.of_user(simulated=simulated)
    with explained(paths.database), contextlib.closing(open_database(paths, accept=True)) as connection:
        connection.execute("DELETE FROM meta WHERE name = 'time'")
    return paths.database
