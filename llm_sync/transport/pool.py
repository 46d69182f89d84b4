"""urllib3's connections and pools, made of sockets that keep to the deadline of their thread's exchange."""

from __future__ import annotations

import contextlib
import http
import http.client
import logging
import queue
import socket
import ssl
import sys
from collections import deque
from time import monotonic
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.connection import allowed_gai_family

from llm_sync.transport.sockets import DeadlineSocket, Exchange, active

IDLE_LIMIT = 25.0  # seconds; many a load balancer closes after 30 or 60, and a request may cross that close

# TCP keepalive finds a dead peer and keeps NAT entries alive while a model thinks for minutes. macOS lacks TCP_KEEPIDLE.
_KEEPALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPALIVE", 60), ("TCP_KEEPINTVL", 30), ("TCP_KEEPCNT", 4))
SOCKET_OPTIONS: list[tuple[int, int, int]] = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *((socket.IPPROTO_TCP, getattr(socket, name), value) for name, value in _KEEPALIVE if hasattr(socket, name)),
]


class _WithoutQuery(logging.Filter):
    """Takes the query out of the URLs urllib3 logs for our exchanges: it may hold a key."""

    def filter(self, record: logging.LogRecord) -> bool:
        if active.exchange is not None and isinstance(record.args, tuple):
            record.args = tuple(arg.partition("?")[0] if isinstance(arg, str) else arg for arg in record.args)
        return True


for _name in ("urllib3.connectionpool", "urllib3.connection"):
    logging.getLogger(_name).addFilter(_WithoutQuery())


class FinalResponse(http.client.HTTPResponse):
    """http.client reads on after a 100 only; a 102 or 103 would be taken for the answer, and the answer be lost."""

    _exchange: Exchange | None = None  # from its head to its end

    def _read_status(self) -> Any:
        status = super()._read_status()  # type: ignore[misc]
        while 100 < status[1] < 200 and status[1] != http.HTTPStatus.SWITCHING_PROTOCOLS:
            http.client.parse_headers(self.fp)
            status = super()._read_status()  # type: ignore[misc]
        return status

    def begin(self) -> None:
        """As http.client does it, which leaves the blanks behind a value and takes ``chunked `` for no chunks."""
        self._exchange = active.exchange
        super().begin()
        blank = [name for name, value in self.headers.items() if value != value.strip()] if self.headers else []
        for name in dict.fromkeys(blank):
            values = self.headers.get_all(name, [])
            del self.headers[name]
            for value in values:
                self.headers[name] = value.strip()
        if blank and self.headers.get("Transfer-Encoding", "").lower() == "chunked" and not self.chunked:
            self.chunked, self.chunk_left, self.length = True, None, None
            self.will_close = self._check_close()  # type: ignore[attr-defined]

    def _close_conn(self) -> None:
        """As http.client does it at the answer's end, throwing away what it read beyond: the connection goes with that."""
        exchange, self._exchange = self._exchange, None
        # Not in another's exchange: garbage collection closes on whatever thread it happens to run.
        if exchange is not None and exchange is active.exchange and self.fp is not None:
            exchange.whole = True
            try:
                exchange.keep = exchange.keep and not self.fp.peek(1)
            except (OSError, ValueError):  # its time is up, or it is closed already
                exchange.keep = False
            finally:
                exchange.whole = False
        super()._close_conn()  # type: ignore[misc]

    def has_head(self, status: int, chunked: bool, length: str | None) -> None:
        """What ``begin`` finds out, where the head was read by other means; the connection stays."""
        self._exchange = active.exchange
        self.code = self.status = status
        self.version, self.reason = 11, ""
        self.chunked, self.chunk_left = chunked, None
        self.length = None if length is None else int(length)
        self.will_close = False


class DeadlineConnection(HTTPConnection):
    """One connection, whoever sends over it."""

    response_class = FinalResponse
    idle_since: float | None = None  # when its last exchange ended; None before the first

    def connect(self) -> None:
        """As urllib3 does it, telling the exchange."""
        exchange = active.exchange
        if exchange is not None:
            exchange.phase = "connect"
        self.idle_since = None
        super().connect()
        if exchange is not None:
            exchange.phase = "headers"

    def request(self, *args: Any, **kwargs: Any) -> None:
        """As urllib3 does it."""
        if active.exchange is not None and self.sock is not None:
            self.reuse(active.exchange)
        super().request(*args, **kwargs)

    def send(self, data: Any) -> None:
        """As http.client does it, which sends the head first."""
        if active.exchange is not None and active.exchange.head is None and isinstance(data, bytes):
            active.exchange.head = data
        super().send(data)

    def reuse(self, exchange: Exchange) -> Any:
        """The socket of a connection that is up, in use for ``exchange`` from now on."""
        exchange.reused = self.idle_since is not None
        exchange.phase = "headers"
        exchange.use(getattr(self.sock, "socket", self.sock))  # urllib3's TLS inside TLS wraps the outer socket
        return self.sock

    def _new_conn(self) -> socket.socket:
        exchange = active.exchange
        host = self._dns_host.strip("[]")
        try:
            addresses = socket.getaddrinfo(host, self.port, allowed_gai_family(), socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        failure: OSError = OSError("the host name has no address")
        for position, (family, kind, protocol, _, address) in enumerate(addresses):
            sock = DeadlineSocket(family, kind, protocol)
            try:
                for option in SOCKET_OPTIONS:
                    sock.setsockopt(*option)
                if exchange is not None:
                    exchange.use(sock)
                    # A share for each, or one address that swallows packets would leave nothing for the others.
                    sock.settimeout(exchange.left() / (len(addresses) - position))
                sock.connect(address)
                if exchange is not None:
                    exchange.check()
            except OSError as error:
                failure = error
                sock.close()
            else:
                sys.audit("http.client.connect", self, self.host, self.port)
                return sock
        kind_of_failure = ConnectTimeoutError if isinstance(failure, TimeoutError) else NewConnectionError
        raise kind_of_failure(self, "no connection") from failure


class _DeadlineHTTPSConnection(DeadlineConnection, HTTPSConnection):
    pass


class ConnectionStack:
    """The idle connections of one pool, last in first out, in place of a LifoQueue: no lock a fork could find held."""

    def __init__(self, maxsize: int) -> None:
        self.maxsize = maxsize
        self._stack: deque[Any] = deque()  # append and pop are atomic

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:  # noqa: ARG002
        """Raises queue.Full; never waits. Threads that meet here may exceed ``maxsize`` by their number."""
        if len(self._stack) >= self.maxsize:
            raise queue.Full
        self._stack.append(item)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: ARG002
        """Raises queue.Empty; never waits."""
        try:
            return self._stack.pop()
        except IndexError:
            raise queue.Empty from None

    def qsize(self) -> int:
        """How many there are."""
        return len(self._stack)


class DeadlinePool(HTTPConnectionPool):
    """The idle connections to one host."""

    QueueCls = ConnectionStack  # type: ignore[assignment]
    ConnectionCls = DeadlineConnection
    retired = False

    def retire(self) -> None:
        """Close the idle connections, and those in use as they are given back."""
        self.retired = True
        with contextlib.suppress(queue.Empty, AttributeError):  # AttributeError: it is closed, and has no stack
            while True:
                conn: Any = self.pool.get()  # type: ignore[union-attr]
                if conn is not None:
                    conn.close()

    def _get_conn(self, timeout: float | None = None) -> Any:
        conn: Any = super()._get_conn(timeout)
        if conn.sock is not None and conn.idle_since is not None:
            exchange = active.exchange
            idle_too_long = monotonic() - conn.idle_since > IDLE_LIMIT
            # Bytes nobody asked for, already decrypted and thus unseen by poll, would pass for the next answer.
            leftover = isinstance(conn.sock, ssl.SSLSocket) and conn.sock.pending()
            if idle_too_long or leftover or (exchange is not None and exchange.fresh):
                conn.close()
        return conn

    def take_kept(self) -> DeadlineConnection | None:
        """An idle connection that is still up, for ``give_back`` to take; None where there is none."""
        pool = self.pool
        if pool is None:
            return None  # closed
        conn: DeadlineConnection = self._get_conn()
        if conn.sock is not None:
            return conn
        with contextlib.suppress(queue.Full):  # another thread's took its place
            pool.put(conn)
        return None

    def give_back(self, conn: DeadlineConnection | None) -> None:
        """The connection is idle again, unless its exchange says otherwise; None in the place of one that is closed."""
        self._put_conn(conn)

    def _put_conn(self, conn: Any) -> None:
        exchange = active.exchange
        if conn is not None:
            # Before another thread can take it: an abort of this request must not reach the next one's.
            if self.retired or (exchange is not None and (exchange.let_go() or not exchange.keep)):
                conn.close()
            conn.idle_since = monotonic()
        super()._put_conn(conn)


class _DeadlineHTTPSPool(DeadlinePool, HTTPSConnectionPool):
    ConnectionCls = _DeadlineHTTPSConnection


POOL_CLASSES = {"http": DeadlinePool, "https": _DeadlineHTTPSPool}
