"""Errors that end a whole command: in words, or as a record of the same shape as a failed request's."""

from __future__ import annotations

import json
import shlex
from typing import TypeVar

from llm_sync.cli.console.messages import print_error, write_stderr
from llm_sync.errors import LLMConnectorError
from llm_sync.models.record import failure

E = TypeVar("E", bound=LLMConnectorError)


def with_config_option(error: E, config: str | None) -> E:
    """The error, whose guidance gets the ``--config`` of this command line, which the library does not know."""
    if config is not None and error.guidance:
        error.guidance = error.guidance.replace("'llm-sync models'", f"'llm-sync models --config {shlex.quote(config)}'")
    return error


def report(error: LLMConnectorError, *, as_record: bool, kind: str | None = None, request_id: str | None = None) -> None:
    """Print the error on standard error, in words or as a record.

    ``kind``: the record's ``type``, instead of the name of the error's class; ``request_id``: its ``id``.
    """
    if not as_record:
        print_error(str(error))
        return
    record = failure(error, request_id=request_id)
    record["error"]["type"] = kind or record["error"]["type"]
    write_stderr(json.dumps(record, ensure_ascii=False))
