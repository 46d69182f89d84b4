"""The records of texts: compact in the journal, JSON with the numbers in the output; and how each is read back."""

from __future__ import annotations

import base64
import json
import sys
from array import array
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from llm_sync.batch.local_trouble import is_local_trouble
from llm_sync.batch.state import records
from llm_sync.batch.state.records import ANSWERED, Head
from llm_sync.errors import (
    AuthenticationError,
    CacheMissError,
    LLMConnectorError,
    ModelNotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
)
from llm_sync.models.record import error_record

_MENDED = (AuthenticationError, PermissionDeniedError, QuotaExceededError, ModelNotFoundError, CacheMissError)
_SINGLE, _DOUBLE = "f", "d"


class Target(NamedTuple):
    """What the vectors of a run come from. ``settings``: the hash of everything else that they depend on."""

    provider: str
    model: str
    settings: str


class LineOutcome(NamedTuple):
    """What a line of a journal or of an output says of a text. ``again``: whether a later run asks again by itself."""

    key: int
    settings: str
    answered: bool
    again: bool
    dimensions: int | None


class Record(NamedTuple):
    """The outcome of a text: a vector and the model's name in the answer, or an error as records have it.

    ``single``: whether single precision holds every number of the vector.
    """

    vector: Sequence[float] | None
    model: str | None
    error: Mapping[str, Any] | None = None
    single: bool = False


def answered_line(target: Target, position: int, key: int, vector: Sequence[float], model: str) -> bytes:
    """The journal's line for a vector."""
    typecode = _SINGLE if fits_single(vector) else _DOUBLE
    packed = array(typecode, vector)
    if sys.byteorder == "big":
        packed.byteswap()
    content = {"vector": base64.b64encode(packed.tobytes()).decode(), "numbers": typecode, "model": model}
    head = Head(position, target.provider, target.model, f"{key:016x}", target.settings, ANSWERED)
    return records.journal_line(head, content)


def failed_line(target: Target, position: int, key: int, error: LLMConnectorError) -> bytes:
    """The journal's line for a text without a vector."""
    again = error.retryable is True or isinstance(error, _MENDED) or is_local_trouble(error)
    head = Head(position, target.provider, target.model, f"{key:016x}", target.settings, type(error).__name__, again)
    return records.journal_line(head, {"error": error_record(error)})


def read_journal_line(line: bytes) -> LineOutcome | None:
    """What a line of a journal says; None for one that is no outcome, or torn, or damaged."""
    head = records.read_head(line)
    if head is None:
        return None
    try:
        answered = head.outcome == ANSWERED
        vector = record_of(line, in_journal=True).vector if answered else None
        return LineOutcome(int(head.line, 16), head.settings, answered, head.again, None if vector is None else len(vector))
    except (ValueError, KeyError, TypeError):
        return None


def read_output_line(line: bytes) -> LineOutcome | None:
    """The same for a line of a finished output."""
    try:
        values = json.loads(line)
        response, key = values["response"], int(values["text_hash"], 16)
        dimensions = None if response is None else len(array(_DOUBLE, response["embedding"]))
        if response is not None and not isinstance(response["model"], str):
            return None  # it was edited
        again = response is None and bool(values["error"].get("again", values["error"]["retryable"] is True))
        return LineOutcome(key, str(values["settings"]), response is not None, again, dimensions)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def record_of(line: bytes, *, in_journal: bool) -> Record:
    """The outcome in a line that was read before."""
    if not in_journal:
        values = json.loads(line)
        response = values["response"]
        if response is None:
            return Record(None, None, values["error"])
        return Record(response["embedding"], response["model"], single=fits_single(response["embedding"]))
    values = json.loads(records.content_of(line))
    if "error" in values:
        head = records.read_head(line)
        return Record(None, None, {**values["error"], "again": head is not None and head.again})
    typecode = values["numbers"]
    numbers: array[float] = array(typecode)
    numbers.frombytes(base64.b64decode(values["vector"]))
    if sys.byteorder == "big":
        numbers.byteswap()
    return Record(numbers, values["model"], single=typecode == _SINGLE)


def output_line(target: Target, position: int, own_id: str | int | None, key: int, record: Record) -> bytes:
    """The output's line for a text: a record as every command writes it, with the text's hash and that of the settings."""
    head = {"id": own_id, "index": position, "provider": target.provider, "model": target.model}
    tail = {"error": record.error, "text_hash": f"{key:016x}", "settings": target.settings}
    opening = json.dumps(head, ensure_ascii=False)[:-1].encode("utf-8", "backslashreplace")
    ending = json.dumps(tail, ensure_ascii=False)[1:].encode("utf-8", "backslashreplace")
    response = b"null"
    if record.vector is not None:
        about = json.dumps({"model": record.model, "dimensions": len(record.vector)}, ensure_ascii=False)[:-1]
        response = b'%s, "embedding": %s}' % (
            about.encode("utf-8", "backslashreplace"),
            numbers_json(record.vector, record.single),
        )
    return b'%s, "response": %s, %s\n' % (opening, response, ending)


def numbers_json(vector: Sequence[float], single: bool) -> bytes:
    """A vector as JSON, in as few digits as its precision needs."""
    written = map("%.9g".__mod__, vector) if single else map(repr, vector)
    return f"[{', '.join(written)}]".encode("ascii")


def fits_single(vector: Sequence[float]) -> bool:
    """Whether single precision holds every number."""
    doubles = array(_DOUBLE, vector)
    try:
        return array(_DOUBLE, array(_SINGLE, doubles)) == doubles
    except OverflowError:
        return False
