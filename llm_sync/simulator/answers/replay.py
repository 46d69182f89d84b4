"""Replays a batch: answers requests from the JSON Lines that it wrote, found by request hash."""

from __future__ import annotations

import gzip
import json
import logging
import os
import re
import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from io import BufferedReader
from typing import IO, Any, cast

from llm_sync.errors import ConfigurationError, Problem
from llm_sync.models import request_hash
from llm_sync.simulator.answers.canned_answer import CannedAnswer, CannedError, TokenCounts, ToolCall
from llm_sync.simulator.answers.turns import Turn
from llm_sync.validation import ResponseValidator, shown
from llm_sync.validation.document import printable
from llm_sync.validation.user_files import open_user_file

MAX_PROBLEMS = 20
MAX_LINE_BYTES = 64 * 2**20  # unpacked
_TEXT = {"type": "string", "nullable": True}
_COUNT = {"type": "integer", "nullable": True, "min": 0}
_RECORD: Mapping[str, Any] = {
    "request_hash": {"type": "string", "required": True, "empty": False},
    "index": {"type": "integer", "nullable": True},
    "provider": _TEXT,
    "response": {
        "type": "dict",
        "nullable": True,
        "schema": {
            "text": {"type": "string", "required": True},
            "model": _TEXT,
            "finish_reason": _TEXT,
            "usage": {
                "type": "dict",
                "nullable": True,
                "schema": {
                    "input_tokens": _COUNT,
                    "output_tokens": _COUNT,
                    "cached_tokens": _COUNT,
                    "reasoning_tokens": _COUNT,
                    "cache_write_tokens": _COUNT,
                },
            },
            "tool_calls": {
                "type": "list",
                "nullable": True,
                "schema": {
                    "type": "dict",
                    "schema": {
                        "name": {"type": "string", "required": True},
                        "arguments": {"type": "dict", "nullable": True},
                        "raw_arguments": _TEXT,
                    },
                },
            },
            "metadata": {"type": "dict", "nullable": True, "schema": {"thinking": _TEXT}},
        },
    },
    "error": {
        "type": "dict",
        "nullable": True,
        "schema": {
            "type": {"type": "string", "required": True},
            "message": _TEXT,
            "status": {"type": "integer", "nullable": True},
        },
    },
}
# Errors of requests that were never sent: they say nothing about the provider.
_UNSENT = frozenset({"ClientClosedError", "ConfigurationError", "QueueFullError", "BatchError"})
_BLOCKED = re.compile(r"^the answer is blocked: ")  # llm-sync's prefix to the provider's message

_log = logging.getLogger("llm_sync.simulator")

_COUNTED = ("input", "output", "cached", "reasoning", "cache_write")


class Replay:
    """The answers of one file, by request hash. Thread-safe.

    If a hash has several answers (the same request was sent several times), they are used in the file's order, then from the
    first again. A request that is not in the file gets a 404 that names its hash; with ``otherwise``, it is answered normally.
    """

    def __init__(self, path: str | os.PathLike[str], *, otherwise: bool = False) -> None:
        """Raises ConfigurationError with the problems by line; an incomplete last line is skipped with a warning."""
        self.file = printable(path)
        self._otherwise = otherwise
        self._lock = threading.Lock()  # guards _next
        self._next: dict[str, int] = {}
        self._answers = _read_answers(path, self.file)

    def __len__(self) -> int:
        return sum(map(len, self._answers.values()))

    def find(self, model: str, turns: Sequence[Turn]) -> CannedAnswer | None:
        """The answer to a request; None if there is none and ``otherwise`` is set."""
        key = request_hash(model, turns)
        if key not in self._answers:  # Gemini's model names, as a configuration may write them
            prefixed = request_hash(f"models/{model}", turns)
            key = prefixed if prefixed in self._answers else key
        answers = self._answers.get(key)
        if answers is None:
            if self._otherwise:
                return None
            message = f"{self.file} has no answer to the request with the hash {key} (model {shown(model)})"
            return CannedAnswer(error=CannedError("ModelNotFoundError", f"simulator: {message}", 404))
        with self._lock:
            position = self._next.get(key, 0)
            self._next[key] = (position + 1) % len(answers)
        return answers[position]


def _read_answers(path: str | os.PathLike[str], name: str) -> dict[str, list[CannedAnswer]]:
    validator = ResponseValidator(_RECORD)
    records: dict[tuple[Any, ...], CannedAnswer] = {}
    problems: list[Problem] = []
    for line, content in _read_lines(path, name, problems):
        record, problem = _parse_record(content, validator)
        if problem and not content.endswith(b"\n"):
            _log.warning("%s: line %d is incomplete and skipped (%s)", name, line, problem)
        elif problem:
            problems.append(Problem(problem, file=name, line=line))
        answer = _canned_answer(record) if record else None
        if record and answer:  # the last record of an index counts
            index = record.get("index")
            records[record["request_hash"], record.get("provider"), -line if index is None else index] = answer
        if len(problems) >= MAX_PROBLEMS:
            break
    if not problems and not records:
        problems.append(Problem("it contains no answer", file=name, hint="expected the output of a batch, one record per line"))
    if problems:
        raise ConfigurationError(
            f"the run in {name} cannot be replayed", problems=tuple(problems), guidance="Nothing was started."
        )
    answers: dict[str, list[CannedAnswer]] = {}
    for identity, answer in records.items():
        answers.setdefault(identity[0], []).append(answer)
    return answers


def _read_lines(path: str | os.PathLike[str], name: str, problems: list[Problem]) -> Iterator[tuple[int, bytes]]:
    """The file's lines with their numbers; adds a problem if the file cannot be read, and ends at a line without an end."""
    line = 0
    try:
        with _open(path) as stream:
            while content := stream.readline(MAX_LINE_BYTES + 1):
                line += 1
                if len(content) > MAX_LINE_BYTES:
                    problems.append(Problem(f"the line is over {MAX_LINE_BYTES >> 20} MiB", file=name, line=line))
                    return
                yield line, content
    except FileNotFoundError:
        problems.append(Problem("there is no such file", file=name))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        problems.append(Problem(f"cannot be unpacked: {error}", file=name, line=line + 1))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not a file name"
        problems.append(Problem(f"cannot be read: {reason}", file=name))


def _open(path: str | os.PathLike[str]) -> BufferedReader | gzip.GzipFile:
    """The open file; unpacks gzip, which is recognised by the first bytes."""
    stream = cast(BufferedReader, open_user_file(path))
    try:
        packed = stream.peek(2)[:2] == b"\x1f\x8b"
    except BaseException:
        stream.close()
        raise
    return _GzipReader(stream) if packed else stream


class _GzipReader(gzip.GzipFile):
    """A GzipFile that also closes the compressed file."""

    def __init__(self, beneath: IO[bytes]) -> None:
        super().__init__(fileobj=beneath)
        self._compressed = beneath

    def close(self) -> None:
        """Closes both files."""
        super().close()
        self._compressed.close()


def _parse_record(content: bytes, validator: ResponseValidator) -> tuple[dict[str, Any] | None, str | None]:
    """The record of a line, or its problem; neither for an empty line."""
    if not content.strip():
        return None, None
    try:
        record = json.loads(content)
    except (ValueError, RecursionError):
        return None, "not JSON"
    wrong = [str(field) for field in validator.check(record)]
    if wrong:
        return None, "; ".join(wrong[:3])
    if (record.get("response") is None) == (record.get("error") is None):
        which = "neither" if record.get("response") is None else "both"
        return None, f"it has {which} response {'nor' if which == 'neither' else 'and'} error"
    return record, None


def _canned_answer(record: Mapping[str, Any]) -> CannedAnswer | None:
    error = record.get("error")
    if error is not None:
        if error["type"] in _UNSENT:
            return None
        return CannedAnswer(error=CannedError(error["type"], _BLOCKED.sub("", error.get("message") or ""), error.get("status")))
    response = record["response"]
    usage, metadata = response.get("usage") or {}, response.get("metadata") or {}
    raw = metadata.get("finish_reason_raw")
    return CannedAnswer(
        text=response["text"],
        tool_calls=tuple(_tool_call(call) for call in response.get("tool_calls") or ()),
        thinking=metadata.get("thinking"),
        finish_reason=response.get("finish_reason"),
        raw_finish_reason=raw if isinstance(raw, str) else None,
        model=response.get("model"),
        token_counts=TokenCounts(*(usage.get(f"{name}_tokens") for name in _COUNTED)),
        ignores_limits=True,
    )


def _tool_call(call: Mapping[str, Any]) -> ToolCall:
    arguments, raw = call.get("arguments"), call.get("raw_arguments") or ""
    return ToolCall(call["name"], arguments, raw or json.dumps(arguments or {}, ensure_ascii=False))
