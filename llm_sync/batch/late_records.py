"""Records that other programs add to the journal while a batch runs: rescued lines, or those of a second run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from llm_sync.batch import errors as batch_errors
from llm_sync.batch.context import BatchContext
from llm_sync.batch.state import records
from llm_sync.batch.state.index import JOURNAL_LINE, TO_SEND, Entry
from llm_sync.batch.state.journal_format import is_note, pieces_of
from llm_sync.batch.state.records import Head
from llm_sync.models.route import Route

_MAX_LINE = 1 << 26


class Change(NamedTuple):
    """A slot whose outcome came from another program. ``before``: the outcome that it replaces."""

    slot: int
    head: Head
    before: Head | None


class LateRecords:
    """Takes records over where the run has no answer yet. One thread at a time.

    ``unusable``: the number of answers that belong to no request of this run, or were given under other settings.
    ``unreadable``: the number of lines that are not a journal's.
    """

    def __init__(self, context: BatchContext, is_in_flight: Callable[[int], bool]) -> None:
        self._context = context
        self._is_in_flight = is_in_flight
        self._rest = b""  # of a line whose end has not come yet
        self._fragment = b""  # of a line that one of this run's interrupted
        self._spare: dict[int, tuple[Head, int]] = {}  # answers to requests in flight, in case those fail
        self.unusable = 0
        self.unreadable = 0

    def take(self, chunk: bytes) -> Iterator[Change]:
        """The changes that newly read bytes make; the index has them already."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            yield from self._take_line(line + b"\n")
        if len(self._rest) > _MAX_LINE:
            self.unreadable, self._rest = self.unreadable + 1, b""

    def take_instead(self, head: Head, slot: int) -> Change | None:
        """The change, if another program has an answer to a request that has just ended with this outcome."""
        spare = self._spare.pop(slot, None)
        if spare is None or head.answered:
            return None
        return self._set(slot, spare[0], spare[1], head)

    def refuse(self, part: str) -> None:
        """Raise LLMConnectorError if the journal has anything that the output will not have."""
        unreadable = self.unreadable + bool(self._fragment.strip()) + bool(self._rest.strip())
        if self.unusable or unreadable:
            raise batch_errors.changed_journal(part, self.unusable, unreadable)

    def _take_line(self, line: bytes) -> Iterator[Change]:
        head = records.read_head(line)
        if head is not None:
            yield from self._take_record(head, line)
        elif not is_note(line):
            first, *others = pieces_of(line)
            joined = self._fragment + first
            head = records.read_head(joined)
            if head is not None:
                self._fragment = b""
                yield from self._take_record(head, joined)
            elif first.strip():
                self.unreadable += bool(self._fragment.strip())
                self._fragment = first.removesuffix(b"\n")
            for piece in others:
                yield from self._take_piece(piece)

    def _take_piece(self, piece: bytes) -> Iterator[Change]:
        head = records.read_head(piece)
        if head is not None:
            yield from self._take_record(head, piece)
        elif not is_note(piece):
            self.unreadable += bool(self._fragment.strip())
            self._fragment = piece.removesuffix(b"\n")

    def _take_record(self, head: Head, line: bytes) -> Iterator[Change]:
        context = self._context
        slot = context.selection.slot(head)
        entry = context.index.get(slot) if slot is not None and slot < context.index.count else None
        if slot is None or entry is None or not self._belongs(slot, entry, head):
            self.unusable += head.answered
        elif self._is_in_flight(slot):
            if head.answered and slot not in self._spare:
                self._spare[slot] = head, context.store.append(line)
        elif entry.state == TO_SEND:
            if head.answered or not head.again:
                yield self._set(slot, head, context.store.append(line), None)
        elif head.answered:
            before = context.store.head(entry)
            if not before.answered:
                yield self._set(slot, head, context.store.append(line), before)

    def _belongs(self, slot: int, entry: Entry, head: Head) -> bool:
        context = self._context
        if context.hashes.at(slot) != records.line_number(head) or context.routes.named(entry.route) != head[1:3]:
            return False
        target = Route(str(head.provider), str(head.model))
        return context.options.allow_changed_settings or context.are_current(head.settings, target)

    def _set(self, slot: int, head: Head, offset: int, before: Head | None) -> Change:
        context = self._context
        context.index.set(slot, Entry(JOURNAL_LINE, context.routes.number(head.provider, head.model), offset))
        return Change(slot, head, before)
