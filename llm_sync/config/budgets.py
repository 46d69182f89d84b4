"""Budgets, as a configuration sets them."""

from __future__ import annotations

from llm_sync.models.frozen import Frozen, dataclass

PERIODS = ("minute", "hour", "day", "week", "month", "total")


@dataclass(frozen=True, repr=False, eq=False)
class Budget(Frozen):
    """At most ``usd`` US dollars in each ``per``: a minute, hour, day, week or month (in UTC), or in ``total``.

    Budgets of the same name are one budget, in whichever configuration and process of the user they are used.
    """

    name: str
    usd: float
    per: str = "total"


def each_window(budget: Budget) -> str:
    """How often its amount may be spent, in words: "a day", "an hour", "in total"."""
    return {"total": "in total", "hour": "an hour"}.get(budget.per, f"a {budget.per}")
