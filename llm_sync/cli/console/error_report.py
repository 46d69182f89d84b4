"""Failures that belong to no request's place: told in words, or as a record of the one shape all failures have."""

from __future__ import annotations

import json
import shlex
from typing import TypeVar

from llm_sync.cli.console.streams import complain, tell
from llm_sync.errors import LLMConnectorError
from llm_sync.models.record import failure

E = TypeVar("E", bound=LLMConnectorError)


def as_typed(error: E, config: str | None) -> E:
    """The error, its next step with the ``--config`` that this command line has: the library knows of none."""
    if config is not None and error.guidance:
        error.guidance = error.guidance.replace("'llm-sync models'", f"'llm-sync models --config {shlex.quote(config)}'")
    return error


def report(error: LLMConnectorError, *, as_record: bool, kind: str | None = None, request_id: str | None = None) -> None:
    """Tell what keeps a command from its work on standard error; ``kind``: the type to name instead of the error's own.

    ``request_id``: what the record has for an ``id``.
    """
    if not as_record:
        complain(str(error))
        return
    record = failure(error, request_id=request_id)
    record["error"]["type"] = kind or record["error"]["type"]
    tell(json.dumps(record, ensure_ascii=False))
