"""The file of an answer: what is written is read again, in each of its forms."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest

from llm_sync.cache.entry import Entry, Headers, decode, encode, encode_line
from llm_sync.models import Reply

STORED = datetime(2026, 11, 30, 12, 0, 0, 123456, tzinfo=timezone.utc)
REPLY = Reply(
    200,
    Headers({"content-type": "application/json", "x-request-id": 'a "b"\\\n'}),
    b'{"a": [1, {"b": null}], "c": "\xc3\xa9"}',
    0.25,
)
BASE: dict[str, Any] = {
    "digest": "ab" * 32,
    "sample": 0,
    "dialect": "openai",
    "url": 'http://127.0.0.1/v1/"x"\\\u00e9\u2028',
    "model": "a/b \U0001f600",
    "body": b'{"model":"m","n":1}',
    "stored": STORED,
    "reply": REPLY,
    "usage": {"input_tokens": 3, "output_tokens": 2.5},
    "cost": 1e-7,
}
ENTRIES = {
    "a JSON body": {},
    "a later sample, many attempts": {"sample": 17, "attempts": 4},
    "no usage, no cost": {"usage": {}, "cost": None},
    "a removed secret": {"redacted": True},
    "bodies that are no JSON": {"body": b'plain "text"\n', "reply": Reply(502, Headers(), b"<html>\r\n\t\x00</html>", 0.0)},
    "bodies that are no text": {"body": b"\xff\xfe", "reply": Reply(200, Headers(), b"\x80\x00", 1e-9)},
    "empty bodies": {"body": b"", "reply": Reply(204, Headers(), b"", 12345.678901234)},
    "a key that occurs twice, and NaN": {"body": b'{"a":1,"a":2}', "reply": Reply(200, Headers(), b'{"a":NaN}', 0.5)},
    "half of a surrogate pair": {"body": b'{"a":"\\ud800"}', "reply": Reply(200, Headers(), b'["\\udfff"]', 0.5)},
    "an imported answer": {
        "reply": None,
        "response": {"text": "x \u00e9", "usage": {"input_tokens": 1}, "tool_calls": [], "cost_estimate": None},
    },
}
WRITERS: dict[str, Callable[[Entry], bytes]] = {
    "compact": encode,
    "pretty": lambda entry: encode(entry, pretty=True),
    "line": encode_line,
}


def fields(document: dict[str, Any]) -> dict[str, Any]:
    """The fields of a file, without the request and the reply's body, which each form may write in another way."""
    rest = {name: value for name, value in document.items() if not name.startswith("request")}
    if "reply" in rest:
        rest["reply"] = {name: value for name, value in rest["reply"].items() if not name.startswith("body")}
    return rest


def without_content(entry: Entry) -> dict[str, Any]:
    """All values of an entry but the reply's body, with times to the microsecond, as they are written."""
    values = dict(vars(entry))
    reply = values.pop("reply")
    return {**values, "reply": reply and (reply.status, dict(reply.headers), round(reply.elapsed, 6))}


@pytest.mark.parametrize("changes", ENTRIES.values(), ids=ENTRIES)
def test_every_form_of_a_file_has_the_same_fields(changes: dict[str, Any]) -> None:
    """In the same order; they are made by two functions, one of which writes JSON by itself, for speed."""
    entry = Entry(**{**BASE, **changes})
    compact, *others = [fields(json.loads(write(entry))) for write in WRITERS.values()]
    for other in others:
        assert other == compact
        assert list(other) == list(compact)


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("changes", ENTRIES.values(), ids=ENTRIES)
def test_what_is_written_is_read_again(changes: dict[str, Any], write: Callable[[Entry], bytes]) -> None:
    """Every value; in the body of a reply, white space between the values of JSON may be another one."""
    entry = Entry(**{**BASE, **changes})
    again = decode(write(entry))
    assert without_content(again) == without_content(entry)
    if entry.reply is not None:
        assert again.reply is not None
        if write is encode or entry.reply is not REPLY:
            assert again.reply.content == entry.reply.content
        else:
            assert json.loads(again.reply.content) == json.loads(entry.reply.content)
