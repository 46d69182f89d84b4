"""The one list of streaming switches."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_sync.errors import StreamingNotSupportedError
from llm_sync.streaming import find_switches, is_stream, refuse_switches, strip_switches, url_switches

ASKING: list[tuple[str, Any]] = [
    ("stream", True),
    ("stream", "true"),
    ("stream", "false"),  # a text is true for many servers
    ("stream", 1),
    ("stream", 0),
    ("stream", ""),
    ("stream_options", {"include_usage": True}),
    ("stream_options", {}),
    ("background", True),
    ("deferred", True),
    ("include_obfuscation", "1"),
    ("starting_after", 0),
    ("partial_images", 2),
    ("alt", "sse"),
    ("$alt", "SSE"),
    ("Accept", "text/event-stream"),
    ("ACCEPT", "application/json, text/event-stream;q=0.5"),
    ("accept", b"text/event-stream"),
    ("X-DashScope-SSE", "enable"),
    ("debug", {"echo_upstream_body": True}),
]
HARMLESS: list[tuple[str, Any]] = [("stream", False), ("stream", None), ("background", False), ("stream_options", None)]
OTHER: list[tuple[str, Any]] = [
    ("alt", "json"),
    ("Accept", "application/json"),
    ("debug", {"verbose": True}),
    ("debug", True),
    ("streaming_service", "netflix"),
    ("response_format", {"type": "json_schema", "json_schema": {"properties": {"stream": {"type": "boolean"}}}}),
    ("tools", [{"function": {"parameters": {"properties": {"stream": {}, "background": {}}}}}]),
]


@pytest.mark.parametrize(("name", "value"), ASKING)
def test_a_switch_that_asks_is_found_and_stripped(name: str, value: Any) -> None:
    """Any value but a literal false or null asks for streaming."""
    mapping = {"temperature": 1, name: value}
    assert find_switches(mapping) == {name: value}
    assert strip_switches(mapping) == ({"temperature": 1}, {name: value})


@pytest.mark.parametrize(("name", "value"), HARMLESS)
def test_a_switch_that_is_off_goes_without_a_word(name: str, value: Any) -> None:
    """``stream: false`` is left out of the copy, but is nothing to warn about."""
    assert find_switches({name: value}) == {}
    assert strip_switches({name: value, "seed": 1}) == ({"seed": 1}, {})


@pytest.mark.parametrize(("name", "value"), OTHER)
def test_what_only_looks_like_a_switch_stays(name: str, value: Any) -> None:
    """Only the top level counts: schemas and tools may speak of streams."""
    assert find_switches({name: value}) == {}
    assert strip_switches({name: value}) == ({name: value}, {})


def test_stripping_leaves_the_original_alone() -> None:
    """The caller's mapping is not changed, and keys that are no text are let pass."""
    mapping: dict[Any, Any] = {"stream": True, 5: "x"}
    clean, asked = strip_switches(mapping)
    assert (clean, asked) == ({5: "x"}, {"stream": True})
    assert mapping == {"stream": True, 5: "x"}


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://h/v1beta/models/gemini:streamGenerateContent", ["streamGenerateContent"]),
        ("https://h/v1beta/models/gemini%3AstreamGenerateContent", ["streamGenerateContent"]),
        ("https://h/v1/dynamic/x:STREAMGENERATECONTENT?alt=sse", ["STREAMGENERATECONTENT", "alt=sse"]),
        ("https://h/models/claude:streamRawPredict", ["streamRawPredict"]),
        ("https://h/model/m/invoke-with-response-stream", ["invoke-with-response-stream"]),
        ("https://h/model/m/converse-stream/", ["converse-stream"]),
        ("https://h/v1?%24alt=sse", ["$alt=sse"]),
        ("https://h/v1/responses/r?stream=true&starting_after=0", ["stream=true", "starting_after=0"]),
        ("https://h/v1?stream=false&background=null", []),
        ("https://converse-stream.example/v1/chat/completions", []),
        ("https://h/my-converse-stream-proxy/v1/chat/completions", []),
        ("https://h/v1/models/gemini:generateContent?alt=json", []),
        ("http://[::1/m:streamGenerateContent?stream=1", ["streamGenerateContent", "stream=1"]),
        ("", []),
    ],
)
def test_url_switches(url: str, found: list[str]) -> None:
    """Path segments and query fields count, in any case and percent-encoded; hosts and parts of segments do not."""
    assert url_switches(url) == found


def test_the_guard_names_every_switch() -> None:
    """The last guard before the wire names payload and URL switches, and what to do."""
    with pytest.raises(StreamingNotSupportedError, match=r"stream, deferred, alt=sse.*leave these out") as caught:
        refuse_switches({"stream": True, "deferred": 1, "model": "m"}, "https://h/v1?alt=sse")
    assert caught.value.retryable is False


def test_the_guard_lets_a_plain_request_pass() -> None:
    """``"stream": false`` is what the wire should carry."""
    refuse_switches({"stream": False, "messages": []}, "https://h/v1/chat/completions")


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        ("text/event-stream", b""),
        ("Text/Event-Stream; charset=utf-8", b"{}"),
        ("application/x-ndjson", b"{}"),
        ("application/vnd.amazon.eventstream", b"\x00\x00"),
        ("application/json", b"data: {}\n\n"),
        ("", b"\r\n\r\nevent: message_start\n"),
        ("", b": OPENROUTER PROCESSING\n\n"),
        ("", b":\n\ndata: [DONE]"),
        ("", b"\xef\xbb\xbfdata: {}"),
        ("application/json", b'{"message":{}}\n{"message":{}}\n'),
        ("application/json", b' \n{"a":{}} \r\n\n {"b":1}'),
    ],
)
def test_a_stream_is_told_by_type_or_first_bytes(content_type: str, content: bytes) -> None:
    """Servers stream under any content type."""
    assert is_stream(content_type, content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b" \n" * 600 + b'{"choices": []}',
        json.dumps({"a": {"b": {}}, "c": [{}, {}]}, indent=1).encode(),
        b'{"a":{}\n,"b":{}}\n',
        b'{"text": "data: x\\n{\\n{"}\n',
        b"[{},\n{}]",
        b"<html>data: x</html>",
        b"error code: 502",
        b"dataset",
    ],
)
def test_ordinary_bodies_are_no_streams(content: bytes) -> None:
    """JSON however laid out, HTML and plain text are left to others."""
    assert not is_stream("application/json; charset=utf-8", content)


def test_a_body_without_line_feeds_is_judged_in_linear_time() -> None:
    """A megabyte of braces or white space takes no time to speak of (a backtracking pattern would not end)."""
    for content in (b"{" * 2**20, b"{}" * 2**19 + b"\n", b" " * 2**20, b"\n" * 2**20 + b"x"):
        assert not is_stream("", content)
