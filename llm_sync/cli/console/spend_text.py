"""What was spent, in words: the state of budgets, and a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from llm_sync.cli.console.quantities import count
from llm_sync.cli.console.table import table
from llm_sync.config.budgets import each_window
from llm_sync.spending.folding import RUN
from llm_sync.spending.report import Row, Standing


def spend_lines(by: str, rows: Sequence[Row], standings: Sequence[Standing], width: int | None = None) -> list[str]:
    """The lines of ``llm-sync spend``, no wider than ``width`` columns."""
    lines = [_standing(standing) for standing in standings]
    if not rows:
        return [*lines, "nothing was spent under a budget, a --max-cost or a --tag"]
    titles = (by, "requests", "tokens in", "tokens out", "spent", "not settled")
    cells = [titles, *(_cells(by, row) for row in rows)]
    total = sum(row.spent + row.unsure for row in rows)
    unknown = sum(row.unknown for row in rows)
    if by != "budget":  # a request may count for several budgets
        lines.append(f"{cost(total)} for {count(sum(row.requests for row in rows), 'request')}")
    lines += table(cells, width)
    hits = sum(row.cached for row in rows)
    if hits and by != "budget":
        saved = sum(row.saved for row in rows)
        lines.append(f"the cache has answered {hits:,} of them" + (f", which saved {cost(saved)}" if saved else ""))
    if unknown:
        lines.append(f"{count(unknown, 'attempt')} may have been billed without an answer that tells the cost, counted in full")
    return lines


def cost(dollars: float) -> str:
    """US dollars; below one dollar with six digits, as single answers cost little, but whole cents with two."""
    text = f"{dollars:.6f}"
    return f"{dollars:,.2f} USD" if dollars >= 1 or text.endswith("0000") else f"{text} USD"


def _standing(standing: Standing) -> str:
    budget, left = standing.budget, standing.budget.usd - standing.spent - standing.reserved
    text = f"{budget.name}: {cost(standing.spent)} of {cost(budget.usd)} {each_window(budget)} spent, {cost(max(0.0, left))} left"
    if standing.reserved:
        text += f", {cost(standing.reserved)} reserved by requests in flight"
    if standing.opens_at is None:
        return text
    return f"{text}; the next {budget.per} begins at {datetime.fromtimestamp(standing.opens_at, timezone.utc):%Y-%m-%d %H:%M} UTC"


def _cells(by: str, row: Row) -> tuple[str, ...]:
    open_amount = row.unsure + row.reserved
    return (
        _name(by, row.key),
        f"{row.requests:,}",
        f"{row.input_tokens:,}",
        f"{row.output_tokens:,}",
        cost(row.spent),
        cost(open_amount) if open_amount or row.unknown else "",
    )


def _name(by: str, key: str) -> str:
    if by == "budget" and key.startswith(RUN):
        return f"max_cost of run {run}" if (run := key.removeprefix(RUN)) else "max_cost of earlier runs"
    return key or f"(no {by})"
