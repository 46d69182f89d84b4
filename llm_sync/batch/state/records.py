"""One request's outcome as a record, and what a later run has to know of it.

A record is the shape of ``generate --json`` with ``request_hash``, ``line_hash`` and ``settings`` beside it; for a batch
file of OpenAI's, it is a line of OpenAI's results, with those under ``llm_sync``.
"""

from __future__ import annotations

import dataclasses
import json
import zlib
from typing import Any, NamedTuple

from llm_sync import errors
from llm_sync.errors import LLMConnectorError
from llm_sync.models import ModelResponse
from llm_sync.models.record import record
from llm_sync.models.route import Route
from llm_sync.openai_shape import completion, error_body, error_status

ANSWERED, TRUNCATED = "answered", "truncated"
"""What ``Head.outcome`` says of an answer; else it is the class name of the error."""

_BILLED = ("input_tokens", "output_tokens", "cost_estimate")
_SUM, _SPLIT = b', "crc32": ', b', "record": '  # neither can stand within a string of JSON
_ACCOUNT = ("AuthenticationError", "PermissionDeniedError", "QuotaExceededError")  # mended outside: worth another try


class Key(NamedTuple):
    """Which request: the line's position in the input (a record's ``index``, from 0) and where it goes, if anywhere."""

    position: int
    provider: str | None
    model: str | None


class Asked(NamedTuple):
    """What is known of a request beside its content. ``id``: the line's own, or its custom_id where it is ``openai``'s.

    ``unsure``: how often it was sent before without anyone knowing whether it was billed. ``shard`` ("1/4") and ``lines``,
    the input's number of requests, where there are several.
    """

    key: Key
    line: str
    settings: str
    request: str | None = None
    openai: bool = False
    id: str | int | None = None
    unsure: int = 0
    shard: str | None = None
    lines: int | None = None


class Head(NamedTuple):
    """What is to be known of an outcome without reading its record.

    ``again``: whether a later run tries again unasked. ``unsure``: sendings of which nobody knows whether they were billed.
    Tokens and ``cost`` (USD) are None where unknown; a bad answer's count too.
    """

    position: int
    provider: str | None
    model: str | None
    line: str
    settings: str
    outcome: str
    again: bool = False
    unsure: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: float | None = None

    @property
    def key(self) -> Key:
        """Which request it is of."""
        return Key(self.position, self.provider, self.model)

    @property
    def answered(self) -> bool:
        """Whether there is an answer."""
        return self.outcome in (ANSWERED, TRUNCATED)


def head(asked: Asked, outcome: ModelResponse | LLMConnectorError) -> Head:
    """The head of an outcome."""
    answer = outcome if isinstance(outcome, ModelResponse) else getattr(outcome, "response", None)
    tokens = (None, None) if answer is None else (answer.usage.input_tokens, answer.usage.output_tokens)
    if isinstance(outcome, ModelResponse):
        kind, again, unsure = TRUNCATED if outcome.truncated else ANSWERED, False, 0
    else:
        kind, unsure = type(outcome).__name__, int(_possibly_billed(outcome))
        again = not unsure and (outcome.retryable is True or kind in _ACCOUNT)
    cost = None if answer is None else answer.cost_estimate
    return Head(*asked.key, asked.line, asked.settings, kind, again, asked.unsure + unsure, *tokens, cost)


def _possibly_billed(error: LLMConnectorError) -> bool:
    """Whether the request went out whole and nothing came back in time."""
    return isinstance(error, errors.RequestTimeoutError) and error.status is None and error.phase != "connect"


def record_of(asked: Asked, outcome: ModelResponse | LLMConnectorError, told: Head) -> dict[str, Any]:
    """The record of an outcome."""
    hashes: dict[str, Any] = {"request_hash": asked.request, "line_hash": asked.line, "settings": asked.settings}
    if told.unsure:
        hashes["possibly_billed"] = told.unsure
    if not told.answered and told[-3:] != (None, None, None):
        hashes["billed"] = dict(zip(_BILLED, told[-3:], strict=True))  # a bad answer costs, too
    if asked.shard is not None:
        hashes.update(shard=asked.shard, lines=asked.lines)
    if asked.openai:
        return _openai_record(asked, outcome, told, hashes)
    index, provider, model = asked.key
    found = record(index, Route(provider or "", model or ""), outcome, request_id=asked.id)
    return {**found, "provider": provider, "model": model, **hashes}


def _openai_record(
    asked: Asked, outcome: ModelResponse | LLMConnectorError, told: Head, hashes: dict[str, Any]
) -> dict[str, Any]:
    index, provider, model = asked.key
    ours: dict[str, Any] = {"index": index, "provider": provider, "model": model}
    ours.update(outcome=told.outcome, again=told.again, **hashes)
    response = failure = None
    if isinstance(outcome, ModelResponse):
        response = {"status_code": 200, "request_id": outcome.request_id or "", "body": completion(outcome)}
        ours["cost_estimate"] = outcome.cost_estimate
        ours["attempts"] = outcome.attempts
        ours["adjustments"] = [dict(vars(adjustment)) for adjustment in outcome.adjustments]
    else:
        status, body = error_status(outcome), error_body(outcome)
        if status is not None and outcome.status is not None:
            response = {"status_code": status, "request_id": outcome.request_id or "", "body": body}
        else:
            failure = {"code": body["error"]["code"] or body["error"]["type"], "message": body["error"]["message"]}
        ours["attempts"] = outcome.attempts
    number = _result_id(asked.key.position, asked.line)
    return {"id": number, "custom_id": asked.id, "response": response, "error": failure, "llm_sync": ours}


def _result_id(position: int, line: str) -> str:
    """No two results of a batch share it."""
    return f"batch_req_{position}-{line}"


def journal_line(told: Head, found: dict[str, Any]) -> bytes:
    """The journal's line: the head, a sum over both, and the record. Its length tells a whole one from a torn one, and the sum
    one that stands as it was written from one that the disk has damaged."""
    content = json.dumps(found, ensure_ascii=False, default=repr).encode("utf-8", "backslashreplace")
    text = json.dumps({"done": told[:3], "head": told[3:], "bytes": len(content)}, ensure_ascii=False)
    opening = text[:-1].encode("utf-8", "backslashreplace")
    return b"".join((opening, _SUM, b"%d" % zlib.crc32(content, zlib.crc32(opening)), _SPLIT, content, b"}\n"))


def read_head(line: bytes) -> Head | None:
    """The head of a journal's line; None for one that is torn or damaged, or no outcome."""
    summed, split, rest = line.partition(_SPLIT)
    if not split:
        return None
    whole = rest.removesuffix(b"\n")  # it may be all that is missing, and then nothing is
    opening, _, told_sum = summed.partition(_SUM)
    content = memoryview(whole)[:-1]
    try:
        found = json.loads(opening + b"}")
        told = Head(*found["done"], *found["head"])
        is_whole = whole.endswith(b"}") and found["bytes"] == len(content)
        # Journals that were begun before there were sums have nothing but these three: theirs is no damaged one.
        unsummed = not told_sum and found.keys() == {"done", "head", "bytes"}
        as_written = is_whole and (unsummed or told_sum == b"%d" % zlib.crc32(content, zlib.crc32(opening)))
    except (ValueError, KeyError, TypeError):
        return None
    return told if as_written and isinstance(told.position, int) else None


def key_of(line: bytes) -> bytes:
    """The key in a whole line that says started, unsent or done, as it stands there: what the lines of a request share."""
    return line[line.index(b"[") : line.index(b', "head": ') if line.startswith(b'{"done"') else line.rindex(b"]") + 1]


def content_of(line: bytes) -> bytes:
    """The record in a journal's line, as it stands there."""
    return line.partition(_SPLIT)[2].removesuffix(b"\n")[:-1]


def reindexed(content: bytes, index: int) -> bytes:
    """A record of a line that has moved in the input."""
    found = json.loads(content)
    ours = found.get("llm_sync", found)
    ours["index"] = index
    if ours is not found:
        found["id"] = _result_id(index, ours["line_hash"])
    return json.dumps(found, ensure_ascii=False).encode("utf-8", "backslashreplace")


def head_of_record(content: bytes) -> Head | None:
    """The head that a record in a finished output would have; None for a line that is not a record of a batch."""
    try:
        found = json.loads(content)
        told: Any = _openai_head(found, found["llm_sync"]) if "llm_sync" in found else _head(found)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return told if isinstance(told.position, int) and isinstance(told.line, str) else None  # whoever has edited it


def _head(found: dict[str, Any]) -> Head:
    told = _told(found)
    response, error = found["response"], found["error"]
    if response is None:
        kind = error["type"]
        timed_out = kind == "RequestTimeoutError" and error["status"] is None and told["unsure"] > 0
        again = kind in _ACCOUNT or (error["retryable"] is True and not timed_out)
        return Head(**told, outcome=kind, again=again, **_billed(found))
    usage, kind = response["usage"], TRUNCATED if response["truncated"] else ANSWERED
    tokens = {name: usage[name] for name in ("input_tokens", "output_tokens")}
    return Head(**told, outcome=kind, cost=response["cost_estimate"], **tokens)


def _openai_head(found: dict[str, Any], ours: dict[str, Any]) -> Head:
    told, kind = _told(ours), ours["outcome"]
    if kind not in (ANSWERED, TRUNCATED):
        return Head(**told, outcome=kind, again=ours["again"], **_billed(ours))
    usage = found["response"]["body"].get("usage") or {}
    tokens: dict[str, Any] = {"input_tokens": usage.get("prompt_tokens"), "output_tokens": usage.get("completion_tokens")}
    return Head(**told, outcome=kind, cost=ours.get("cost_estimate"), **tokens)


def _told(ours: dict[str, Any]) -> dict[str, Any]:
    """What records of both forms tell alike."""
    return {
        "position": ours["index"],
        "provider": ours["provider"],
        "model": ours["model"],
        "line": ours["line_hash"],
        "settings": ours["settings"],
        "unsure": ours.get("possibly_billed", 0),
    }


def _billed(ours: dict[str, Any]) -> dict[str, Any]:
    found = ours.get("billed") or {}
    return {
        "input_tokens": found.get("input_tokens"),
        "output_tokens": found.get("output_tokens"),
        "cost": found.get("cost_estimate"),
    }


def with_attempts(outcome: ModelResponse | LLMConnectorError, attempts: int) -> ModelResponse | LLMConnectorError:
    """An outcome that took so many HTTP exchanges in all."""
    if isinstance(outcome, ModelResponse):
        return dataclasses.replace(outcome, attempts=attempts)
    outcome.attempts = attempts
    return outcome
