"""Fast path: a simple response over a keep-alive connection.

Without it a call costs 2.1 times as much CPU (measured): for each request requests, urllib3 and http.client copy, check and
write the same headers, and parse the response headers with the mail parser. Here the head that they wrote for the first
request (header_cache.py) is sent again, in one piece with the body, and a single regular expression reads the response
head. It accepts only what is surely simple. Chunked or compressed bodies are read by http.client and urllib3; any other
response (redirects, 1xx, folded or contradictory headers …) is handed to them with all bytes received so far. New
connections, proxies and patched libraries (patch_detection.py) never come here.
"""

from __future__ import annotations

import errno
import http.client
import io
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPHeaderDict, HTTPResponse

from llm_sync.models import Reply
from llm_sync.runtime.clock import now as monotonic
from llm_sync.transport.header_cache import content_length_line
from llm_sync.transport.pool import DeadlineConnection, DeadlinePool, FinalResponse
from llm_sync.transport.sockets import DeadlineSocket, Exchange, active

_FIRST_READ_BYTES = 16 * 1024  # a head, and most responses whole
MAX_JOINED_BODY_BYTES = 64 * 1024  # up to this size body and head go out in one write: copying costs less than a second one
MAX_PREALLOCATED_BYTES = 2**20  # no larger buffer is allocated because a server announces such a body


_HEAD = re.compile(rb"HTTP/1\.1 (?!204)([245]\d\d)(?: [^\r\n\0]*)?\r\n((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n\0]*\r\n){1,90})\r\n")
_FOLD = re.compile(r"[ \t]*\r?\n[ \t]+")
_DIGITS = re.compile(r"[0-9]{1,15}")
_FRAMING = ("content-length", "transfer-encoding", "content-encoding", "connection")  # where a body ends, how it is encoded


class Headers(Mapping[str, str]):
    """Response headers, looked up case-insensitively; repeated ones are joined by commas."""

    __slots__ = ("_fields",)

    def __init__(self, fields: dict[str, str]) -> None:
        self._fields = fields  # by lower-case name

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()]

    def get(self, name: str, default: Any = None) -> Any:
        """Like Mapping.get, without its exception for a missing name."""
        return self._fields.get(name.lower(), default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"Headers({self._fields!r})"


class UnreadResponse(NamedTuple):
    """A response whose head is read and whose body is not."""

    response: HTTPResponse
    headers: Mapping[str, str]


def send_and_receive(
    pool: DeadlinePool, conn: DeadlineConnection, head: tuple[bytes, bytes], body: bytes | None, exchange: Exchange, cap: int
) -> Reply | UnreadResponse:
    """Send the request over ``conn`` and return the Reply, or an UnreadResponse if the response is not simple.

    ``cap`` is the largest body, in bytes. When the response ends, the connection is closed or goes back into ``pool``.
    Raises OSError and http.client.HTTPException.
    """
    try:
        sock = conn.begin_exchange(exchange)
        if isinstance(sock, DeadlineSocket):
            sock.make_nonblocking()
        first = content_length_line(body).join(head)
        if body is not None and len(body) <= MAX_JOINED_BODY_BYTES:
            first, body = first + body, None
        try:
            sock.sendall(first)
            if body is not None:
                sock.sendall(body)
            exchange.sent_at = monotonic()
        except OSError as error:
            if not isinstance(error, (BrokenPipeError, ConnectionResetError)) and error.errno != errno.EPROTOTYPE:
                raise
            # A response may have arrived nevertheless; urllib3 does the same. EPROTOTYPE is macOS's EPIPE.
            exchange.reusable = False
        return _receive(pool, conn, sock, exchange, cap)
    except BaseException:
        conn.close()
        pool.release(None)  # keeps room in the pool for a new one
        raise


def _receive(pool: DeadlinePool, conn: DeadlineConnection, sock: Any, exchange: Exchange, cap: int) -> Reply | UnreadResponse:
    buffer = bytearray(_FIRST_READ_BYTES)
    count = sock.recv_into(buffer)
    if not count:
        raise http.client.RemoteDisconnected("the connection is closed")
    head = _HEAD.match(buffer)
    fields = _parse_headers(head[2]) if head is not None else None
    if head is None or fields is None:
        return _hand_over(pool, conn, buffer[:count], exchange)
    size = _body_size(fields)
    if size is None or size > min(cap, MAX_PREALLOCATED_BYTES):
        return _hand_over(pool, conn, buffer[head.end() : count], exchange, int(head[1]), fields)
    exchange.phase = "body"
    content = _read_body(sock, buffer, head.end(), count, size)
    exchange.reusable = exchange.reusable and count <= head.end() + size  # surplus bytes would corrupt the next response
    reply = Reply(int(head[1]), Headers(fields), content, exchange.elapsed)
    pool.release(conn)
    return reply


def _parse_headers(lines: bytes) -> dict[str, str] | None:
    """The headers by lower-case name; None if they leave unclear where the response ends, or the connection closes."""
    fields: dict[str, str] = {}
    for line in lines.decode("latin-1").split("\r\n")[:-1]:
        name, _, value = line.partition(":")
        key = name.lower()
        if key not in fields:
            fields[key] = value.strip(" \t")
        elif key in _FRAMING:
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


def _body_size(fields: dict[str, str]) -> int | None:
    """The body's length in bytes; None for a chunked or compressed one."""
    return None if "transfer-encoding" in fields or "content-encoding" in fields else int(fields["content-length"])


def _read_body(sock: Any, buffer: bytearray, start: int, count: int, size: int) -> bytes:
    """``size`` bytes, of which ``buffer`` contains those from ``start`` to ``count``."""
    received = memoryview(buffer)[start : min(count, start + size)]
    if len(received) == size:
        return bytes(received)
    content = bytearray(size)
    content[: len(received)] = received
    rest = memoryview(content)[len(received) :]
    while rest:
        more = sock.recv_into(rest)
        if not more:
            raise http.client.IncompleteRead(b"", len(rest))
        rest = rest[more:]
    return bytes(content)


def _hand_over(
    pool: DeadlinePool,
    conn: DeadlineConnection,
    received: bytes | bytearray,
    exchange: Exchange,
    status: int | None = None,
    fields: dict[str, str] | None = None,
) -> UnreadResponse:
    """A response for http.client and urllib3 to read on from ``received``, which contains the head unless that is parsed:
    then ``status`` and ``fields`` are given."""
    answer = FinalResponse(_ReplayStream(received, conn.sock), method="POST")  # type: ignore[arg-type]
    try:
        if status is None or fields is None:
            answer.begin()
            lines = [(name, _FOLD.sub(" ", value)) for name, value in answer.msg.items()]
            headers: Mapping[str, str] = CaseInsensitiveDict(HTTPHeaderDict(lines))
            framing = HTTPHeaderDict(lines)
        else:
            answer.set_head(status, "transfer-encoding" in fields, fields.get("content-length"))
            headers = Headers(fields)
            framing = HTTPHeaderDict((name, fields[name]) for name in _FRAMING if name in fields)
        exchange.reusable = exchange.reusable and not answer.will_close
        response = HTTPResponse(
            body=answer,
            headers=framing,
            status=answer.status,
            version=answer.version,
            reason=answer.reason,
            preload_content=False,
            decode_content=False,
            original_response=answer,
            pool=pool,
            connection=conn,
            request_method="POST",
        )
    except BaseException:
        answer.close()
        raise
    return UnreadResponse(response, headers)


class _ReplayStream(io.RawIOBase):
    """Reads bytes that were already received, then the socket."""

    def __init__(self, received: bytes | bytearray, sock: Any) -> None:
        self._received = memoryview(received)
        self._rest = sock.makefile("rb", buffering=0)

    def makefile(self, mode: str) -> io.BufferedReader:  # noqa: ARG002  (always "rb")
        """http.client asks its socket for this."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Like RawIOBase.readinto."""
        if not self._received:
            exchange = active.exchange
            if exchange is not None and exchange.buffered_only:
                return None  # as the socket would answer, without the detour
            count: int | None = self._rest.readinto(buffer)
            return count
        taken = self._received[: len(buffer)]
        buffer[: len(taken)] = taken
        self._received = self._received[len(taken) :]
        return len(taken)

    def close(self) -> None:
        """Close this stream and its reference to the socket."""
        self._rest.close()
        super().close()
