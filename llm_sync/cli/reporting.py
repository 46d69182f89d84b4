"""Failures that belong to no request's place: told in words, or as a record of the one shape all failures have."""

from __future__ import annotations

import json

from llm_sync.cli.streams import complain, tell
from llm_sync.errors import LLMConnectorError
from llm_sync.records import failure


def report(error: LLMConnectorError, *, as_record: bool, kind: str | None = None) -> None:
    """Tell what keeps a command from its work on standard error; ``kind``: the type to name instead of the error's own."""
    if not as_record:
        complain(str(error))
        return
    record = failure(error)
    record["error"]["type"] = kind or record["error"]["type"]
    tell(json.dumps(record, ensure_ascii=False))
