"""Records, the outcome of one request each; and their heads, what a later run must know of them.

A record has the shape of ``generate --json`` with ``request_hash``, ``line_hash`` and ``settings`` added. For an OpenAI batch
file it is a line of OpenAI's results, with those keys under ``llm_sync``.
"""

from __future__ import annotations

import dataclasses
import json
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from llm_sync import errors
from llm_sync.batch.local_trouble import is_local_trouble
from llm_sync.batch.state.json_text import encoded, strictly, value_text
from llm_sync.errors import LLMConnectorError
from llm_sync.models import ModelResponse
from llm_sync.models.record import billed_text, record
from llm_sync.models.route import Route
from llm_sync.openai_shape import completion, error_body, error_status, responses_body

ANSWERED, TRUNCATED = "answered", "truncated"
"""Values of ``Head.outcome`` for answers; for a failure it is the class name of the error."""

_BILLED = ("input_tokens", "output_tokens", "cost_estimate")
_CHECKSUM, _SPLIT = b', "crc32": ', b', "record": '  # neither can occur within a JSON string
_MAX_HASH = 2**64 - 1
# Perhaps mended outside by now.
_MENDED = ("AuthenticationError", "PermissionDeniedError", "QuotaExceededError", "ModelNotFoundError", "CacheMissError")


class Key(NamedTuple):
    """Identifies a request: the line's position in the input (a record's ``index``, from 0), its provider and its model."""

    position: int
    provider: str | None
    model: str | None


class RequestIdentity(NamedTuple):
    """What a record says about its request. ``line``, ``settings``, ``request`` and ``content`` are hashes. ``id``: the line's
    own, or its custom_id if it is an OpenAI batch request (``openai``).

    ``unsure``: how often it was sent before with an unknown outcome. ``shard`` ("1/4") and ``lines``, the number of lines of
    the whole input, are set for a shard only. ``max_tokens``: as in ``settings``. ``via``: how it was sent, if not directly.
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
    content: str | None = None
    asked: Mapping[str, Any] | None = None
    max_tokens: int | None = None
    via: str | None = None


class Head(NamedTuple):
    """What must be known of an outcome without reading its record.

    ``again``: whether a later run asks again by itself. ``unsure``: how many sendings may have been billed without an answer.
    Tokens and ``cost`` (USD) are None where unknown; an unusable answer has them, too. ``content``: the hash of what was sent
    of the line; empty in records of release 0.1, and for lines that could not be sent. ``max_tokens``: of the settings; None
    if they have none, and in records of release 0.1.
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
    content: str = ""
    max_tokens: int | None = None

    @property
    def key(self) -> Key:
        """The request's key."""
        return Key(self.position, self.provider, self.model)

    @property
    def answered(self) -> bool:
        """Whether there is an answer."""
        return self.outcome in (ANSWERED, TRUNCATED)


def line_number(head: Head) -> int:
    """The hash of an outcome's line as a number of 64 bits; 0, which equals no line's, if it was edited by hand."""
    try:
        return int(head.line, 16) & _MAX_HASH
    except ValueError:
        return 0


def head_of(identity: RequestIdentity, outcome: ModelResponse | LLMConnectorError) -> Head:
    """The head of an outcome."""
    answer = outcome if isinstance(outcome, ModelResponse) else getattr(outcome, "response", None)
    tokens = (None, None) if answer is None else (answer.usage.input_tokens, answer.usage.output_tokens)
    if isinstance(outcome, ModelResponse):
        kind, again, unsure = TRUNCATED if outcome.truncated else ANSWERED, False, 0
    else:
        kind, timed_out = type(outcome).__name__, _timed_out_after_sending(outcome)
        unsure = max(outcome.possibly_billed, int(timed_out))
        again = not timed_out and (outcome.retryable is True or kind in _MENDED or is_local_trouble(outcome))
    cost = None if answer is None else answer.cost_estimate
    what = (*identity.key, identity.line, identity.settings)
    return Head(*what, kind, again, identity.unsure + unsure, *tokens, cost, identity.content or "", identity.max_tokens)


def _timed_out_after_sending(error: LLMConnectorError) -> bool:
    """Whether the whole request was sent and no answer came in time."""
    return isinstance(error, errors.RequestTimeoutError) and error.status is None and error.phase != "connect"


def record_of(identity: RequestIdentity, outcome: ModelResponse | LLMConnectorError, head: Head) -> dict[str, Any]:
    """The record of an outcome."""
    extra: dict[str, Any] = {"request_hash": identity.request, "line_hash": identity.line, "settings": identity.settings}
    if identity.content is not None:
        extra["content_hash"] = identity.content
    if identity.max_tokens is not None:
        extra["max_tokens"] = identity.max_tokens
    if identity.via is not None:
        extra["via"] = identity.via
    if head.unsure:
        extra["possibly_billed"] = head.unsure
    billed = (head.input_tokens, head.output_tokens, head.cost)
    if not head.answered and billed != (None, None, None):
        extra["billed"] = dict(zip(_BILLED, billed, strict=True))  # an unusable answer costs, too
    if isinstance(outcome, LLMConnectorError) and is_local_trouble(outcome):
        extra["again"] = head.again
    if identity.shard is not None:
        extra.update(shard=identity.shard, lines=identity.lines)
    if identity.openai:
        return _openai_record(identity, outcome, head, extra)
    index, provider, model = identity.key
    base = record(index, Route(provider or "", model or ""), outcome, request_id=identity.id)
    return {**base, "provider": provider, "model": model, **extra}


def _openai_record(
    identity: RequestIdentity, outcome: ModelResponse | LLMConnectorError, head: Head, extra: dict[str, Any]
) -> dict[str, Any]:
    index, provider, model = identity.key
    ours = {"index": index, "provider": provider, "model": model, **extra, "outcome": head.outcome, "again": head.again}
    response = failure = None
    if isinstance(outcome, ModelResponse):
        body = completion(outcome) if identity.asked is None else responses_body(outcome, identity.asked)
        response = {"status_code": 200, "request_id": outcome.request_id or "", "body": body}
        ours["cost_estimate"] = outcome.cost_estimate
        ours["attempts"] = outcome.attempts
        if "tier" in outcome.metadata:
            ours["tier"] = outcome.metadata["tier"]
        if outcome.cached:
            ours.update(cached=True, saved_estimate=outcome.saved_estimate)
        ours["adjustments"] = [dict(vars(adjustment)) for adjustment in outcome.adjustments]
    else:
        status, body = error_status(outcome), error_body(outcome)
        if status is not None and outcome.status is not None:
            response = {"status_code": status, "request_id": outcome.request_id or "", "body": body}
        else:
            failure = {"code": body["error"]["code"] or body["error"]["type"], "message": body["error"]["message"]}
        text = billed_text(outcome)
        if text:
            (failure or body["error"])["text"] = text  # OpenAI's form has no such key, but the text is paid for
        ours["attempts"] = outcome.attempts
    if outcome.route:
        ours["route"] = [step.to_dict() for step in outcome.route]
    its_id = result_id(identity.key.position, identity.line)
    return {"id": its_id, "custom_id": identity.id, "response": response, "error": failure, "llm_sync": ours}


def result_id(position: int, line: str) -> str:
    """Unique within a batch."""
    return f"batch_req_{position}-{line}"


def journal_line(head: Head, content: dict[str, Any]) -> bytes:
    """The journal's line for an outcome. ``content``: the record."""
    return line_around(head, encoded(content).encode("utf-8", "backslashreplace"))


def line_around(head: Head, record_bytes: bytes) -> bytes:
    """The journal's line for a record: the head, a checksum of head and record, and the record.

    The length in it tells a whole line from a torn one, the checksum an intact line from a damaged one.
    """
    values = [value_text(value, strictly) for value in head]
    key, rest = ", ".join(values[:3]), ", ".join(values[3:])
    opening = f'{{"done": [{key}], "head": [{rest}], "bytes": {len(record_bytes)}'.encode("utf-8", "backslashreplace")
    return b"".join((opening, _CHECKSUM, b"%d" % zlib.crc32(record_bytes, zlib.crc32(opening)), _SPLIT, record_bytes, b"}\n"))


def read_head(line: bytes) -> Head | None:
    """The head in a journal's line; None if the line is torn, damaged, or not an outcome."""
    opening_and_sum, split, rest = line.partition(_SPLIT)
    if not split:
        return None
    rest = rest.removesuffix(b"\n")  # a line that lacks only its line end is whole
    opening, _, checksum = opening_and_sum.partition(_CHECKSUM)
    record_bytes = memoryview(rest)[:-1]
    try:
        values = json.loads(opening + b"}")
        head = Head(*values["done"], *values["head"])
        is_whole = rest.endswith(b"}") and values["bytes"] == len(record_bytes)
        # The first journals had no checksums: their lines have exactly these three keys.
        unchecked = not checksum and values.keys() == {"done", "head", "bytes"}
        intact = is_whole and (unchecked or checksum == b"%d" % zlib.crc32(record_bytes, zlib.crc32(opening)))
    except (ValueError, KeyError, TypeError):
        return None
    return head if intact and isinstance(head.position, int) else None


def key_of(line: bytes) -> bytes:
    """The key in a whole "started", "unsent" or "done" line, as bytes: all lines of one request share it."""
    return line[line.index(b"[") : line.index(b', "head": ') if line.startswith(b'{"done"') else line.rindex(b"]") + 1]


def content_of(line: bytes) -> bytes:
    """The record in a journal's line, as bytes."""
    return line.partition(_SPLIT)[2].removesuffix(b"\n")[:-1]


def head_of_record(content: bytes) -> Head | None:
    """The head of a record in a finished output; None for a line that is not a record of a batch."""
    try:
        values = json.loads(content)
        head: Any = _openai_head(values, values["llm_sync"]) if "llm_sync" in values else _head(values)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return head if isinstance(head.position, int) and isinstance(head.line, str) else None  # it may have been edited


def _head(values: dict[str, Any]) -> Head:
    common = _common(values)
    response, error = values["response"], values["error"]
    if response is None:
        kind = error["type"]
        timed_out = kind == "RequestTimeoutError" and error["status"] is None and common["unsure"] > 0
        again = values.get("again") is True or kind in _MENDED or (error["retryable"] is True and not timed_out)
        return Head(**common, outcome=kind, again=again, **_billed(values))
    usage, kind = response["usage"], TRUNCATED if response["truncated"] else ANSWERED
    tokens = {name: usage[name] for name in ("input_tokens", "output_tokens")}
    return Head(**common, outcome=kind, cost=response["cost_estimate"], **tokens)


def _openai_head(values: dict[str, Any], ours: dict[str, Any]) -> Head:
    common, kind = _common(ours), ours["outcome"]
    if kind not in (ANSWERED, TRUNCATED):
        return Head(**common, outcome=kind, again=ours["again"], **_billed(ours))
    usage = values["response"]["body"].get("usage") or {}
    tokens: dict[str, Any] = {  # the second names are the Responses API's
        "input_tokens": usage.get("prompt_tokens", usage.get("input_tokens")),
        "output_tokens": usage.get("completion_tokens", usage.get("output_tokens")),
    }
    return Head(**common, outcome=kind, cost=ours.get("cost_estimate"), **tokens)


def _common(ours: dict[str, Any]) -> dict[str, Any]:
    """The fields that both forms of a record have."""
    return {
        "position": ours["index"],
        "provider": ours["provider"],
        "model": ours["model"],
        "line": ours["line_hash"],
        "settings": ours["settings"],
        "unsure": ours.get("possibly_billed", 0),
        "content": ours.get("content_hash", ""),
        "max_tokens": ours.get("max_tokens"),
    }


def _billed(ours: dict[str, Any]) -> dict[str, Any]:
    billed = ours.get("billed") or {}
    return {
        "input_tokens": billed.get("input_tokens"),
        "output_tokens": billed.get("output_tokens"),
        "cost": billed.get("cost_estimate"),
    }


def with_attempts(outcome: ModelResponse | LLMConnectorError, attempts: int) -> ModelResponse | LLMConnectorError:
    """The same outcome with its number of HTTP exchanges set."""
    if outcome.attempts == attempts:
        return outcome
    if isinstance(outcome, ModelResponse):
        return dataclasses.replace(outcome, attempts=attempts)
    outcome.attempts = attempts
    return outcome
