"""Fast path: a simple response over a keep-alive connection.

Without it a call costs 2.1 times as much CPU (measured): for each request requests, urllib3 and http.client copy, check and
write the same headers, and parse the response headers with the mail parser. Here the head that they wrote for the first
request (header_cache.py) is sent again, in one piece with the body, and framing.py reads the response. It accepts only what is
surely simple; any other response (redirects, 1xx, folded or contradictory headers …) is handed to http.client and urllib3 with
all bytes received so far. New connections, proxies and patched libraries (patch_detection.py) never come here.
"""

from __future__ import annotations

import errno
import io
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPHeaderDict, HTTPResponse

from llm_sync.models import Reply
from llm_sync.runtime.clock import now as monotonic
from llm_sync.transport.exchange import Exchange, active
from llm_sync.transport.framing import Headers, OddResponse, ResponseReader, TooLargeError
from llm_sync.transport.header_cache import content_length_line
from llm_sync.transport.pool import DeadlineConnection, DeadlinePool, FinalResponse
from llm_sync.transport.sockets import PlainDeadlines

_FIRST_READ_BYTES = 16 * 1024  # a head, and most responses whole
_READ_BYTES = 64 * 1024  # later
MAX_JOINED_BODY_BYTES = 64 * 1024  # up to this size body and head go out in one write: copying costs less than a second one


_FOLD = re.compile(r"[ \t]*\r?\n[ \t]+")


class UnreadResponse(NamedTuple):
    """A response of which the body is still to be read: urllib3's, and its headers."""

    response: Any
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
        if isinstance(sock, PlainDeadlines):
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
        result = _receive(pool, conn, sock, exchange, cap)
    except BaseException:
        conn.close()
        pool.release(None)  # keeps room in the pool for a new one
        raise
    return finish(result, pool, conn, exchange) if isinstance(result, ResponseReader) else result


def _receive(
    pool: DeadlinePool, conn: DeadlineConnection, sock: Any, exchange: Exchange, cap: int
) -> ResponseReader | UnreadResponse:
    reader = ResponseReader(cap)
    buffer = conn.read_buffer
    if buffer is None:
        buffer = conn.read_buffer = memoryview(bytearray(_FIRST_READ_BYTES))
    while True:
        count = sock.recv_into(buffer)
        try:
            if not count:
                raise reader.end()
            if reader.feed(buffer[:count]):
                return reader
        except OddResponse as odd:
            return hand_over(pool, conn, odd.received, exchange)
        if reader.fields is not None:
            exchange.phase = "body"
            if len(buffer) == _FIRST_READ_BYTES:
                buffer = memoryview(bytearray(_READ_BYTES))


def finish(reader: ResponseReader, pool: DeadlinePool, conn: DeadlineConnection, exchange: Exchange) -> Reply:
    """The reply that was read in full; its connection becomes idle. Raises what ``reader.decoded`` raises."""
    exchange.phase = "body"
    exchange.reusable = exchange.reusable and not reader.surplus  # surplus bytes would corrupt the next response
    try:
        return Reply(reader.status, Headers(reader.fields or {}), reader.decoded(), exchange.elapsed)
    except TooLargeError:
        exchange.reusable = False  # as when it is read from the connection piece by piece
        raise
    finally:
        pool.release(conn)


def hand_over(pool: DeadlinePool, conn: DeadlineConnection, received: bytes | bytearray, exchange: Exchange) -> UnreadResponse:
    """A response for http.client and urllib3 to read on from ``received``, which begins with its head."""
    answer = FinalResponse(_ReplayStream(received, conn.sock), method="POST")  # type: ignore[arg-type]
    try:
        answer.begin()
        lines = [(name, _FOLD.sub(" ", value)) for name, value in answer.msg.items()]
        headers = HTTPHeaderDict(lines)
        exchange.reusable = exchange.reusable and not answer.will_close
        response = HTTPResponse(
            body=answer,
            headers=headers,
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
    return UnreadResponse(response, CaseInsensitiveDict(headers))


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
