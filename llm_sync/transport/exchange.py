"""One HTTP exchange: its wall-clock deadline and its progress, kept by the thread that makes it.

A stopped process (Ctrl-Z, ``docker pause``) cannot read what arrives. So the time of such a pause is added to the deadline,
and at the deadline whatever has arrived is still read before the exchange counts as timed out.
"""

from __future__ import annotations

import contextlib
import operator
import socket
import threading
from collections.abc import Callable, Iterator, MutableSet
from typing import TYPE_CHECKING, Any, final

from llm_sync.runtime import pauses
from llm_sync.runtime.clock import now as monotonic

if TYPE_CHECKING:
    from llm_sync.runtime.cancellation import CallControl

MAX_TIMEOUT_S = 1e6  # poll() takes at most 2**31 ms
READ_GRACE_S = 0.5  # after the deadline, reads that need no wait go on for this long: what has arrived fits into it
USED_UP = "the time for this exchange is used up"


@final
class Exchange:
    """One HTTP exchange: its deadline, its progress, and the socket that an abort shuts down.

    Entered and used by one thread; other threads reach it only through ``control``. Times are monotonic seconds.
    """

    phase = "connect"  # then "headers", then "body"
    reused = False  # the connection served an earlier exchange
    response_started = False  # at least one byte of the response arrived
    truncated = False  # the connection ended within the headers: http.client takes that for the end of the headers
    round_trip = 0.0  # seconds, measured when the connection was opened
    sent_at: float | None = None  # when the whole request was written; None before, and if writing it failed
    reusable = True  # the connection may go back into the pool
    buffered_only = False  # reads return what is buffered and do not touch the network
    record_head: Callable[[bytes], object] | None = None  # called once with the head that http.client writes
    aborted = False
    sock: socket.socket | None = None  # the one in use
    _grace_ends: float | None = None
    _attached = False  # an abort may shut ``sock`` down
    _outer: Exchange | None = None

    def __init__(self, timeout: float, control: CallControl | None, sockets: MutableSet[socket.socket]) -> None:
        self.timeout = timeout
        self.started = monotonic()
        self.ends = self.started + min(timeout, MAX_TIMEOUT_S)
        self._due = self.started  # when the current operation should have ended: if it ends much later, there was a pause
        self._control = control
        self._sockets = sockets

    def __enter__(self) -> Exchange:
        self._outer = active.replace(self)
        return self

    def __exit__(self, *_: object) -> None:
        active.replace(self._outer)
        if self._attached:
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
            raise TimeoutError(USED_UP)
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
            raise TimeoutError(USED_UP)
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

    def attach_socket(self, sock: socket.socket, *, is_known: bool = False) -> None:
        """From now on an abort shuts ``sock`` down; ``is_known``: an earlier exchange has used it. Raises
        ConnectionAbortedError if the abort came before."""
        if not is_known:
            self._sockets.add(sock)
        self.sock = sock
        if self._control is not None:
            self._attached = True
            self._control.attach(lambda: shut_down(sock))
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
        self._attached = False
        return self.aborted


class _Active:
    """``exchange`` is the one that the current thread (or greenlet) is in."""

    def __init__(self) -> None:
        self.follow_monkey_patch()

    def follow_monkey_patch(self) -> None:
        """From now on keep the exchange by what ``threading`` now takes for a thread."""
        self._base = threading.local
        self._local = type("_Local", (threading.local,), {"exchange": None})()

    exchange: Any = property(operator.attrgetter("_local.exchange"))  # in C, because each socket operation reads it

    def replace(self, exchange: Exchange | None) -> Exchange | None:
        """Set the exchange of this thread; return the former one."""
        if self._base is not threading.local:  # patched since, by gevent or eventlet
            self.follow_monkey_patch()
        former: Exchange | None = self._local.exchange
        self._local.exchange = exchange
        return former

    @contextlib.contextmanager
    def during(self, exchange: Exchange) -> Iterator[None]:
        """Within the block, ``exchange`` is the one of this thread, and goes on afterwards."""
        outer = self.replace(exchange)
        try:
            yield
        finally:
            self.replace(outer)


active = _Active()


def shut_down(sock: Any) -> None:
    """End all reads and writes of ``sock``, in whatever thread they are. Any thread may call this."""
    with contextlib.suppress(OSError):  # not connected yet, or already closed by the peer
        # Not SSLSocket.shutdown: it drops the TLS state, and the thread using it would then read or write plain text.
        tls_class = getattr(sock, "tls_class", None)
        shutdown = sock.shutdown if tls_class is None else super(tls_class, sock).shutdown
        shutdown(socket.SHUT_RDWR)
