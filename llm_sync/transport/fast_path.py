"""The short way of an exchange: over a connection that is kept, with an answer of the plain kind.

Measured worth: without it a whole call costs 2.1 times as much CPU. What the libraries spend it on is the same each time:
they copy, check and write the same headers, and read the answer's through the parser for mail. Here the head that they
wrote for a first request is sent again with each further one, in one piece with the body, and an answer is read by one
regular expression. That expression, like the predicates in front of Cerberus, only ever says "surely plain". Chunks and
compressed bodies are left to http.client and urllib3, and so is, with all that was received, any answer that is unlike the
others (redirects, 1xx, folded or contradicting headers …). They also connect, meet proxies, and serve whatever tool has
stepped in between, to mock, record or trace requests (seams.py).
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
from llm_sync.transport.header_cache import length
from llm_sync.transport.pool import DeadlineConnection, DeadlinePool, FinalResponse
from llm_sync.transport.sockets import DeadlineSocket, Exchange, active

_ROOM = 16 * 1024  # bytes for the first read: a head, and most answers whole
_JOINED = 64 * 1024  # a body up to here goes out with its head: copying it costs less than another write
_MOST_PLAIN = 2**20  # bytes of a body that room is made for because a server announces it


_HEAD = re.compile(rb"HTTP/1\.1 (?!204)([245]\d\d)(?: [^\r\n\0]*)?\r\n((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n\0]*\r\n){1,90})\r\n")
_FOLD = re.compile(r"[ \t]*\r?\n[ \t]+")
_DIGITS = re.compile(r"[0-9]{1,15}")
_FRAMING = ("content-length", "transfer-encoding", "content-encoding", "connection")  # say where an answer ends, and what it is


class Headers(Mapping[str, str]):
    """An answer's headers, looked up in any case; what was sent several times is joined by commas."""

    __slots__ = ("_fields",)

    def __init__(self, fields: dict[str, str]) -> None:
        self._fields = fields  # by their names in lower case

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()]

    def get(self, name: str, default: Any = None) -> Any:
        """As ever; Mapping's own goes by way of an exception for what is absent."""
        return self._fields.get(name.lower(), default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"Headers({self._fields!r})"


class Begun(NamedTuple):
    """An answer of which only the head is read."""

    response: HTTPResponse
    headers: Mapping[str, str]


def exchanged(
    pool: DeadlinePool, conn: DeadlineConnection, head: tuple[bytes, bytes], body: bytes | None, exchange: Exchange, cap: int
) -> Reply | Begun:
    """Send the request over ``conn`` and give the Reply, or, for an answer that is not plain, one whose body is to be read.

    The connection goes back into ``pool``, or is closed, with the end of the answer. Raises what sockets and http.client do.
    """
    try:
        sock = conn.reuse(exchange)
        if isinstance(sock, DeadlineSocket):
            sock.at_once()
        return _answer(pool, conn, _sent(sock, head, body, exchange), exchange, cap)
    except BaseException:
        conn.close()
        pool.give_back(None)  # it holds a place for a new one
        raise


def _answer(pool: DeadlinePool, conn: DeadlineConnection, sock: Any, exchange: Exchange, cap: int) -> Reply | Begun:
    buffer = bytearray(_ROOM)
    count = sock.recv_into(buffer)
    if not count:
        raise http.client.RemoteDisconnected("the connection is closed")
    found = _HEAD.match(buffer)
    fields = _fields(found[2]) if found is not None else None
    if found is None or fields is None:
        return _handed_over(pool, conn, buffer[:count], exchange)
    size = _plain_size(fields)
    if size is None or size > min(cap, _MOST_PLAIN):
        return _handed_over(pool, conn, buffer[found.end() : count], exchange, int(found[1]), fields)
    exchange.phase = "body"
    content = _content(sock, buffer, found.end(), count, size)
    exchange.keep = exchange.keep and count <= found.end() + size  # more than announced: not for the next request
    reply = Reply(int(found[1]), Headers(fields), content, exchange.elapsed)
    pool.give_back(conn)
    return reply


def _sent(sock: Any, head: tuple[bytes, bytes], body: bytes | None, exchange: Exchange) -> Any:
    first = length(body).join(head)
    if body is not None and len(body) <= _JOINED:
        first, body = first + body, None
    try:
        sock.sendall(first)
        if body is not None:
            sock.sendall(body)
    except OSError as error:
        if not isinstance(error, (BrokenPipeError, ConnectionResetError)) and error.errno != errno.EPROTOTYPE:
            raise
        exchange.keep = False  # an answer may have come all the same, as urllib3 knows; EPROTOTYPE is macOS's word for it
    return sock


def _fields(lines: bytes) -> dict[str, str] | None:
    """The headers; None where they leave open where the answer ends, or whether the connection stays."""
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
        ended = fields["transfer-encoding"].lower() == "chunked" and "content-length" not in fields
    else:
        ended = _DIGITS.fullmatch(fields.get("content-length", "")) is not None
    return fields if ended else None


def _plain_size(fields: dict[str, str]) -> int | None:
    """The body's length in bytes; None for one that comes in chunks or compressed."""
    return None if "transfer-encoding" in fields or "content-encoding" in fields else int(fields["content-length"])


def _content(sock: Any, buffer: bytearray, start: int, count: int, size: int) -> bytes:
    have = memoryview(buffer)[start : min(count, start + size)]
    if len(have) == size:
        return bytes(have)
    whole = bytearray(size)
    whole[: len(have)] = have
    rest = memoryview(whole)[len(have) :]
    while rest:
        more = sock.recv_into(rest)
        if not more:
            raise http.client.IncompleteRead(b"", len(rest))
        rest = rest[more:]
    return bytes(whole)


def _handed_over(
    pool: DeadlinePool,
    conn: DeadlineConnection,
    received: bytes | bytearray,
    exchange: Exchange,
    status: int | None = None,
    fields: dict[str, str] | None = None,
) -> Begun:
    """An answer for the libraries to read on; ``status`` and ``fields`` where its head is read, and not in ``received``."""
    answer = FinalResponse(_Replayed(received, conn.sock), method="POST")  # type: ignore[arg-type]
    try:
        if status is None or fields is None:
            answer.begin()
            lines = [(name, _FOLD.sub(" ", value)) for name, value in answer.msg.items()]
            headers: Mapping[str, str] = CaseInsensitiveDict(HTTPHeaderDict(lines))
            framing = HTTPHeaderDict(lines)
        else:
            answer.has_head(status, "transfer-encoding" in fields, fields.get("content-length"))
            headers = Headers(fields)
            framing = HTTPHeaderDict((name, fields[name]) for name in _FRAMING if name in fields)
        exchange.keep = exchange.keep and not answer.will_close
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
    return Begun(response, headers)


class _Replayed(io.RawIOBase):
    """What a connection gives, beginning with what was taken from it before."""

    def __init__(self, received: bytes | bytearray, sock: Any) -> None:
        self._received = memoryview(received)
        self._rest = sock.makefile("rb", buffering=0)

    def makefile(self, mode: str) -> io.BufferedReader:  # noqa: ARG002  (always "rb")
        """What http.client asks of a socket."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """As of any raw stream."""
        if not self._received:
            exchange = active.exchange
            if exchange is not None and exchange.whole:
                return None  # what the socket would say, in a long way
            count: int | None = self._rest.readinto(buffer)
            return count
        taken = self._received[: len(buffer)]
        buffer[: len(taken)] = taken
        self._received = self._received[len(taken) :]
        return len(taken)

    def close(self) -> None:
        """Let go of the socket."""
        self._rest.close()
        super().close()
