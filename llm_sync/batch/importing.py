"""Puts the answers of a finished batch into the client's cache, where equal requests find them."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from llm_sync.batch.context import BatchContext
from llm_sync.batch.input.requests import line_digest
from llm_sync.batch.input.source import Input, Line
from llm_sync.batch.options import Options
from llm_sync.batch.plan import LINE_ERRORS
from llm_sync.batch.repeats import RepeatedRequests
from llm_sync.batch.setup import checked_output, opened, read_previous
from llm_sync.batch.state.index import NOTHING
from llm_sync.batch.state.record_store import RecordStore
from llm_sync.client.client import LLMClient
from llm_sync.errors import ConfigurationError
from llm_sync.openai_shape.response_reader import answer_fields


@dataclass
class ImportedAnswers:
    """``stored``: answers that are new in the cache; ``present``: those that it had; ``left``: requests without an answer in the
    output, or whose line has changed since, or whose answer is truncated or has several choices."""

    stored: int = 0
    present: int = 0
    left: int = 0


def import_answers(requests: Input, output: str | os.PathLike[str], client: LLMClient, **options: Any) -> ImportedAnswers:
    """Store the answers of a finished output in the client's cache, for the requests that its input makes now.

    ``requests`` and ``options`` are those of the run that wrote ``output``. Sends nothing. Raises ConfigurationError if the
    client has no cache, OSError, and LLMConnectorError if the files cannot be read.
    """
    caching = client.dispatcher.caching
    if caching is None:
        raise ConfigurationError("the client has no cache to import answers into", guidance="Give LLMClient(cache=…).")
    result, folder = ImportedAnswers(), tempfile.gettempdir()
    path = checked_output(output, requests)
    written = datetime.fromtimestamp(os.stat(path).st_mtime, timezone.utc)
    with (
        contextlib.closing(RecordStore(folder)) as store,
        opened(Options(**options), client, requests, path, store, folder=folder) as context,
    ):
        read_previous(context, path)
        with contextlib.closing(RepeatedRequests(context, folder)) as context.repeats:
            for position, line in enumerate(context.line_format.records(context.source)):
                for slot in context.selection.slots(position) if context.selection.takes(position) else ():
                    stored = _import(context, slot, line, written)
                    result.stored += stored is True
                    result.present += stored is False
                    result.left += stored is None
    return result


def _import(context: BatchContext, slot: int, line: Line, written: datetime) -> bool | None:
    """Store the answer of one request: True; False if the cache has one; None if the output has none that can be used.

    ``written``: when the output was, which is the time of answers that have none.
    """
    entry = context.index.get(slot)
    if entry.state == NOTHING:
        return None
    head = context.store.head(entry)
    if head.outcome != "answered" or head.line != line_digest(line.content).hex():
        return None
    record = json.loads(context.store.content(entry))
    try:
        response = _response_of(record)
        values = context.line_format.read(line.content)
        batch_request = context.builder.build(values, context.model(slot))
        prepared = context.prepare(batch_request, slot)
        stored = datetime.fromisoformat(response["timestamp"]) if "timestamp" in response else written
    except (*LINE_ERRORS, ValueError, TypeError, KeyError, IndexError, AttributeError):
        return None
    if batch_request.route != (head.provider, head.model) or stored.utcoffset() is None:
        return None
    caching = context.client.dispatcher.caching
    return None if caching is None else caching.store_response(prepared, response, stored)


def _response_of(record: dict[str, Any]) -> dict[str, Any]:
    """The answer of a record, whatever its form. Raises KeyError, TypeError, ValueError or IndexError for one without."""
    response, ours = record["response"], record.get("llm_sync")
    if not isinstance(ours, dict):
        return {**response, "text": response["text"]}
    return {**answer_fields(response["body"]), "request_id": response["request_id"], "cost_estimate": ours["cost_estimate"]}
