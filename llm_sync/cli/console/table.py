"""Tables of text, aligned for a terminal or a file."""

from __future__ import annotations

from collections.abc import Sequence


def table(cells: Sequence[Sequence[str]], width: int | None = None) -> list[str]:
    """Lines of aligned columns, the first to the left, the others to the right; ``cells``: a row of titles, then the rows.

    If they are wider than ``width`` columns, each row becomes a line of ``title value`` pairs.
    """
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    if width is not None and sum(widths) + 2 * len(widths) > width:
        titles = cells[0][1:]
        return [
            f"  {row[0]}: " + ", ".join(f"{title} {cell}" for title, cell in zip(titles, row[1:], strict=True))
            for row in cells[1:]
        ]
    return [
        "  " + "  ".join([row[0].ljust(widths[0]), *(cell.rjust(wide) for cell, wide in zip(row[1:], widths[1:], strict=True))])
        for row in cells
    ]


def labelled(label: str, text: str) -> list[str]:
    """A line that begins with a label; no line without text."""
    return [f"  {label:<8}{text}"] if text else []
