"""One stored answer, and the JSON file that it is written to.

The request and the reply's body stand there as texts, or in base64 if they are none; in files for people, and in exports, as JSON
wherever that loses nothing. Everything that is read was written by somebody, perhaps by another release or by hand: ``decode``
raises ValueError for what is not an entry.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import datetime
from math import inf, isfinite
from typing import Any

from llm_sync.cache.key import KEY, sample_key
from llm_sync.models import Reply
from llm_sync.models.frozen import Frozen, dataclass

FORMAT = 1
_HEAD = "llm_sync_answer"  # the first key of every file, with the number of the format
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_quoted: Callable[[str], str] = json.encoder.encode_basestring  # a text as JSON, as _ENCODER writes it, in a fifth of the time
_MAX_SAMPLE = 10**9
_MAX_AMOUNT = 1e15  # tokens, or USD
_FIRST_YEAR, _LAST_YEAR = 1000, 9998  # of a time that can be shown in any time zone


class NewerFormatError(ValueError):
    """The file was written by a later release."""


class Headers(dict[str, str]):
    """Stored headers, looked up in any case."""

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a header."""
        return super().get(name.lower(), default)

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())


@dataclass(frozen=True, repr=False, eq=False)
class Entry(Frozen):
    """A stored answer. ``body``: the request as it was sent, without secrets (``redacted``: there were some).

    ``reply``: what the provider sent, or None for an answer that was imported from a batch's output: then ``response`` has its
    fields. ``stored``: aware UTC, when the answer was complete. ``digest``: of the request, as request_digest makes it.
    """

    digest: str
    sample: int
    dialect: str
    url: str
    model: str
    body: bytes = field(repr=False)
    stored: datetime
    reply: Reply | None = field(default=None, repr=False)
    response: Mapping[str, Any] | None = field(default=None, repr=False)
    attempts: int = 1
    usage: Mapping[str, Any] = field(default_factory=dict)
    cost: float | None = None
    redacted: bool = False

    @property
    def key(self) -> str:
        """The key it is stored under."""
        return sample_key(self.digest, self.sample)

    def request(self) -> Any:
        """The request's payload, as Python values; its text if it is not JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return self.body.decode("utf-8", "replace")


def encode(entry: Entry, *, pretty: bool = False) -> bytes:
    """The file of an entry. Raises ValueError, RecursionError.

    ``pretty``: a line for every value, for people. Else a line for each field, with request and body as texts: they are neither
    parsed nor encoded anew, which would take most of the time of storing an answer.
    """
    if pretty:
        return (json.dumps(_document(entry), ensure_ascii=False, allow_nan=False, indent=2) + "\n").encode("utf-8")
    return ("{" + ",\n ".join(_lines(entry)) + "}\n").encode("utf-8")


def encode_line(entry: Entry) -> bytes:
    """All values on one line, for JSON Lines."""
    return (json.dumps(_document(entry), ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")


def _document(entry: Entry) -> dict[str, Any]:
    """An entry as JSON values."""
    document: dict[str, Any] = {
        _HEAD: FORMAT,
        "key": entry.key,
        "dialect": entry.dialect,
        "url": entry.url,
        "model": entry.model,
        "sample": entry.sample,
        **_content("request", entry.body),
        "stored": entry.stored.isoformat(),
        "attempts": entry.attempts,
        "usage": dict(entry.usage),
        "cost_estimate": entry.cost,
    }
    if entry.redacted:
        document["redacted"] = True
    if entry.reply is not None:
        reply = entry.reply
        document["reply"] = {
            "status": reply.status,
            "headers": dict(reply.headers),
            "elapsed_s": round(reply.elapsed, 6),
            **_content("body", reply.content),
        }
    if entry.response is not None:
        document["response"] = dict(entry.response)
    return document


def _lines(entry: Entry) -> list[str]:
    """The fields of ``_document``, each as JSON, with contents as texts."""
    lines = [
        f'"{_HEAD}": {FORMAT}',
        f'"key": "{entry.key}"',
        f'"dialect": {_quoted(entry.dialect)}',
        f'"url": {_quoted(entry.url)}',
        f'"model": {_quoted(entry.model)}',
        f'"sample": {entry.sample}',
        _text_field("request", entry.body),
        f'"stored": "{entry.stored.isoformat()}"',
        f'"attempts": {entry.attempts}',
        f'"usage": {_object(entry.usage)}',
        f'"cost_estimate": {_value(entry.cost)}',
    ]
    if entry.redacted:
        lines.append('"redacted": true')
    if entry.reply is not None:
        reply = entry.reply
        start = f'"status": {reply.status}, "headers": {_object(reply.headers)}, "elapsed_s": {_value(round(reply.elapsed, 6))}'
        lines.append(f'"reply": {{{start}, {_text_field("body", reply.content)}}}')
    if entry.response is not None:
        lines.append(f'"response": {_object(entry.response)}')
    return lines


def _object(values: Mapping[str, Any]) -> str:
    return "{" + ",".join([f"{_quoted(name)}:{_value(value)}" for name, value in values.items()]) + "}"


def _value(value: Any) -> str:
    """Any value as JSON. The encoder would take ten times as long for what is not made of others."""
    if type(value) is str:
        return _quoted(value)
    if type(value) is int or (type(value) is float and isfinite(value)):
        return repr(value)
    return "null" if value is None else _ENCODER.encode(value)


def decode(content: bytes) -> Entry:
    """The entry that a file holds. Raises ValueError for anything else, NewerFormatError for that of a later release."""
    text = content.decode("utf-8")
    try:
        document = _DECODER.decode(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    written = document.get(_HEAD) if isinstance(document, dict) else None
    if type(written) is not int or written < FORMAT:
        raise ValueError("it is not a stored answer")
    if written > FORMAT:
        raise NewerFormatError(f"it has format {written}, this release reads format {FORMAT}")
    try:
        if r"\ud" in text or r"\uD" in text:  # perhaps half of a surrogate pair: that could not be written again
            _ENCODER.encode(document).encode("utf-8")
        return _entry(document)
    except (KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError(f"it lacks a field, or has a wrong value ({type(error).__name__}: {error})") from None


def _entry(document: Mapping[str, Any]) -> Entry:
    key = KEY.fullmatch(_text(document, "key"))
    sample = document["sample"]
    if key is None or type(sample) is not int or not 0 <= sample <= _MAX_SAMPLE or int(key[2] or 0) != sample:
        raise ValueError("its key is malformed")
    reply, response = document.get("reply"), document.get("response")
    if (reply is None) == (response is None) or not isinstance(reply or response, dict):
        raise ValueError("it has not exactly one of reply and response")
    cost, usage = document.get("cost_estimate"), document.get("usage") or {}
    if not _is_amount(cost) or not isinstance(usage, dict) or not all(map(_is_amount, usage.values())):
        raise ValueError("its usage or cost is malformed")
    stored = datetime.fromisoformat(_text(document, "stored"))
    if stored.utcoffset() is None:
        raise ValueError("its time has no time zone")
    if not _FIRST_YEAR <= stored.year <= _LAST_YEAR:
        raise ValueError("its time is out of range")
    return Entry(
        digest=key[1],
        sample=sample,
        dialect=_text(document, "dialect"),
        url=_text(document, "url"),
        model=_text(document, "model"),
        body=_bytes("request", document),
        stored=stored,
        reply=None if reply is None else _reply(reply),
        response=response,
        attempts=int(document.get("attempts") or 0),
        usage=usage,
        cost=cost,
        redacted=document.get("redacted") is True,
    )


def _is_amount(value: Any) -> bool:
    """Whether it is None or a number that can be summed up."""
    return value is None or (isinstance(value, (int, float)) and abs(value) < _MAX_AMOUNT)


def _reply(document: Mapping[str, Any]) -> Reply:
    status, elapsed = document["status"], document.get("elapsed_s", 0.0)
    if type(status) is not int or not 100 <= status <= 599 or not isinstance(elapsed, (int, float)) or not 0 <= elapsed < inf:
        raise ValueError("its status or time is malformed")
    headers = Headers()
    for name, value in (document.get("headers") or {}).items():
        if not isinstance(value, str):
            raise TypeError("a header is no text")
        headers[name.lower()] = value
    return Reply(status, headers, _bytes("body", document), float(elapsed))


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} is no text")
    return value


def _text_field(name: str, content: bytes) -> str:
    """Bytes under NAME_text, or NAME_base64 if they are no text."""
    try:
        return f'"{name}_text": {_quoted(content.decode("utf-8"))}'
    except UnicodeDecodeError:
        return f'"{name}_base64": "{b64encode(content).decode("ascii")}"'


def _content(name: str, content: bytes) -> dict[str, Any]:
    """Bytes as a JSON value under ``name`` if nothing that a reader could see is lost; else under NAME_text or NAME_base64."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return {f"{name}_base64": b64encode(content).decode("ascii")}
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refused)
        plain = _ENCODER.encode(value)
        plain.encode("utf-8")  # half of a surrogate pair, written as an escape, could not be
    except (ValueError, RecursionError):
        return {f"{name}_text": text}
    if name == "request" and plain != text:
        return {f"{name}_text": text}  # the bytes themselves are compared
    return {name: value}


def _bytes(name: str, document: Mapping[str, Any]) -> bytes:
    """What ``_content`` was given; white space between the values of a JSON body may differ."""
    if f"{name}_text" in document:
        return _text(document, f"{name}_text").encode("utf-8")
    if f"{name}_base64" in document:
        return b64decode(_text(document, f"{name}_base64"), validate=True)
    return _ENCODER.encode(document[name]).encode("utf-8")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a key occurs twice")
    return values


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _finite(number: str) -> float:
    value = float(number)
    if not isfinite(value):
        raise ValueError(f"{number[:20]} is out of range")
    return value


_DECODER = json.JSONDecoder(parse_constant=_refused, parse_float=_finite)
