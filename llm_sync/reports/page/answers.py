"""The answers of a page side by side: as data for its script, and the largest disagreements."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llm_sync.reports.rows import STATUSES, ModelRow, RecordRow

# In a script element of HTML, "<" could end it or begin a comment; U+2028 and U+2029 end lines in old scripts.
_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


@dataclass
class Item:
    """An input line with its answers: a record or None for each model, in their order.

    ``disagreement``: 0 if all answers agree. Answers whose scores differ are above all whose texts differ only.
    """

    label: str
    rows: list[RecordRow | None]
    disagreement: float

    @property
    def given(self) -> RecordRow:
        """A record that says what was asked."""
        return next(row for row in self.rows if row is not None)


def side_by_side(together: Sequence[Sequence[RecordRow]], models: Sequence[ModelRow]) -> list[Item]:
    """The records of each input line by model. A second record of one model is dropped."""
    positions = {model.column: place for place, model in enumerate(models)}
    items = []
    for records in together:
        rows: list[RecordRow | None] = [None] * len(models)
        for record in reversed(records):
            rows[positions[record.column]] = record
        items.append(Item(_label(records[0]), rows, disagreement(records)))
    return items


def _label(row: RecordRow) -> str:
    if row.id is not None:
        return str(row.id)[:200]
    return f"#{row.number + 1 if row.index is None else row.index + 1}"


def disagreement(records: Sequence[RecordRow]) -> float:
    """How far the answers to one line differ: by their scores, then by how many texts differ (but for case and white space)."""
    answers = [record for record in records if record.has_answer]
    if len(answers) < 2:
        return 0.0
    scores = [record.score for record in answers if record.score is not None]
    spread = max(scores) - min(scores) if len(scores) > 1 else 0.0
    texts = {" ".join((record.text or "").casefold().split()) for record in answers}
    return 2 * spread + (len(texts) - 1) / (len(answers) - 1)


def worst_disagreements(items: Sequence[Item], most: int = 3) -> list[tuple[int, Item]]:
    """The items with the largest disagreements, with their places."""
    ranked = sorted(enumerate(items), key=lambda place_and_item: -place_and_item[1].disagreement)
    return [(place, item) for place, item in ranked[:most] if item.disagreement > 0]


def script_json(value: Any) -> str:
    """JSON that may stand in a script element of a page, whatever is in its texts."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).translate(_ESCAPES)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")  # halves of surrogate pairs as JSON writes them


def page_data(items: Sequence[Item], models: Sequence[ModelRow]) -> dict[str, Any]:
    """What the page's script shows. The order of the values in an item and in a cell is known to answers.js."""
    return {
        "columns": [model.column for model in models],
        "statuses": STATUSES,
        "items": [_item_data(item) for item in items],
    }


def _item_data(item: Item) -> list[Any]:
    given = item.given
    return [item.label, given.input, given.expected, round(item.disagreement, 4), [_cell(row) for row in item.rows]]


def _finite(value: float | None) -> float | None:
    """JSON has neither NaN nor infinity."""
    return value if value is not None and math.isfinite(value) else None


def _cell(row: RecordRow | None) -> list[Any] | None:
    if row is None:
        return None
    return [
        STATUSES.index(row.status),
        row.text,
        row.passed,
        _finite(row.score),
        row.error,
        row.message,
        _finite(row.latency_ms),
        _finite(row.cost),
        row.input_tokens,
        row.output_tokens,
        row.attempts,
        row.finish,
    ]
