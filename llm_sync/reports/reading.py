"""Reads the records of finished outputs, in llm-sync's own form or in that of OpenAI's batch results, one at a time."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from types import NoneType
from typing import Any, BinaryIO

from llm_sync.errors import InvalidRequestError
from llm_sync.reports.rows import ANSWERED, BLOCKED, CUT, FAILED, RecordRow

_BLOCKED_CLASS = "ContentBlockedError"
_CHUNK = 1 << 20


class OutputFile:
    """A finished output, whose records can be read in order, and again by their offset.

    A gzip file is unpacked into an unnamed temporary file first. Raises OSError; InvalidRequestError for a file that is no
    output, or is unfinished. For one thread.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        if not os.path.exists(path) and os.path.exists(f"{path}.part"):
            raise InvalidRequestError(
                f"{path!r} is not finished",
                guidance="Run its command again until it is; after a spent budget or --max-cost, with a larger one.",
            )
        self._file: BinaryIO = open(path, "rb")  # noqa: SIM115  (closed by close)
        if path.endswith(".gz"):
            self._file = self._unpacked()

    def _unpacked(self) -> BinaryIO:
        unpacked = tempfile.TemporaryFile()  # noqa: SIM115  (closed by close)
        try:
            with self._file as packed, gzip.open(packed) as content:
                shutil.copyfileobj(content, unpacked, _CHUNK)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise OSError(0, f"it is not a complete gzip file ({error})", self.path) from None
        return unpacked

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def digest(self) -> str:
        """The SHA-256 of the records, unpacked, in hexadecimal."""
        total = hashlib.sha256()
        self._file.seek(0)
        while chunk := self._file.read(_CHUNK):
            total.update(chunk)
        return total.hexdigest()

    def records(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Each record with its offset. Raises InvalidRequestError for a line that is none."""
        offset, number = 0, 0
        while True:
            self._file.seek(offset)  # other reads may come between two records
            line = self._file.readline()
            if not line:
                return
            number += 1
            if line.strip():
                yield offset, self._record(line, f"line {number}")
            offset += len(line)

    def at(self, offset: int) -> dict[str, Any]:
        """The record at an offset that ``records`` gave."""
        self._file.seek(offset)
        return self._record(self._file.readline(), f"the line at {offset}")

    def _record(self, line: bytes, name: str) -> dict[str, Any]:
        try:
            values = json.loads(line)
            if {"response", "error"} <= values.keys():
                return dict(values)
        except (ValueError, AttributeError, RecursionError):
            pass
        raise InvalidRequestError(f"{name} of {self.path!r} is not a record of a batch", guidance="Name outputs only.")


def item_of(record_id: str | int | None, index: int | None) -> int:
    """The number of an input line: of its id, else of its position."""
    key = ["index", index] if record_id is None else ["id", record_id]
    return int.from_bytes(hashlib.blake2b(json.dumps(key).encode(), digest_size=8).digest(), "big", signed=True)


def column_of(provider: str | None, model: str | None, route_of: str | None = None) -> str:
    """PROVIDER/MODEL, and the model that was named if this one was asked by its route."""
    name = f"{provider}/{model}" if model is not None else "(no model)"
    return name if route_of is None else f"{name} (by route of {route_of})"


def read_row(values: dict[str, Any], output: str, number: int) -> RecordRow:
    """The row of a record, without expectation and score. Raises InvalidRequestError for a record of another form."""
    try:
        row = _openai_row(values, output, number) if "llm_sync" in values else _own_row(values, output, number)
        _check_kinds(row)
        return row
    except (KeyError, TypeError, AttributeError, ValueError, IndexError, OverflowError) as error:
        raise InvalidRequestError(
            f"record {number + 1} of {output!r} is not a record of a batch ({type(error).__name__}: {error})",
            guidance="Name outputs only.",
        ) from None


_NAMES = ("provider", "model", "error", "finish", "answered_as", "tier", "settings", "line_hash")
_INTEGERS = ("index", "line", "input_tokens", "output_tokens", "attempts")
_MAX_INTEGER = 2**63 - 1


def _check_kinds(row: RecordRow) -> None:
    """Raise TypeError or ValueError for a value of another kind, as a file that was edited may have: nothing could be counted."""
    values = vars(row)
    for name in (*_NAMES, "text", "message"):
        if values[name] is not None and type(values[name]) is not str:
            raise TypeError(f"{name} is no text")
    if row.line_hash is not None and not row.line_hash.isascii():
        raise ValueError("line_hash is no hash")
    for name in _INTEGERS:
        if values[name] is not None and (type(values[name]) is not int or abs(values[name]) > _MAX_INTEGER):
            raise TypeError(f"{name} is no integer")
    for name in ("cost", "latency_ms"):
        if values[name] is not None and (type(values[name]) not in (int, float) or not abs(values[name]) <= _MAX_INTEGER):
            raise TypeError(f"{name} is no number")
    if type(row.input) is not dict or not isinstance(row.id, (str, int, NoneType)):
        raise TypeError("input is no object, or id neither text nor number")


def _common(
    ours: dict[str, Any], record_id: str | int | None, output: str, number: int, failed: str | None = None
) -> dict[str, Any]:
    """What the rows of both forms have. ``failed``: the error's class."""
    named = ours.get("provider"), ours.get("model")
    provider, model = _decisive(ours["route"], failed) if ours.get("route") else named
    route_of = None if (provider, model) == named else column_of(*named)
    return {
        "output": output,
        "number": number,
        "column": column_of(provider, model, route_of),
        "item": item_of(record_id, ours.get("index")),
        "id": record_id,
        "index": ours.get("index"),
        "line": ours.get("line"),
        "provider": provider,
        "model": model,
        "route_of": route_of,
        "settings": ours.get("settings"),
        "line_hash": ours.get("line_hash"),
        "input": ours.get("input") or {},
    }


def _decisive(steps: list[dict[str, Any]], failed: str | None) -> tuple[str | None, str | None]:
    """Provider and model of the step that the record's outcome is of: the answer's, or that of the error of class ``failed``."""
    alike = [step for step in steps if step["error"] == failed] or steps
    asked = [step for step in alike if step["attempts"]] or alike  # others were passed over, and nothing was sent
    return asked[-1]["provider"], asked[-1]["model"]


def _failed_row(
    common: dict[str, Any], kind: str, error: dict[str, Any], billed: dict[str, Any] | None, attempts: int | None
) -> RecordRow:
    """The row of a failure of class ``kind``, in either form."""
    paid = billed or {}
    return RecordRow(
        **common,
        status=BLOCKED if kind == _BLOCKED_CLASS else FAILED,
        error=kind,
        message=error["message"],
        text=error.get("text"),
        input_tokens=paid.get("input_tokens"),
        output_tokens=paid.get("output_tokens"),
        cost=paid.get("cost_estimate"),
        attempts=attempts,
    )


def _own_row(values: dict[str, Any], output: str, number: int) -> RecordRow:
    response, error = values["response"], values["error"]
    common = _common(values, values.get("id"), output, number, None if response is not None else error["type"])
    if response is None:
        return _failed_row(common, error["type"], error, values.get("billed"), error.get("attempts"))
    usage, metadata, latency = response["usage"], response.get("metadata") or {}, response.get("latency_ms")
    started, finished = _times(response.get("timestamp"), latency)
    return RecordRow(
        **common,
        status=CUT if response.get("truncated") else ANSWERED,
        text=response["text"],
        parsed=metadata.get("parsed"),
        finish=response.get("finish_reason"),
        input_tokens=usage.get("input_tokens"),
        output_tokens=usage.get("output_tokens"),
        cost=response.get("cost_estimate"),
        latency_ms=latency,
        attempts=response.get("attempts"),
        started=started,
        finished=finished,
        cached=bool(response.get("cached")),
        answered_as=response.get("model"),
        tier=response.get("tier"),
    )


def _times(timestamp: str | None, latency_ms: float | None) -> tuple[datetime | None, datetime | None]:
    """Start and end of an answer's last attempt; both None if its end is unknown."""
    if timestamp is None:
        return None, None
    end = datetime.fromisoformat(timestamp).astimezone(timezone.utc)
    return (None if latency_ms is None else end - timedelta(milliseconds=latency_ms)), end


def _openai_row(values: dict[str, Any], output: str, number: int) -> RecordRow:
    ours, response, error = values["llm_sync"], values["response"], values["error"]
    kind = ours["outcome"]
    answered = kind in ("answered", "truncated")
    common = _common(ours, values.get("custom_id"), output, number, None if answered else kind)
    if not answered:
        return _failed_row(common, kind, error or response["body"]["error"], ours.get("billed"), ours.get("attempts"))
    body = response["body"]
    usage = body.get("usage") or {}
    text, finish = _openai_text(body)
    return RecordRow(
        **common,
        status=CUT if kind == "truncated" else ANSWERED,
        text=text,
        finish=finish,
        input_tokens=usage.get("prompt_tokens", usage.get("input_tokens")),
        output_tokens=usage.get("completion_tokens", usage.get("output_tokens")),
        cost=ours.get("cost_estimate"),
        attempts=ours.get("attempts"),
        cached=bool(ours.get("cached")),
        answered_as=body.get("model"),
        tier=ours.get("tier") or body.get("service_tier"),
    )


def _openai_text(body: dict[str, Any]) -> tuple[str, str | None]:
    """Text and finish reason of a chat completion or a Response."""
    if "choices" in body:
        choice = body["choices"][0]
        return choice["message"].get("content") or "", choice.get("finish_reason")
    parts = [part for entry in body["output"] if entry.get("type") == "message" for part in entry["content"]]
    reason = (body.get("incomplete_details") or {}).get("reason") or body.get("status")
    return "".join(part.get("text", "") for part in parts if part.get("type") == "output_text"), reason
