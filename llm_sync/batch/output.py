"""Writes the ordered output from the store, one record at a time, each verified, and then replaces the file."""

from __future__ import annotations

import os
import stat
import zlib
from collections.abc import Callable
from typing import IO

from llm_sync.batch import errors as batch_errors
from llm_sync.batch.context import BatchContext
from llm_sync.batch.input.requests import line_digest
from llm_sync.batch.line_details import LineDetails
from llm_sync.batch.replacing import replacing, sync
from llm_sync.batch.state import record_edits, records
from llm_sync.batch.state.finished_output import OutputChecksum
from llm_sync.batch.state.index import JOURNAL_LINE, TO_SEND, Entry
from llm_sync.batch.state.journal_format import outcome_start
from llm_sync.errors import LLMConnectorError

_APPENDING = os.O_RDWR | os.O_APPEND | os.O_CREAT
for _name in ("O_CLOEXEC", "O_BINARY", "O_NOFOLLOW", "O_NONBLOCK"):
    _APPENDING |= getattr(os, _name, 0)


def finish(
    context: BatchContext,
    output: str,
    replaced: list[Entry],
    written: Callable[[OutputChecksum], object],
    *,
    moved: bool,
) -> None:
    """Write every slot's record to a new file, call ``written`` with its checksum, and replace ``output`` by it.

    ``replaced``: answers whose lines are gone; they are appended to ``output``.replaced first. ``moved``: whether records may
    hold another position than they have now. Raises OSError; LLMConnectorError if a record is missing, damaged or another's,
    or if another program has changed the new file.
    """
    if replaced:
        _keep(context, replaced, f"{output}.replaced")
    size = crc = 0
    with replacing(output, f"{output}.part.new") as file:
        details = LineDetails(context)
        expected = 0
        for slot, entry in context.index.walk():
            while expected < slot and not context.selection.asks(expected):
                expected += 1  # the model is not asked, and has not answered this line
            if slot != expected or entry.state == TO_SEND:
                break
            expected += 1
            line = details.add_to(slot, _record(context, output, slot, entry, moved=moved)) + b"\n"
            size, crc = size + len(line), zlib.crc32(line, crc)
            file.write(line)
        if expected < context.index.count and context.selection.asks(expected):
            raise LLMConnectorError(f"request {expected} of the batch has no outcome", guidance="Run the same command again.")
        details.report()
        written((size, crc))


def _record(context: BatchContext, output: str, slot: int, entry: Entry, *, moved: bool) -> bytes:
    """The record of a slot, verified to be its own."""
    line = context.store.read(entry.offset)
    position, route = context.selection.position(slot), context.routes.named(entry.route)
    if entry.state == JOURNAL_LINE:
        if line.startswith(outcome_start(position, *route, context.hashes.at(slot))):
            return records.content_of(line)  # the store has verified the rest
        head, content = records.read_head(line), records.content_of(line)
    elif not moved:
        return line.rstrip(b"\r\n")  # it was read from an output, and verified by the store
    else:
        head, content = records.head_of_record(line), line.rstrip(b"\r\n")
    if (
        head is None
        or head[1:3] != route
        or records.line_number(head) != context.hashes.at(slot)
        or (head.position != position and not moved)
    ):
        raise batch_errors.misplaced_record(slot, f"{output}.part")
    return content if head.position == position else record_edits.reindexed(content, position)


def _keep(context: BatchContext, replaced: list[Entry], path: str) -> None:
    """Append records to a file, except those that a previous, killed run has already appended."""
    with os.fdopen(os.open(path, _APPENDING, 0o666), "a+b") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(0, "it is not a regular file", path)
        present = _hashes(file)
        for entry in replaced:
            content = context.store.content(entry)
            if line_digest(content) not in present:
                file.write(content + b"\n")
        sync(file)


def _hashes(file: IO[bytes]) -> set[bytes]:
    """The hashes of a file's lines. Ends a partial line."""
    file.seek(0)
    present, last = set(), b"\n"
    for last in file:
        present.add(line_digest(last))
    if not last.endswith(b"\n"):
        file.write(b"\n")
    return present
