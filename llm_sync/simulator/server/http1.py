"""HTTP/1.1 on one accepted socket: reads a request, writes the response with one ``sendall``.

It is small and fast because benchmarks run against the simulator, and strict because tests send it malformed requests.
"""

from __future__ import annotations

import functools
import socket
import struct
import time
from collections.abc import Iterable
from email.utils import formatdate
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 128
MAX_UPLOAD = 256 * 2**20  # bytes of a file or of the requests of a job, whatever else the limit is
_UPLOADS = ("/files", "/batches", "/batch/jobs")
_RECEIVE_BYTES = 256 * 1024
_REASONS = {status.value: status.phrase for status in HTTPStatus} | {529: "Overloaded"}


class HTTPRequest(NamedTuple):
    """One request: ``path`` unquoted and without the query, header names in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    keep_alive: bool


class UnreadableRequest(Exception):
    """The bytes received are not a valid request; the connection is closed after a response with ``status``.

    ``request``: the request without its body, if only the body was too large; else None.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.request: HTTPRequest | None = None


class Connection:
    """One client's socket, used by one thread. Times are in seconds.

    ``idle_timeout`` is the longest pause between requests, ``read_timeout`` the longest time from a request's first byte to
    its last (which limits how long a slow client can occupy a thread).
    """

    def __init__(self, sock: socket.socket, *, max_body: int, idle_timeout: float, read_timeout: float) -> None:
        self._sock = sock
        self._max_body = max_body
        self._idle_timeout = idle_timeout
        self._read_timeout = read_timeout
        self._buffer = bytearray()
        self._deadline = 0.0
        self.expired = False  # the next request on it gets no answer

    def read(self) -> HTTPRequest | None:
        """The next request; None if the client disconnected or stayed idle. Raises UnreadableRequest, OSError."""
        if not self._wait_for_first_byte():
            return None
        self._deadline = time.monotonic() + self._read_timeout
        head = self._read_head()
        method, target, version, headers = _parse_head(head)
        if target[0] != "/" and "://" in target[:9]:  # the absolute form, as sent to proxies
            target = "/" + target.partition("://")[2].partition("/")[2]
        path, _, query = target.partition("?")
        connection = headers.get("connection", "").lower()
        keep_alive = "close" not in connection if version == "HTTP/1.1" else "keep-alive" in connection
        request = HTTPRequest(method, unquote(path), dict(parse_qsl(query, keep_blank_values=True)), headers, b"", keep_alive)
        try:
            limit = max(MAX_UPLOAD, self._max_body) if path.endswith(_UPLOADS) else self._max_body
            length = self._body_length(headers, limit)
            if headers.get("expect", "").lower() == "100-continue":
                self._sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = self._read_chunks(limit) if length is None else self._read_exactly(length)
        except UnreadableRequest as unreadable:
            unreadable.request = request if unreadable.status == 413 else None
            raise
        return request._replace(body=body) if body else request

    def send(self, status: int, headers: Iterable[tuple[str, str]], body: bytes, *, keep_alive: bool, head_only: bool) -> None:
        """Sends the whole response in one write, in as few packets as possible. Raises OSError."""
        head = render_head(status, headers, f"content-length: {len(body)}", keep_alive=keep_alive)
        self.write(head if head_only else head + body)

    def write(self, content: bytes) -> None:
        """Sends bytes unchanged. Raises OSError."""
        self._sock.settimeout(self._read_timeout)
        self._sock.sendall(content)

    def reset_on_close(self) -> None:
        """Makes closing the connection send RST, so that the client cannot take what it has read for the whole response."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def wait_for_close(self, seconds: float | None = None) -> None:
        """Sends nothing until the client disconnects, or for ``seconds``; drops what the client still sends. Raises OSError."""
        deadline = None if seconds is None else time.monotonic() + seconds
        self._buffer.clear()
        while deadline is None or (left := deadline - time.monotonic()) > 0:
            self._sock.settimeout(None if deadline is None else left)
            try:
                if not self._sock.recv(_RECEIVE_BYTES):
                    return
            except TimeoutError:
                return

    def linger(self, seconds: float = 2.0, limit: int = 256 * 1024 * 1024) -> None:
        """Reads what the client still sends before closing: closing with unread bytes would reset the connection."""
        deadline = time.monotonic() + seconds
        try:
            self._sock.shutdown(socket.SHUT_WR)
            while limit > 0 and (left := deadline - time.monotonic()) > 0:
                self._sock.settimeout(left)
                received = len(self._sock.recv(_RECEIVE_BYTES))
                if not received:
                    return
                limit -= received
        except OSError:
            return

    def _wait_for_first_byte(self) -> bool:
        while True:
            while self._buffer[:2] == b"\r\n":  # RFC 9112 §2.2: an empty line before a request is skipped
                del self._buffer[:2]
            if self._buffer and self._buffer != b"\r":
                return True
            self._sock.settimeout(self._idle_timeout)
            try:
                chunk = self._sock.recv(_RECEIVE_BYTES)
            except TimeoutError:
                return False
            if not chunk:
                return False
            self._buffer += chunk

    def _receive(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise UnreadableRequest(408, "the request took too long to arrive")
        self._sock.settimeout(left)
        try:
            chunk = self._sock.recv(_RECEIVE_BYTES)
        except TimeoutError:
            raise UnreadableRequest(408, "the request took too long to arrive") from None
        if not chunk:
            raise UnreadableRequest(400, "the connection was closed before the request was complete")
        self._buffer += chunk

    def _read_head(self) -> bytes:
        start = 0
        while True:
            if not 65 <= self._buffer[0] <= 90:
                raise UnreadableRequest(400, "this is not HTTP; the simulator speaks plain HTTP/1.1, no TLS")
            end = self._buffer.find(b"\r\n\r\n", start)
            if end > MAX_HEAD_BYTES or (end < 0 and len(self._buffer) > MAX_HEAD_BYTES):
                raise UnreadableRequest(431, f"the request's head is longer than {MAX_HEAD_BYTES} bytes")
            if end >= 0:
                head = bytes(self._buffer[:end])
                del self._buffer[: end + 4]
                return head
            if self._buffer.find(b"\n\n", start) >= 0:
                raise UnreadableRequest(400, "the lines of the request's head end in LF alone, not in CR LF")
            start = max(0, len(self._buffer) - 3)
            self._receive()

    def _read_exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._receive()
        content = bytes(self._buffer[:count])
        del self._buffer[:count]
        return content

    def _body_length(self, headers: dict[str, str], limit: int) -> int | None:
        """The length of the body in bytes; None if it is chunked."""
        coding, length = headers.get("transfer-encoding"), headers.get("content-length")
        if coding is not None:
            if length is not None:
                raise UnreadableRequest(400, "both Content-Length and Transfer-Encoding are set")
            if coding.lower() != "chunked":
                raise UnreadableRequest(501, f"transfer coding {coding!r} is not supported")
            return None
        if length is None:
            return 0
        if not (length.isascii() and length.isdigit()) or len(length) > 18:
            raise UnreadableRequest(400, f"Content-Length {length[:40]!r} is not a byte count")
        if int(length) > limit:
            raise UnreadableRequest(413, f"the body has {length} bytes, at most {limit} are accepted")
        return int(length)

    def _read_chunks(self, limit: int) -> bytes:
        body = bytearray()
        while True:
            size = self._read_line().partition(b";")[0].strip()
            if not size or len(size) > 12 or size.strip(b"0123456789abcdefABCDEF"):
                raise UnreadableRequest(400, "a chunk's size is not hexadecimal")
            count = int(size, 16)
            if len(body) + count > limit:
                raise UnreadableRequest(413, f"the body has more than {limit} bytes")
            if not count:
                while self._read_line():  # trailers are ignored
                    pass
                return bytes(body)
            body += self._read_exactly(count)
            if self._read_exactly(2) != b"\r\n":
                raise UnreadableRequest(400, "a chunk does not end where its size says")

    def _read_line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise UnreadableRequest(400, "a chunk's size line does not end")
            self._receive()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line


def render_head(status: int, headers: Iterable[tuple[str, str]], *framing: str, keep_alive: bool) -> bytes:
    """Status line, headers and the empty line after them; ``framing``: lines such as Content-Length."""
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in headers]
    lines += [f"date: {_date()}", *framing, f"connection: {'keep-alive' if keep_alive else 'close'}"]
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"


def _parse_head(head: bytes) -> tuple[str, str, str, dict[str, str]]:
    if b"\0" in head:
        raise UnreadableRequest(400, "the request's head holds a NUL")
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or not words[1]:
        raise UnreadableRequest(400, "the request line is not METHOD TARGET VERSION")
    method, target, version = words
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        raise UnreadableRequest(505, "only HTTP/1.1 and HTTP/1.0 are supported")
    if len(lines) > MAX_HEADERS + 1:
        raise UnreadableRequest(431, f"the request has more than {MAX_HEADERS} headers")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip() or "\n" in line or "\r" in line:
            raise UnreadableRequest(400, "a header line is malformed")
        name, value = name.lower(), value.strip()
        if name in headers and name in ("content-length", "transfer-encoding", "host") and headers[name] != value:
            raise UnreadableRequest(400, f"the header {name} is there twice, with different values")
        headers[name] = value
    return method, target, version, headers


def _date() -> str:
    return _http_date(int(time.time()))


@functools.lru_cache(maxsize=2)
def _http_date(second: int) -> str:
    return formatdate(second, usegmt=True)
