"""Sockets with a wall-clock deadline.

A socket timeout bounds one read, so a server that sends a byte now and then never times out. Here every socket operation
first sets the timeout to the time left for its thread's exchange. Name resolution is not bounded: getaddrinfo takes no
timeout and cannot be interrupted.

A stopped process (Ctrl-Z, ``docker pause``) cannot read what arrives. So the time of such a pause is added to the deadline,
and at the deadline whatever has arrived is still read before the exchange counts as timed out.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
import threading
from collections.abc import Callable, MutableSet
from typing import TYPE_CHECKING, Any, TypeVar, final

from urllib3.util.wait import wait_for_read, wait_for_write

from llm_sync.runtime import pauses
from llm_sync.runtime.clock import now as monotonic

if TYPE_CHECKING:
    from llm_sync.runtime.cancellation import CallControl

MAX_TIMEOUT_S = 1e6  # poll() takes at most 2**31 ms
READ_GRACE_S = 0.5  # after the deadline, reads that need no wait go on for this long: what has arrived fits into it
_USED_UP = "the time for this exchange is used up"

T = TypeVar("T")


@final
class Exchange:
    """One HTTP exchange: its deadline, its progress, and the socket that an abort shuts down.

    Entered and used by one thread; other threads reach it only through ``control``. Times are monotonic seconds.
    """

    def __init__(self, timeout: float, control: CallControl | None, sockets: MutableSet[socket.socket]) -> None:
        self.timeout = timeout
        self.started = monotonic()
        self.ends = self.started + min(timeout, MAX_TIMEOUT_S)
        self.phase = "connect"  # then "headers", then "body"
        self.reused = False  # the connection served an earlier exchange
        self.response_started = False  # at least one byte of the response arrived
        self.truncated = False  # the connection ended within the headers: http.client takes that for the end of the headers
        self.round_trip = 0.0  # seconds, measured when the connection was opened
        self.sent_at: float | None = None  # when the whole request was written; None before, and if writing it failed
        self.reusable = True  # the connection may go back into the pool
        self.buffered_only = False  # reads return what is buffered and do not touch the network
        self.record_head: Callable[[bytes], object] | None = None  # called once with the head that http.client writes
        self.aborted = False
        self.sock: socket.socket | None = None  # the one in use
        self._due = self.started  # when the current operation should have ended: if it ends much later, there was a pause
        self._grace_ends: float | None = None
        self._control = control
        self._sockets = sockets
        self._outer: Exchange | None = None

    def __enter__(self) -> Exchange:
        self._outer, active.exchange = active.exchange, self
        return self

    def __exit__(self, *_: object) -> None:
        active.exchange = self._outer
        self.detach_socket()

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return monotonic() - self.started

    @property
    def expired(self) -> bool:
        """Whether the deadline has passed, within the rounding of a poll."""
        if monotonic() - self._due > pauses.MIN_PAUSE_S:
            self._add_pause()
        return monotonic() >= self.ends - 0.001

    def remaining(self) -> float:
        """Seconds left, above 0. Raises TimeoutError when there are none."""
        now = monotonic()
        if now - self._due > pauses.MIN_PAUSE_S:
            self._add_pause()
        self._due = now
        remaining = self.ends - now
        if remaining <= 0:
            raise TimeoutError(_USED_UP)
        return remaining

    def connect_timeout(self, addresses: int) -> float:
        """Seconds that connecting to one of ``addresses`` may take from now: an equal share. Raises TimeoutError."""
        wait = self.remaining() / addresses
        self._due += wait
        return wait

    def write_timeout(self) -> float:
        """Seconds that a write may wait now, a slice of those left; then ask again. Raises TimeoutError at the deadline."""
        wait = pauses.slice_of(self.remaining())
        self._due += wait
        return wait

    def read_timeout(self) -> float:
        """Seconds that a read may wait now, a slice of those left; then ask again.

        0 for READ_GRACE_S after the deadline: only what has arrived may be read. After that it raises TimeoutError.
        """
        now = monotonic()
        if now - self._due > pauses.MIN_PAUSE_S:
            self._add_pause()
        remaining = self.ends - now
        if remaining > 0:
            wait = pauses.slice_of(remaining)
            self._due = now + wait
            return wait
        self._due = now
        if self._grace_ends is None:
            self._grace_ends = now + READ_GRACE_S
        if now > self._grace_ends:
            raise TimeoutError(_USED_UP)
        return 0.0

    def _add_pause(self) -> None:
        """Add the time since the last operation was due to end, in which the process was stopped, to the deadline."""
        self.ends += pauses.check(self._due)
        self._due = monotonic()

    def end_operation(self, *, bounded: bool = True) -> None:
        """Call this after connecting, or, ``bounded`` False, after an operation that has no time limit."""
        if bounded and monotonic() - self._due > pauses.MIN_PAUSE_S:
            self._add_pause()
        self._due = monotonic()

    def attach_socket(self, sock: socket.socket) -> None:
        """From now on an abort shuts ``sock`` down. Raises ConnectionAbortedError if the abort came before."""
        self._sockets.add(sock)
        self.sock = sock
        if self._control is not None:
            self._control.attach(lambda: _shut_down(sock))
            self.raise_if_aborted()

    def raise_if_aborted(self) -> None:
        """Raise ConnectionAbortedError after an abort. Needed because a socket shut down while connecting looks connected."""
        if self._control is not None and self._control.aborted:
            raise ConnectionAbortedError("the request was aborted")

    def record_read(self, count: int) -> None:
        """Note that a read returned ``count`` bytes; 0 means the end of the connection. Raises TimeoutError if it is too late."""
        if monotonic() > self.ends:
            self.read_timeout()
        if self.phase == "headers":
            self.response_started = self.response_started or count > 0
            self.truncated = count == 0

    def detach_socket(self) -> bool:
        """From now on an abort shuts no socket down; True if one came before. Waits for an abort in progress to finish."""
        if self._control is not None and self._control.detach():
            self.aborted = True
        return self.aborted


class _Active(threading.local):
    exchange: Exchange | None = None


active = _Active()  # the exchange that the current thread is in


def _shut_down(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # not connected yet, or already closed by the peer
        # Not sock.shutdown: SSLSocket's drops the TLS state, and the thread using it would then read or write plain text.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


class _DeadlineBase(socket.socket):
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
                raise TimeoutError(_USED_UP) from None
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
        nonblocking = self.gettimeout() == 0.0 and not isinstance(self, ssl.SSLSocket)
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


class DeadlineSocket(_DeadlineBase):
    """A plain TCP socket that keeps to the deadline.

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
        while True:
            with contextlib.suppress(BlockingIOError):
                count = socket.socket.recv_into(self, *args, **kwargs)
                exchange.record_read(count)
                return count
            timeout = exchange.read_timeout()
            if not timeout:
                raise TimeoutError(_USED_UP)
            wait_for_read(self, timeout)


class DeadlineTLSSocket(_DeadlineBase, ssl.SSLSocket):
    """A TLS socket that keeps to the deadline, handshake included."""

    def do_handshake(self, *args: Any, **kwargs: Any) -> None:
        """Like SSLSocket.do_handshake; from here on an abort shuts this socket down."""
        if active.exchange is not None:
            active.exchange.attach_socket(self)
        self._read(super().do_handshake, *args, **kwargs)
