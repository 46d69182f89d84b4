"""The list of a run's failures: the records of all requests without an answer, in a file of their own."""

from __future__ import annotations

import os

from llm_sync.batch.context import BatchContext
from llm_sync.batch.line_details import LineDetails
from llm_sync.batch.replacing import replacing
from llm_sync.batch.state import record_edits, records
from llm_sync.batch.state.index import TO_SEND
from llm_sync.errors import InvalidRequestError


def checked_failed_list(path: str | os.PathLike[str], output: str) -> str:
    """The real path of the list. Raises OSError, and InvalidRequestError if it would replace anything but such a list."""
    target = os.path.realpath(path)
    if target in (output, f"{output}.part", f"{output}.replaced"):
        raise InvalidRequestError(f"{os.fspath(path)!r} is the output's own", guidance="Name another file for the failures.")
    os.stat(os.path.dirname(target))
    if os.path.exists(target):
        refuse_other_file(target)
    return target


def refuse_other_file(path: str) -> None:
    """Raise InvalidRequestError if a file has anything but records: a mistyped name must not cost a file. Raises OSError."""
    with open(path, "rb") as file:
        first = file.readline()
    if first.strip() and records.head_of_record(first) is None:
        raise InvalidRequestError(
            f"{path!r} exists, and has no records of a batch", guidance="Name another file for the failures, or move that away."
        )


def write_failed_list(context: BatchContext, path: str) -> int:
    """Replace the list by the failures that the run has now, and return their number. Raises OSError, LLMConnectorError."""
    details = LineDetails(context)
    count = 0
    with replacing(path) as file:
        for slot, entry in context.index.walk():
            if entry.state != TO_SEND and not context.store.head(entry).answered:
                record = context.store.content(entry)
                position = context.selection.position(slot)
                head = records.head_of_record(record)
                if head is not None and head.position != position:
                    record = record_edits.reindexed(record, position)
                file.write(details.add_to(slot, record) + b"\n")
                count += 1
    return count
