"""Outputs of some lines of an input, such as those that failed elsewhere: their records are found by what was sent."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from llm_sync.batch.state.record_edits import reindexed
from llm_sync.batch.state.records import Head


class OutputRecord(NamedTuple):
    """One line of one output."""

    head: Head
    content: bytes

    @property
    def request_id(self) -> object:
        """The id of its line."""
        values = json.loads(self.content)
        return values.get("custom_id") if "llm_sync" in values else values.get("id")

    @property
    def request(self) -> str:
        """The hash of what was sent; of the line, if that is not known."""
        return self.head.content or self.head.line


class PartialOutput:
    """The records of one output, in memory, until they are taken."""

    def __init__(self, path: str, records: Iterable[OutputRecord]) -> None:
        self.path = path
        self._records: dict[str, deque[list[OutputRecord]]] = {}  # the records of each line, by request
        position = None
        for record in records:
            if record.head.position != position:
                self._records.setdefault(record.request, deque()).append([])
                position = record.head.position
            lines = self._records.get(record.request)
            if lines:
                lines[-1].append(record)

    def take(self, line: OutputRecord) -> list[OutputRecord]:
        """Remove and return the records of the line that a record is of, with that line's position.

        Of several lines with the same request, it is the one with the same id, else the first one without an id, else none.
        """
        lines = self._records.get(line.request)
        if not lines:
            return []
        chosen = 0
        if len(lines) > 1:
            ids = [records[0].request_id for records in lines]
            line_id = line.request_id if line.request_id in ids else None
            if line_id not in ids:
                return []
            chosen = ids.index(line_id)
        taken = lines[chosen]
        del lines[chosen]
        position = line.head.position
        return [OutputRecord(record.head._replace(position=position), reindexed(record.content, position)) for record in taken]

    def left(self) -> OutputRecord | None:
        """The first record that was not taken."""
        return next((records[0] for lines in self._records.values() for records in lines), None)
