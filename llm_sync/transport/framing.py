"""Where a simple HTTP/1.1 response begins and ends, and what it contains. Reads no socket: both drivers feed it bytes.

It accepts only what is surely simple: no interim response, no redirect, no folded or contradictory header, an end that is
clear. Anything else is an OddResponse, and http.client and urllib3 read it instead.
"""

from __future__ import annotations

import http.client
import io
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from urllib3 import HTTPHeaderDict, HTTPResponse

MAX_HEAD_BYTES = 16 * 1024  # and of a line within a chunked body; longer ones are read by http.client, which has limits, too
_READ_BYTES = 64 * 1024
_USUAL_HEAD_BYTES = 2048
_MAX_LINES = 90
_STATUS_LINE = re.compile(rb"HTTP/1\.1 (?!204)([245]\d\d)(?: [^\r\n\0]*)?\r\n")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_MAX_NAMES = 512
_names: dict[str, str] = {}  # of headers seen before, in lower case: to check a name takes longer than to look it up
_HEAD_START = b"HTTP/1.1 "
_ENDS_ODDLY = re.compile(rb"(?<!\r)\n|\r\n\r\n|\0")  # in the beginning of a head that does not match
_SIZE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\n]*)?\r?")
_DIGITS = re.compile(r"[0-9]{1,15}")
FRAMING = ("content-length", "transfer-encoding", "content-encoding", "connection")  # where a body ends, how it is encoded


class OddResponse(Exception):
    """The response is not simple. ``received``: all of it that was fed."""

    def __init__(self, received: bytes) -> None:
        super().__init__()
        self.received = received


class TooLargeError(Exception):
    """The decoded body of a response with this ``status`` is larger than the cap."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status


class Headers(Mapping[str, str]):
    """Response headers, looked up case-insensitively; repeated ones are joined by commas. ``by_lower_name``: as a plain dict."""

    __slots__ = ("by_lower_name",)

    def __init__(self, fields: dict[str, str]) -> None:
        self.by_lower_name = fields

    def __getitem__(self, name: str) -> str:
        return self.by_lower_name[name.lower()]

    def get(self, name: str, default: Any = None) -> Any:
        """Like Mapping.get, without its exception for a missing name."""
        return self.by_lower_name.get(name.lower(), default)

    def __iter__(self) -> Iterator[str]:
        return iter(self.by_lower_name)

    def __len__(self) -> int:
        return len(self.by_lower_name)

    def __repr__(self) -> str:
        return f"Headers({self.by_lower_name!r})"


class ResponseReader:
    """One response, from the bytes that arrive. ``cap``: the largest body, in decoded bytes.

    ``feed`` until it returns True; then ``status``, ``fields`` (headers by lower-case name) and ``surplus`` (bytes came after the
    end) are final, and ``decoded`` gives the body. ``fields`` is None until the head is complete.
    """

    status = 0
    fields: dict[str, str] | None = None
    surplus = False
    _received: bytearray | bytes = b""  # an incomplete head, or the chunk whose end has not come
    _body: bytearray | bytes = b""
    _left: int | None = None  # bytes of the body to come; None: chunked
    _encoding = ""

    def __init__(self, cap: int) -> None:
        self._cap = cap

    def feed(self, data: bytes | bytearray | memoryview) -> bool:
        """Take what arrived; return whether the response is complete.

        Raises OddResponse until the head is complete, then TooLargeError, and HTTPException for chunks that are none.
        """
        if self.fields is None:
            if self._received:
                self._received += data
                data, self._received = self._received, bytearray()
            end = self._read_head(data)
            if not end:
                self._received = bytearray(data)
                return False
            data = memoryview(data)[end:]
        return self._feed_chunks(data) if self._left is None else self._feed_length(data, self._left)

    def end(self) -> Exception:
        """The error for a connection that ended here, before the response did. Raises OddResponse within the head."""
        if self.fields is not None:
            return http.client.IncompleteRead(b"")
        if self._received:
            raise OddResponse(bytes(self._received))
        return http.client.RemoteDisconnected("the connection is closed")

    def _read_head(self, data: bytes | bytearray | memoryview) -> int:
        """Read the head; return where it ends, 0 while it is incomplete."""
        status_line = _STATUS_LINE.match(data)
        text = bytes(data[:_USUAL_HEAD_BYTES])
        end = text.find(b"\r\n\r\n")
        if end < 0 and len(data) > _USUAL_HEAD_BYTES:
            text = bytes(data[:MAX_HEAD_BYTES])
            end = text.find(b"\r\n\r\n")
        if status_line is None or end < status_line.end():
            begins_well = len(data) > len(_HEAD_START) and bytes(data[: len(_HEAD_START)]) == _HEAD_START
            begins_well = begins_well and data[len(_HEAD_START)] in b"245"
            if not (begins_well or _HEAD_START.startswith(bytes(data[: len(_HEAD_START) + 1]))):
                raise OddResponse(bytes(data))
            if len(data) > MAX_HEAD_BYTES or _ENDS_ODDLY.search(data):
                raise OddResponse(bytes(data))
            return 0
        fields = _parse_headers(text[status_line.end() : end])
        if fields is None:
            raise OddResponse(bytes(data))
        self.status = int(status_line[1])
        self._encoding = fields.get("content-encoding", "")
        if "transfer-encoding" not in fields:
            self._left = int(fields["content-length"])
            if self._left > self._cap and not self._encoding:
                raise OddResponse(bytes(data))
        self.fields = fields
        return end + 4

    def _feed_length(self, data: bytes | bytearray | memoryview, left: int) -> bool:
        if len(data) >= left:
            self.surplus = len(data) > left
            self._left = 0
            if self._body:
                self._body += data[:left]
            else:
                self._body = bytes(data[:left])
            return True
        if not self._body:
            self._body = bytearray()
        self._body += data
        self._left = left - len(data)
        self._check_size(0)
        return False

    def _feed_chunks(self, data: bytes | bytearray | memoryview) -> bool:
        if self._received:
            self._received += data
            pending: bytes | bytearray = self._received
        else:
            pending = bytes(data)
        start, size = 0, 1
        while size:
            line_end = pending.find(b"\n", start)
            if line_end < 0:
                if len(pending) - start > MAX_HEAD_BYTES:
                    raise http.client.IncompleteRead(b"")
                break
            line = _SIZE.fullmatch(pending, start, line_end)
            if line is None:
                raise http.client.IncompleteRead(b"")
            size = int(line[1], 16)
            if not size:
                return self._feed_trailers(pending, start, line_end + 1)
            self._check_size(size)
            after = line_end + 1 + size + 2  # the chunk ends with CRLF
            if len(pending) < after:
                break
            if self._body:
                self._body += pending[line_end + 1 : after - 2]
            else:
                self._body = bytearray(pending[line_end + 1 : after - 2])
            start = after
        self._received = bytearray(pending[start:]) if start or pending is not self._received else self._received
        return False

    def _feed_trailers(self, pending: bytes | bytearray, last_chunk: int, start: int) -> bool:
        """Skip the lines after the last chunk, which begins at ``last_chunk``, up to the blank one."""
        while (line_end := pending.find(b"\n", start)) >= 0:
            is_blank = line_end == start or (line_end == start + 1 and pending[start] == 13)
            start = line_end + 1
            if is_blank:
                self.surplus = len(pending) > start
                self._received = bytearray()
                return True
        if len(pending) - last_chunk > MAX_HEAD_BYTES:
            raise http.client.IncompleteRead(b"")
        self._received = bytearray(pending[last_chunk:])
        return False

    def _check_size(self, more: int) -> None:
        """Raise TooLargeError if the body is too large, ``more`` bytes that are announced included."""
        allowed = self._cap + self._cap // 64 + 4096 if self._encoding else self._cap  # compressing may enlarge a body a little
        if len(self._body) + more > allowed:
            raise TooLargeError(self.status)

    def decoded(self) -> bytes:
        """The body, once: it is released. Raises TooLargeError, and urllib3's HTTPError for one that cannot be decoded."""
        body = self._body
        self._body = b""
        if not self._encoding:
            if len(body) > self._cap:
                raise TooLargeError(self.status)
            return bytes(body)
        if self._encoding.lower() in ("gzip", "x-gzip") and body:
            inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
            try:
                content = inflate.decompress(body, self._cap + 1)
            except zlib.error:
                return self._decoded_by_urllib3(body)
            if inflate.eof and not inflate.unused_data and len(content) <= self._cap:
                return content
        return self._decoded_by_urllib3(body)

    def _decoded_by_urllib3(self, body: bytes | bytearray) -> bytes:
        """What urllib3 makes of any other encoding, of several members, and of what is damaged."""
        headers = HTTPHeaderDict({"content-encoding": self._encoding})
        response = HTTPResponse(io.BytesIO(body), headers, self.status, preload_content=False)
        return read_capped(response, self._cap)


def read_capped(response: Any, cap: int) -> bytes:
    """The decoded body of a response of urllib3. Raises TooLargeError if it is larger than ``cap`` bytes."""
    content = bytearray()  # not a list of chunks: with chunks of two bytes it would take twenty times the cap
    while chunk := response.read1(min(_READ_BYTES, cap - len(content) + 1), decode_content=True):
        content += chunk
        if len(content) > cap:
            raise TooLargeError(response.status)
    return bytes(content)


def _parse_headers(head: bytes) -> dict[str, str] | None:
    """The headers by lower-case name. None for what is no header, if they leave unclear where the response ends, or if the
    connection closes."""
    lines = head.decode("latin-1").split("\r\n")
    if len(lines) > _MAX_LINES or head.count(b"\n") >= len(lines) or head.count(b"\r") >= len(lines) or b"\0" in head:
        return None
    fields: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        key = _names.get(name) or _checked_name(name)
        if not colon or key is None:
            return None
        if key not in fields:
            fields[key] = value.strip(" \t")
        elif key in FRAMING:
            return None
        else:
            fields[key] += f", {value.strip()}"
    if fields.get("connection", "keep-alive").lower() != "keep-alive":
        return None
    if "transfer-encoding" in fields:
        has_clear_end = fields["transfer-encoding"].lower() == "chunked" and "content-length" not in fields
    else:
        has_clear_end = _DIGITS.fullmatch(fields.get("content-length", "")) is not None
    return fields if has_clear_end else None


def _checked_name(name: str) -> str | None:
    """A header's name in lower case; None if it is none."""
    if _NAME.fullmatch(name) is None:
        return None
    if len(_names) < _MAX_NAMES:
        _names[name] = name.lower()
    return name.lower()
