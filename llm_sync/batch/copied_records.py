"""Copies of a record, for requests that equal its request and were not asked themselves (``dedupe``)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from llm_sync.batch.context import BatchContext
from llm_sync.batch.input.requests import line_digest
from llm_sync.batch.line_details import id_in
from llm_sync.batch.state.index import NOTHING, TO_SEND
from llm_sync.batch.state.journal import Journal
from llm_sync.batch.state.records import Head, journal_line, result_id


def copy_outcomes(context: BatchContext, journal: Journal) -> Iterator[tuple[int, Head, int, float]]:
    """Write a copy to the journal for each request that has no outcome and equals one that has; give each slot that got one, with
    the head, the offset of the record, and the USD saved. Raises OSError."""
    for slot, first in context.repeats.slots() if context.repeats is not None else ():
        entry, asked = context.index.get(slot), context.index.get(first)
        if entry.state != TO_SEND or asked.state in (NOTHING, TO_SEND):
            continue
        line = context.line_format.at(context.source, entry.offset)
        digest = line_digest(line)
        if int.from_bytes(digest, "big") != context.hashes.at(slot):
            continue  # the line changed while the batch ran
        values = context.line_format.read(line)
        position = context.selection.position(slot)
        head, record = copied(context.store.head(asked), context.store.content(asked), position, digest.hex(), id_in(values))
        offset = journal.add(journal_line(head, record))
        if offset < 0:
            raise journal.failure or OSError()
        yield slot, head, offset, _saved_by(record)


def copied(head: Head, content: bytes, position: int, line: str, line_id: str | int | None) -> tuple[Head, dict[str, Any]]:
    """Head and record for the line at ``position`` with the hash ``line``, from those of an equal request. Nothing of it is
    billed: its cost is 0, and ``duplicate_of`` is the position of the line that was asked."""
    values = json.loads(content)
    openai = "llm_sync" in values
    ours = values["llm_sync"] if openai else values
    for name in ("input", "line", "possibly_billed", "billed"):  # those of the other line, or paid for there
        ours.pop(name, None)
    ours.update(index=position, line_hash=line, duplicate_of=head.position)
    values["custom_id" if openai else "id"] = line_id
    if openai:
        values["id"] = result_id(position, line)
        ours["attempts"] = 0
        if head.answered:
            ours.update(cached=True, cost_estimate=0.0, saved_estimate=_saved(ours))
    elif values.get("error"):
        values["error"]["attempts"] = 0
    elif values.get("response"):
        response = values["response"]
        response.update(id=line_id, cached=True, cost_estimate=0.0, saved_estimate=_saved(response), attempts=0)
    cost, tokens = (0.0, (head.input_tokens, head.output_tokens)) if head.answered else (None, (None, None))
    new = head._replace(position=position, line=line, unsure=0, input_tokens=tokens[0], output_tokens=tokens[1], cost=cost)
    return new, values


def _saved_by(record: dict[str, Any]) -> float:
    answer = record.get("llm_sync") or record.get("response") or {}
    return answer.get("saved_estimate") or 0.0


def _saved(response: dict[str, Any]) -> float | None:
    """What another answer would have cost."""
    saved = response.get("saved_estimate") if response.get("cached") else response.get("cost_estimate")
    return saved if isinstance(saved, (int, float)) else None
