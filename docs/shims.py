#!/usr/bin/env python3
"""Writes into docs/migrating.md what becomes of each parameter of the originals, from the tables that the shims run.

    python docs/shims.py [--check]

With --check nothing is written; the exit status is 1 when the page is not what would be written.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from llm_sync.compat.anthropic import parameters as of_anthropic
from llm_sync.compat.litellm import parameters as of_litellm
from llm_sync.compat.openai import parameters as of_openai
from llm_sync.compat.shim.parameters import REFUSED, Parameter, Table

PAGE = Path(__file__).resolve().with_name("migrating.md")
BEGIN, END = "<!-- docs/shims.py writes from here … -->", "<!-- … to here -->"
TABLES = (
    ("openai, 1.x and later", of_openai.TODAY),
    ("openai, 0.x", of_openai.LEGACY),
    ("anthropic", of_anthropic.TABLES),
    ("litellm", of_litellm.TABLES),
)


_SHARED = 8  # rows that two calls have in common, from which on the second one's table leaves them out


def tables() -> Iterator[str]:
    """Every table, in Markdown; one that is much like an earlier one has the differences only."""
    seen: list[Table] = []
    for original, calls in TABLES:
        yield f"### Parameters of {original}\n"
        for table in calls:
            yield from _table(table, _like(table, seen))
            seen.append(table)


def _rows(table: Table) -> list[Parameter]:
    return [*table.values(), *([table.others] if table.others else [])]


def _like(table: Table, seen: list[Table]) -> Table | None:
    """Of the tables before it that has the most rows in common with this one, and no parameter that this one has not."""
    names = {row.name for row in _rows(table)}
    fitting = [other for other in seen if {row.name for row in _rows(other)} <= names]
    best = max(fitting, key=lambda other: len(_shared(table, other)), default=None)
    return best if best is not None and len(_shared(table, best)) >= _SHARED else None


def _shared(table: Table, other: Table) -> list[Parameter]:
    return [row for row in _rows(table) if row in _rows(other)]


def _table(table: Table, like: Table | None) -> Iterator[str]:
    rows = [row for row in _rows(table) if like is None or row not in _shared(table, like)]
    yield f"`{table.call}`" + (f": as for `{like.call}` above, and:" if like else "") + "\n"
    yield "| parameter | support | how, or the alternative |"
    yield "|---|---|---|"
    for (support, note), group in groupby(rows, key=lambda row: (row.support, row.note)):
        names = ", ".join(_shown(row) for row in group)
        yield f"| {names} | {support} | {note} |"
    yield ""


def _shown(row: Parameter) -> str:
    """A parameter's name; for a refused one that may have other values than None, those too."""
    allowed = [f"`{value!r}`" for value in row.neutral if value is not None] if row.support == REFUSED else []
    return f"`{row.name}`" + (f" (but {' or '.join(allowed)})" if allowed else "")


def page() -> str:
    """The page as it should be."""
    before, begin, rest = PAGE.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{PAGE} has no {BEGIN} … {END}")
    return f"{before}{BEGIN}\n\n" + "\n".join(tables()) + f"\n{END}{after}"


def main() -> int:
    """Write the page, or say whether it is as it should be."""
    text = page()
    if "--check" in sys.argv[1:]:
        return int(PAGE.read_text("utf-8") != text)
    PAGE.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
