"""What a record says of its line in the input: the line's number, and the fields that are kept of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from llm_sync.batch.context import BatchContext
from llm_sync.batch.input.requests import line_digest
from llm_sync.batch.input.source import Line
from llm_sync.batch.plan import LINE_ERRORS
from llm_sync.batch.state.record_edits import with_details
from llm_sync.batch.summary import LineName
from llm_sync.events import logger
from llm_sync.models.grammar import counted

_log = logger("batch")


def line_names(context: BatchContext, positions: Iterable[int]) -> dict[int, LineName]:
    """The names of the lines at some positions, read in one pass over the input; without those that it no longer has."""
    wanted = set(positions)
    names: dict[int, LineName] = {}
    if wanted:
        for position, line in enumerate(context.line_format.records(context.source)):
            if position in wanted:
                names[position] = LineName(line.number, _line_id(context, line))
                if len(names) == len(wanted):
                    break
    return names


def id_in(values: Mapping[str, Any]) -> str | int | None:
    """The id among a line's values."""
    line_id = values.get("custom_id", values.get("id"))
    return line_id if isinstance(line_id, (str, int)) else None


def _line_id(context: BatchContext, line: Line) -> str | int | None:
    try:
        return id_in(context.line_format.read(line.content))
    except LINE_ERRORS:
        return None


class LineDetails:
    """Adds the details of their lines to records, in the order of the slots. For one pass over the records."""

    def __init__(self, context: BatchContext) -> None:
        self._context = context
        self._lines: Iterator[tuple[int, Line]] = enumerate(context.line_format.records(context.source))
        self._position = -1
        self._line: Line | None = None
        self._digest = 0
        self._details: dict[str, Any] = {}
        self._changed = 0

    def add_to(self, slot: int, record: bytes) -> bytes:
        """The record with ``line``, and with ``input`` if fields are kept; as it is if its line has changed meanwhile."""
        position = self._context.selection.position(slot)
        if position != self._position:
            self._advance(position)
        if self._line is None or self._digest != self._context.hashes.at(slot):
            self._changed += 1
            return record
        return with_details(record, self._details, openai=self._context.line_format.openai)

    def report(self) -> None:
        """Warn of lines that changed while the batch ran, and of names to keep that no line had."""
        if self._changed:
            records = counted(self._changed, "record has", "records have")
            _log.warning("%s changed while the batch ran: %s no line number", self._context.source.name, records)
        self._context.kept_fields.warn_of_missing(self._context.source.name)

    def _advance(self, position: int) -> None:
        self._position = position
        self._line = next((line for at, line in self._lines if at == position), None)
        if self._line is not None:
            self._digest = int.from_bytes(line_digest(self._line.content), "big")
            self._details = {**self._kept(self._line), "line": self._line.number}

    def _kept(self, line: Line) -> dict[str, Any]:
        """The fields that are kept of a line, under ``input``."""
        context = self._context
        if not context.kept_fields:
            return {}
        try:
            fields = context.line_format.fields(line.content)
        except LINE_ERRORS:  # a line that was skipped
            return {}
        return {"input": context.kept_fields.of(fields, context.line_format.request_fields)}
