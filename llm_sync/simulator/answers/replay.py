"""A run answered again: from the JSON Lines that a batch wrote, by the hash of each request."""

from __future__ import annotations

import gzip
import json
import logging
import os
import re
import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

from llm_sync.errors import ConfigurationError, Problem
from llm_sync.models import request_hash
from llm_sync.simulator.answers.given import Billed, Failure, Given, ToolUse
from llm_sync.simulator.answers.turns import Turn
from llm_sync.validation import ResponseValidator, shown
from llm_sync.validation.document import printable

MOST_PROBLEMS = 20
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
# Errors of requests that were never sent: nothing is known of what the provider would have said.
_UNSENT = frozenset({"ClientClosedError", "ConfigurationError", "QueueFullError", "BatchError"})
_BLOCKED = re.compile(r"^the answer is blocked: ")  # what llm-sync puts before the provider's words

_log = logging.getLogger("llm_sync.simulator")


class Replay:
    """The answers of one file, by request hash. Any thread may use it.

    Where a hash has several (a question that was asked several times), they are given in the file's order, and then from the
    first again. A request that is not in the file is answered 404 with its hash, or by what else answers here (``otherwise``).
    """

    def __init__(self, path: str | os.PathLike[str], *, otherwise: bool = False) -> None:
        """ConfigurationError with what is wrong, line by line; a last line that was torn is passed over, and logged."""
        self.file = printable(path)
        self._otherwise = otherwise
        self._lock = threading.Lock()  # guards _next
        self._next: dict[str, int] = {}
        self._found = _read(path, self.file)

    def __len__(self) -> int:
        return sum(map(len, self._found.values()))

    def find(self, model: str, turns: Sequence[Turn]) -> Given | None:
        """The answer to a request; None where there is none and something else is to answer."""
        key = request_hash(model, turns)
        if key not in self._found:  # Gemini's names, as they stand in a configuration
            prefixed = request_hash(f"models/{model}", turns)
            key = prefixed if prefixed in self._found else key
        found = self._found.get(key)
        if found is None:
            if self._otherwise:
                return None
            message = f"{self.file} has no answer to the request with the hash {key} (model {shown(model)})"
            return Given(failure=Failure("ModelNotFoundError", f"simulator: {message}", 404))
        with self._lock:
            turn = self._next.get(key, 0)
            self._next[key] = (turn + 1) % len(found)
        return found[turn]


def _read(path: str | os.PathLike[str], name: str) -> dict[str, list[Given]]:
    validator = ResponseValidator(_RECORD)
    records: dict[tuple[Any, ...], Given] = {}
    problems: list[Problem] = []
    for line, content in _lines(path, name, problems):
        record, why = _record(content, validator)
        if why and not content.endswith(b"\n"):
            _log.warning("%s: line %d is incomplete and skipped (%s)", name, line, why)
        elif why:
            problems.append(Problem(why, file=name, line=line))
        given = _given(record) if record else None
        if record and given:  # of a request that was sent again the last outcome counts
            index = record.get("index")
            records[record["request_hash"], record.get("provider"), -line if index is None else index] = given
        if len(problems) >= MOST_PROBLEMS:
            break
    if not problems and not records:
        problems.append(Problem("there is no answer in it", file=name, hint="it is what a batch wrote, one record a line"))
    if problems:
        raise ConfigurationError(
            f"the run in {name} cannot be replayed", problems=tuple(problems), guidance="Nothing was started."
        )
    found: dict[str, list[Given]] = {}
    for place, given in records.items():
        found.setdefault(place[0], []).append(given)
    return found


def _lines(path: str | os.PathLike[str], name: str, problems: list[Problem]) -> Iterator[tuple[int, bytes]]:
    """The file's lines with their numbers; what keeps them from being read is added to ``problems``."""
    line = 0
    try:
        with _opened(path) as stream:
            for line, content in enumerate(stream, 1):
                yield line, content
    except FileNotFoundError:
        problems.append(Problem("there is no such file", file=name))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        problems.append(Problem(f"cannot be unpacked: {error}", file=name, line=line + 1))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not a file name"
        problems.append(Problem(f"cannot be read: {reason}", file=name))


def _opened(path: str | os.PathLike[str]) -> Any:
    """The file, unpacked where its first bytes say it is gzip, whatever its name."""
    stream = open(path, "rb")  # noqa: SIM115  (the caller closes it)
    try:
        packed = stream.read(2) == b"\x1f\x8b"
        stream.seek(0)
    except BaseException:
        stream.close()
        raise
    return _Unpacked(stream) if packed else stream


class _Unpacked(gzip.GzipFile):
    """Closes the file beneath, too."""

    def __init__(self, beneath: IO[bytes]) -> None:
        super().__init__(fileobj=beneath)
        self._beneath = beneath

    def close(self) -> None:
        """Both."""
        super().close()
        self._beneath.close()


def _record(content: bytes, validator: ResponseValidator) -> tuple[dict[str, Any] | None, str | None]:
    """The record of a line, or what is wrong with it; neither for an empty line."""
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


def _given(record: Mapping[str, Any]) -> Given | None:
    error = record.get("error")
    if error is not None:
        if error["type"] in _UNSENT:
            return None
        return Given(failure=Failure(error["type"], _BLOCKED.sub("", error.get("message") or ""), error.get("status")))
    response = record["response"]
    usage, metadata = response.get("usage") or {}, response.get("metadata") or {}
    raw = metadata.get("finish_reason_raw")
    return Given(
        text=response["text"],
        calls=tuple(_call(call) for call in response.get("tool_calls") or ()),
        thinking=metadata.get("thinking"),
        finish=response.get("finish_reason"),
        raw_finish=raw if isinstance(raw, str) else None,
        model=response.get("model"),
        billed=Billed(*(usage.get(f"{name}_tokens") for name in ("input", "output", "cached", "reasoning"))),
        whole=True,
    )


def _call(call: Mapping[str, Any]) -> ToolUse:
    arguments, raw = call.get("arguments"), call.get("raw_arguments") or ""
    return ToolUse(call["name"], arguments, raw or json.dumps(arguments or {}, ensure_ascii=False))
