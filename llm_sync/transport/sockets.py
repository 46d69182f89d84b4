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
    """For TLS sockets that keep to the deadline, handshake included.

    Until the first bytes of data, the handshake's end and session tickets among it, OpenSSL takes locks that no fork may catch
    (see tls.py): it computes behind the barrier that keeps forks off, and the wait for the peer is outside.
    """

    tls_class: Any  # the ssl.SSLSocket that it is made of
    _is_new = False  # the handshake is done, and no data has been read

    def do_handshake(self, *args: Any, **kwargs: Any) -> None:
        """Like SSLSocket.do_handshake; from here on an abort shuts this socket down."""
        exchange = active.exchange
        if exchange is not None:
            exchange.attach_socket(self)
        if exchange is None or self.tls_class.__module__ != "ssl":  # with greenlets, others run meanwhile
            self._read(super().do_handshake, *args, **kwargs)
            return
        self._in_steps(exchange, super().do_handshake)
        self._is_new = True

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        """Like SSLSocket.recv_into, within the time left."""
        exchange, receive = active.exchange, super(_Deadlines, self).recv_into
        if self._is_new and exchange is not None and not exchange.buffered_only:
            count = self._in_steps(exchange, receive, *args, **kwargs)
            self._is_new = False
        else:
            count = self._read(receive, *args, **kwargs)
        if exchange is not None:
            exchange.record_read(count)
        return count

    def _in_steps(self, exchange: Exchange, operation: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """``operation``, non-blocking, as often as it takes until it need not wait for the peer."""
        self.settimeout(0.0)
        while True:
            try:
                with fork_barrier:
                    return operation(*args, **kwargs)
            except ssl.SSLWantReadError:
                wait = wait_for_read
            except ssl.SSLWantWriteError:
                wait = wait_for_write
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

    def receive(self, *args: Any) -> int:
        """Like SSLSocket.recv_into, which does not wait, if the socket is non-blocking."""
        if not self._is_new:
            return self.tls_class.recv_into(self, *args)
        with fork_barrier:
            count: int = self.tls_class.recv_into(self, *args)
        self._is_new = False
        return count


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
