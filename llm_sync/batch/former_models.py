"""The models that previous runs of an output have asked, for a run that adds another one."""

from __future__ import annotations

import contextlib
import os

from llm_sync.batch.state import journal_format, records
from llm_sync.batch.state.finished_output import FinishedOutput
from llm_sync.batch.state.records import Head
from llm_sync.models.route import Route


def former_models(output: str, folder: str) -> tuple[Route, ...]:
    """The models of all records in an output and its journal, in the order of their first ones. Raises OSError."""
    models: dict[Route, None] = {}

    def take(head: Head | None) -> None:
        if head is not None and head.provider is not None and head.model is not None:
            models[Route(head.provider, head.model)] = None

    with contextlib.closing(FinishedOutput(output, folder)) as finished:
        for line in finished.lines():
            take(records.head_of_record(line))
    part = f"{output}.part"
    if os.path.exists(part):
        for _, line in journal_format.lines_of(part):
            for piece in (line, *journal_format.pieces_of(line)):
                take(records.read_head(piece))
    return tuple(models)
