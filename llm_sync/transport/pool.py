"""urllib3's connections and connection pools, built on deadline sockets (sockets.py)."""

from __future__ import annotations

import contextlib
import http
import http.client
import logging
import queue
import socket
import sys
from typing import TYPE_CHECKING, Any

import urllib3.connection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.connection import allowed_gai_family

from llm_sync.runtime.clock import now as monotonic
from llm_sync.runtime.guarded_logging import guard
from llm_sync.transport.connection_stack import ConnectionStack
from llm_sync.transport.exchange import Exchange, active
from llm_sync.transport.patch_detection import original_class
from llm_sync.transport.sockets import TLSDeadlines, made_of

if TYPE_CHECKING:
    from urllib3.connection import HTTPConnection as _HTTPConnection
    from urllib3.connection import HTTPSConnection as _HTTPSConnection
else:  # tools like vcrpy put classes of their own in the place of these
    _HTTPConnection = original_class(urllib3.connection.HTTPConnection, "urllib3.connection")
    _HTTPSConnection = original_class(urllib3.connection.HTTPSConnection, "urllib3.connection")

MAX_ROUND_TRIP_S = 1.0  # a longer one was measured while the process was stopped, or was a retransmission
IDLE_LIMIT_S = 25.0  # many load balancers close after 30 or 60 s, and a request may collide with that close

# TCP keepalive detects a dead peer and keeps NAT entries alive while a model computes for minutes. macOS lacks TCP_KEEPIDLE.
_KEEPALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPALIVE", 60), ("TCP_KEEPINTVL", 30), ("TCP_KEEPCNT", 4))
SOCKET_OPTIONS: list[tuple[int, int, int]] = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *((socket.IPPROTO_TCP, getattr(socket, name), value) for name, value in _KEEPALIVE if hasattr(socket, name)),
]


class _StripQuery(logging.Filter):
    """Removes the query from URLs that urllib3 logs for our exchanges: it may contain a key."""

    def filter(self, record: logging.LogRecord) -> bool:
        if active.exchange is not None and isinstance(record.args, tuple):
            record.args = tuple(arg.partition("?")[0] if isinstance(arg, str) else arg for arg in record.args)
        return True


for _name in ("urllib3.connectionpool", "urllib3.connection"):
    guard(logging.getLogger(_name), applies=lambda: active.exchange is not None).addFilter(_StripQuery())


class FinalResponse(http.client.HTTPResponse):
    """Skips all interim responses: http.client skips 100 only, and would take a 102 or 103 for the final response."""

    _exchange: Exchange | None = None  # while the response is being read

    def _read_status(self) -> Any:
        status = super()._read_status()  # type: ignore[misc]
        while 100 < status[1] < 200 and status[1] != http.HTTPStatus.SWITCHING_PROTOCOLS:
            http.client.parse_headers(self.fp)
            status = super()._read_status()  # type: ignore[misc]
        return status

    def begin(self) -> None:
        """Like HTTPResponse.begin, which keeps trailing blanks of values and does not recognize ``chunked `` as chunked."""
        self._exchange = active.exchange
        super().begin()
        unstripped = [name for name, value in self.headers.items() if value != value.strip()] if self.headers else []
        for name in dict.fromkeys(unstripped):
            values = self.headers.get_all(name, [])
            del self.headers[name]
            for value in values:
                self.headers[name] = value.strip()
        if unstripped and self.headers.get("Transfer-Encoding", "").lower() == "chunked" and not self.chunked:
            self.chunked, self.chunk_left, self.length = True, None, None
            self.will_close = self._check_close()  # type: ignore[attr-defined]

    def _close_conn(self) -> None:
        """Called at the end of the response. http.client drops surplus bytes it has read: then do not reuse the connection."""
        exchange, self._exchange = self._exchange, None
        # Only in its own exchange: the garbage collector closes responses on whatever thread it runs.
        if exchange is not None and exchange is active.exchange and self.fp is not None:
            exchange.buffered_only = True
            try:
                exchange.reusable = exchange.reusable and not self.fp.peek(1)
            except (OSError, ValueError):  # the time is up, or it is closed already
                exchange.reusable = False
            finally:
                exchange.buffered_only = False
        super()._close_conn()  # type: ignore[misc]


class DeadlineConnection(_HTTPConnection):
    """One connection, used by one exchange after the other, on either path."""

    response_class = FinalResponse
    made_of: Any = None  # see made_of()
    idle_since: float | None = None  # monotonic time at which its last exchange ended; None before the first
    round_trip = 0.0  # seconds that opening the TCP connection took
    read_buffer: memoryview | None = None  # of the fast path; clearing a new one for each response costs more than reading one

    def connect(self) -> None:
        """Like HTTPConnection.connect; records the phase."""
        exchange = active.exchange
        if exchange is not None:
            exchange.phase = "connect"
        self.idle_since = None
        super().connect()
        if exchange is not None:
            exchange.phase = "headers"

    def putrequest(self, *args: Any, **kwargs: Any) -> None:
        """Like HTTPConnection.putrequest, with which each request begins."""
        if active.exchange is not None and self.sock is not None:
            self.begin_exchange(active.exchange)
        super().putrequest(*args, **kwargs)

    def send(self, data: Any) -> None:
        """Like HTTPConnection.send; reports the head, which http.client sends first, and when the request was written."""
        exchange = active.exchange
        if exchange is None:
            super().send(data)
            return
        exchange.sent_at = None
        super().send(data)
        if exchange.record_head is not None:
            record, exchange.record_head = exchange.record_head, None
            record(data)
        if exchange.phase != "connect":  # not for CONNECT to a proxy
            exchange.sent_at = monotonic()

    def begin_exchange(self, exchange: Exchange) -> Any:
        """Use this open connection for ``exchange`` from now on; returns its socket."""
        exchange.reused = self.idle_since is not None
        exchange.round_trip = self.round_trip
        exchange.phase = "headers"
        sock = getattr(self.sock, "socket", self.sock)  # urllib3's TLS inside TLS wraps the outer socket
        exchange.attach_socket(sock, is_known=exchange.reused)
        return self.sock

    def _new_conn(self) -> socket.socket:
        exchange = active.exchange
        host = self._dns_host.strip("[]")
        try:
            addresses = socket.getaddrinfo(host, self.port, allowed_gai_family(), socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        finally:
            if exchange is not None:
                exchange.end_operation(bounded=False)
        failure: OSError = OSError("the host name has no address")
        self.made_of = made_of()
        make_socket = self.made_of[0]
        for position, (family, kind, protocol, _, address) in enumerate(addresses):
            sock: socket.socket = make_socket(family, kind, protocol)
            try:
                for option in SOCKET_OPTIONS:
                    sock.setsockopt(*option)
                if exchange is not None:
                    exchange.attach_socket(sock)
                    # A share each: one address that drops packets must not use up the time of the others.
                    sock.settimeout(exchange.connect_timeout(len(addresses) - position))
                started = monotonic()
                sock.connect(address)
                self.round_trip = min(monotonic() - started, MAX_ROUND_TRIP_S)
                if exchange is not None:
                    exchange.end_operation()
                    exchange.raise_if_aborted()
            except OSError as error:
                failure = error
                sock.close()
            else:
                sys.audit("http.client.connect", self, self.host, self.port)
                return sock
        error_class = ConnectTimeoutError if isinstance(failure, TimeoutError) else NewConnectionError
        raise error_class(self, "no connection") from failure


class _DeadlineHTTPSConnection(DeadlineConnection, _HTTPSConnection):
    pass


class DeadlinePool(HTTPConnectionPool):
    """The connections to one host; idle ones are kept for reuse."""

    QueueCls = ConnectionStack  # type: ignore[assignment]
    retired = False
    _base: Any = HTTPConnectionPool
    _original: Any = _HTTPConnection
    _connection: Any = DeadlineConnection

    @property
    def ConnectionCls(self) -> Any:  # type: ignore[override]  # noqa: N802  (urllib3's name)
        """The class for new connections: ours, unless a tool has replaced urllib3's."""
        current = self._base.ConnectionCls
        return self._connection if current is self._original else current

    def retire(self) -> None:
        """Close the idle connections now, and those in use when they are released."""
        self.retired = True
        for conn in self._take_all_idle():
            conn.close()

    def close_idle(self) -> None:
        """Close the idle connections: the next request opens a new one."""
        for conn in self._take_all_idle():
            conn.close()
            self.release(None)  # keeps room in the pool for a new one

    def _take_all_idle(self) -> list[Any]:
        connections: list[Any] = []
        with contextlib.suppress(queue.Empty, AttributeError):  # AttributeError: already closed
            while True:
                connections.append(self.pool.get())  # type: ignore[union-attr]
        return [conn for conn in connections if conn is not None]

    def _get_conn(self, timeout: float | None = None) -> Any:
        conn: Any = super()._get_conn(timeout)
        if type(conn) is not self.ConnectionCls:  # a tool has begun or ended to replace it
            conn.close()
            return self._new_conn()
        if not isinstance(conn, DeadlineConnection):
            return conn
        if conn.sock is not None and conn.idle_since is not None:
            is_idle_too_long = monotonic() - conn.idle_since > IDLE_LIMIT_S
            # Surplus bytes, already decrypted and so invisible to poll, would be taken for the next response.
            leftover = isinstance(conn.sock, TLSDeadlines) and conn.sock.pending()
            # Patched or unpatched since: gevent's greenlets must not block each other, a test's ban on sockets must hold.
            if is_idle_too_long or leftover or conn.made_of != made_of():
                conn.close()
        return conn

    def take_idle(self) -> DeadlineConnection | None:
        """An idle connection that is still open, or None; give it back by ``release``."""
        pool = self.pool
        if pool is None:
            return None  # closed
        conn: Any = self._get_conn()
        if isinstance(conn, DeadlineConnection) and conn.sock is not None:
            return conn
        with contextlib.suppress(queue.Full):  # another thread has filled the pool meanwhile
            pool.put(conn)
        return None

    def open(self) -> Any:
        """A connection that is open, if need be a new one; give it back by ``release``. Raises what connecting raises.

        One of a tool's own class is not opened here.
        """
        conn: Any = self._get_conn()
        if not isinstance(conn, DeadlineConnection):
            return conn
        try:
            self._validate_conn(conn)  # connects with TLS
            if conn.sock is None:
                conn.connect()
        except BaseException:
            conn.close()
            self.release(None)
            raise
        return conn

    def release(self, conn: DeadlineConnection | None) -> None:
        """Make the connection idle again, or close it if its exchange forbids reuse; None stands for a closed one."""
        self._put_conn(conn)

    def _put_conn(self, conn: Any) -> None:
        exchange = active.exchange
        if isinstance(conn, DeadlineConnection):
            # Before another thread can take it: an abort of this request must not reach the next one.
            if self.retired or (exchange is not None and (exchange.detach_socket() or not exchange.reusable)):
                conn.close()
            conn.idle_since = monotonic()
        super()._put_conn(conn)


class _DeadlineHTTPSPool(DeadlinePool, HTTPSConnectionPool):  # type: ignore[override]
    _base = HTTPSConnectionPool
    _original = _HTTPSConnection
    _connection = _DeadlineHTTPSConnection


POOL_CLASSES = {"http": DeadlinePool, "https": _DeadlineHTTPSPool}
