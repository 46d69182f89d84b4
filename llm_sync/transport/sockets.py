"""Sockets with a wall-clock deadline.

A socket timeout bounds one read, so a server that sends a byte now and then never times out. Here every socket operation
first sets the timeout to the time left for its thread's exchange (exchange.py). Name resolution is not bounded: getaddrinfo
takes no timeout and cannot be interrupted.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from urllib3.util.wait import wait_for_read, wait_for_write

from llm_sync.runtime.fork_barrier import fork_barrier
from llm_sync.transport.exchange import USED_UP, Exchange, active

T = TypeVar("T")

if TYPE_CHECKING:
    _Socket = socket.socket
    _TLSSocket = ssl.SSLSocket
else:
    _Socket = _TLSSocket = object


class _Deadlines(_Socket):
    """Every operation waits in short steps, within the time left for the calling thread's exchange."""

    def _read(self, read: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """``read``, waiting in short steps until the deadline; what has arrived by then is still read."""
        exchange = active.exchange
        if exchange is None:
            return read(*args, **kwargs)
        if exchange.buffered_only:
            raise BlockingIOError(errno.EAGAIN, "this exchange reads nothing more from the network")
        while True:
            timeout = exchange.read_timeout()
            self.settimeout(timeout)
            try:
                return read(*args, **kwargs)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):  # the timeout is 0, and nothing is there
                raise TimeoutError(USED_UP) from None
            except TimeoutError as error:
                if error.errno is not None:  # not the socket's timeout: the peer is dead (ETIMEDOUT)
                    raise

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        count = self._read(super().recv_into, *args, **kwargs)
        if active.exchange is not None:
            active.exchange.record_read(count)
        return count

    def recv(self, *args: Any, **kwargs: Any) -> bytes:  # used by TLS inside TLS
        data = self._read(super().recv, *args, **kwargs)
        if active.exchange is not None:
            active.exchange.record_read(len(data))
        return data

    def sendall(self, data: Any, *args: Any) -> None:
        """Like socket.sendall, within the time left; non-blocking, it writes before it waits."""
        exchange = active.exchange
        if exchange is None:
            super().sendall(data, *args)
            return
        nonblocking = self.gettimeout() == 0.0 and isinstance(self, PlainDeadlines)
        rest = memoryview(data)
        while rest:
            if not nonblocking:
                self.settimeout(exchange.write_timeout())
            try:
                rest = rest[super().send(rest, *args) :]
            except BlockingIOError:
                wait_for_write(self, exchange.write_timeout())
            except TimeoutError as error:  # with TLS, the same bytes must be written again, and are
                if error.errno is not None:
                    raise

    def _real_close(self, *args: Any, **kwargs: Any) -> None:
        # First wait for an abort in progress: it must not shut down another socket that gets this descriptor's number next.
        # Only if the socket is this exchange's own: the garbage collector closes old sockets on whatever thread it runs.
        if active.exchange is not None and active.exchange.sock is self:
            active.exchange.detach_socket()
        super()._real_close(*args, **kwargs)  # type: ignore[misc]


class PlainDeadlines(_Deadlines):
    """For plain TCP sockets that keep to the deadline.

    Non-blocking, it reads and writes before it waits. A socket with a timeout polls first, even when data is there, and
    setting the timeout is a system call too: four more system calls per exchange, and Python may switch threads at each.
    Measured: without it a call costs 9 % more CPU with 8 or 64 calling threads, 3 % with one.
    """

    def make_nonblocking(self) -> None:
        """From now on, until a timeout is set, try each operation before waiting."""
        if self.gettimeout() != 0.0:
            self.settimeout(0.0)

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        """Like socket.recv_into, within the time left."""
        exchange = active.exchange
        if exchange is None or exchange.buffered_only or self.gettimeout() != 0.0:
            return super().recv_into(*args, **kwargs)
        receive = super(_Deadlines, self).recv_into
        while True:
            try:
                count = receive(*args, **kwargs)
            except BlockingIOError:
                count = None  # nothing has arrived
            if count is not None:
                exchange.record_read(count)
                return count
            timeout = exchange.read_timeout()
            if not timeout:
                raise TimeoutError(USED_UP)
            wait_for_read(self, timeout)


class TLSDeadlines(_Deadlines, _TLSSocket):
    """For TLS sockets that keep to the deadline, handshake included."""

    tls_class: Any  # the ssl.SSLSocket that it is made of

    def do_handshake(self, *args: Any, **kwargs: Any) -> None:
        """Like SSLSocket.do_handshake; from here on an abort shuts this socket down."""
        if active.exchange is not None:
            active.exchange.attach_socket(self)
            if self.tls_class is _TLS_SOCKET:
                self._do_handshake_in_steps(active.exchange)
                return
        self._read(super().do_handshake, *args, **kwargs)

    def _do_handshake_in_steps(self, exchange: Exchange) -> None:
        """Compute behind the barrier that keeps forks off (see tls.py), and wait for the peer outside."""
        self.settimeout(0.0)
        while True:
            try:
                with fork_barrier:
                    super().do_handshake()
            except ssl.SSLWantReadError:
                wait = wait_for_read
            except ssl.SSLWantWriteError:
                wait = wait_for_write
            else:
                return
            timeout = exchange.read_timeout()
            if not timeout:
                raise TimeoutError(USED_UP)
            wait(self, timeout)


class DeadlineSocket(PlainDeadlines, socket.socket):
    """Made of the socket class that the program had when this module was imported."""

    receive = socket.socket.recv_into  # does not wait, if the socket is non-blocking


class DeadlineTLSSocket(TLSDeadlines, ssl.SSLSocket):
    """Likewise, of the TLS socket class."""

    tls_class = ssl.SSLSocket
    receive = ssl.SSLSocket.recv_into


_SOCKET, _TLS_SOCKET = socket.socket, ssl.SSLSocket
_classes: dict[Any, Any] = {_SOCKET: DeadlineSocket, _TLS_SOCKET: DeadlineTLSSocket}


def socket_class() -> Any:
    """The class for new sockets, made of what ``socket.socket`` is now: gevent, eventlet, PySocks and pytest-socket replace it.

    A test tool's imitation (httpretty's) is used as it is, without deadlines.
    """
    current = socket.socket
    made = _classes.get(current)
    if made is None:
        made = type("DeadlineSocket", (PlainDeadlines, current), {}) if _is_real(current, _SOCKET) else current
        _classes[current] = made
    return made


def made_of() -> tuple[Any, Any]:
    """What connections are made of now: the class of their sockets, and how that connects.

    Where one of them is not what an idle connection was made of, the program was patched or unpatched since: gevent's
    greenlets must not block each other, and a test's ban on sockets must hold.
    """
    return _classes.get(socket.socket) or socket_class(), socket.socket.connect


def tls_socket_class() -> Any:
    """Likewise for TLS sockets."""
    current = ssl.SSLSocket
    made = _classes.get(current)
    if made is None:
        real = _is_real(current, _TLS_SOCKET)
        made = type("DeadlineTLSSocket", (TLSDeadlines, current), {"tls_class": current}) if real else DeadlineTLSSocket
        _classes[current] = made
    return made


def _is_real(current: Any, original: type) -> bool:
    """Whether ``current`` sends and receives over the network."""
    if not isinstance(current, type):
        return False
    return issubclass(current, original) or current.__module__.startswith(("gevent.", "eventlet."))
