"""One exchange that waits for nothing but its socket: a request written, a response read, a deadline, an abort."""

from __future__ import annotations

import errno
import math
import ssl
from functools import partial
from typing import TYPE_CHECKING, Any

from llm_sync.models import Reply
from llm_sync.runtime import pauses
from llm_sync.runtime.clock import now as monotonic
from llm_sync.runtime.event_loop import READ, WRITE
from llm_sync.runtime.steps import HTTPCall
from llm_sync.transport import fast_path
from llm_sync.transport.error_mapping import is_stale_connection
from llm_sync.transport.exchange import READ_GRACE_S, Exchange, active
from llm_sync.transport.framing import OddResponse, ResponseReader
from llm_sync.transport.header_cache import content_length_line
from llm_sync.transport.multiplexed.ports import Done, Owner
from llm_sync.transport.pool import DeadlineConnection, DeadlinePool
from llm_sync.transport.sockets import DeadlineSocket, DeadlineTLSSocket

if TYPE_CHECKING:
    from llm_sync.transport.targets import Target

MAX_READS = 16  # of one socket before the others get their turn
MAX_GRACE_READS = 1 << 20  # when the deadline has passed: as many as the time allows

_READ_WAITS = (BlockingIOError, ssl.SSLWantReadError)


class Transfer:
    """``done`` is called once, by the loop. ``due``: see Timer.

    It waits for a connection; a helper thread connects; it is sent over a connection (``conn`` is set); or a helper thread reads
    on (``conn`` is set, and nothing is watched). Only the loop's thread uses it, but for ``connect`` and ``_read_on``.
    """

    __slots__ = (
        *("_client", "_counted_to", "_has_waited", "_reader", "_unsent", "call", "conn", "descriptor", "done", "due"),
        *("exchange", "head", "is_waiting", "pool", "sock", "target"),
    )

    def __init__(self, client: Owner, target: Target, call: HTTPCall, done: Done) -> None:
        self._client = client
        self.target = target
        self.call = call
        self.done = done
        self.exchange = Exchange(call.timeout, call.control, client.http._sockets)
        self.pool: DeadlinePool = target.pool or target.find_pool()
        self.head = (b"", b"")
        self.conn: DeadlineConnection | None = None
        self.sock: Any = None
        self.descriptor = -1
        self.due = self.exchange.ends
        self.is_waiting = self._has_waited = False
        self._counted_to = self.exchange.started  # pauses of the process up to here are added to the deadline
        self._reader = ResponseReader(client.http._max_response_bytes)
        self._unsent: memoryview | None = None

    # Before there is a connection

    def wait(self) -> None:
        """Wait for a head or a connection; the deadline and an abort end that, too."""
        self.is_waiting = self._has_waited = True
        self._client.loop.add_timer(self)
        if self.call.control is not None:
            self.call.control.attach(partial(self._client.loop.post, self._aborted_while_waiting))

    def stop_waiting(self) -> bool:
        """Go on; False if the wait ended otherwise."""
        was_waiting, self.is_waiting = self.is_waiting, False
        self._client.loop.remove_timer(self)
        return was_waiting

    def _aborted_while_waiting(self) -> None:
        if self.stop_waiting():
            self.fail(ConnectionAbortedError("the request was aborted"))

    def rest_of_call(self) -> HTTPCall:
        """The call with the time that is left, for a helper thread that makes all of it."""
        call = self.call
        if not self._has_waited:
            return call
        self._look_at_the_clock()
        left = max(self.due - monotonic(), 0.001)
        return HTTPCall(call.http, call.method, call.url, call.body, call.headers, min(left, call.timeout), call.control)

    def connect(self) -> Any:
        """In a helper thread: open a connection, or find one that has become idle."""
        self._look_at_the_clock()
        with self.exchange:
            self.exchange.raise_if_aborted()
            return self.pool.open()

    # Over a connection

    def send_over(self, conn: DeadlineConnection) -> None:
        """Write the request, as far as the socket takes it, and wait for the response."""
        if type(getattr(conn, "sock", None)) not in (DeadlineSocket, DeadlineTLSSocket):  # a tool has replaced what we use
            self.pool.release(conn)
            self._client.in_helper(self.rest_of_call().run, self.done)
            return
        self.conn = conn
        call = self.call
        try:
            sock = self.sock = conn.begin_exchange(self.exchange)
            if sock.gettimeout() != 0.0:
                sock.settimeout(0.0)
            self.descriptor = sock.fileno()
            request = content_length_line(call.body).join(self.head)
            self._unsent = memoryview(request if call.body is None else request + call.body)
            self._write()
            self._client.loop.add_timer(self)
        except Exception as error:  # noqa: BLE001  (the exchange's outcome)
            self.fail(error)

    def _write(self) -> None:
        unsent = self._unsent
        try:
            while unsent:
                unsent = unsent[self.sock.send(unsent) :]
        except (BlockingIOError, ssl.SSLWantWriteError):
            self._unsent = unsent
            self._client.watch(self, WRITE)
            return
        except ssl.SSLWantReadError:
            self._unsent = unsent
            self._client.watch(self, READ)
            return
        except OSError as error:
            if not isinstance(error, (BrokenPipeError, ConnectionResetError)) and error.errno != errno.EPROTOTYPE:
                raise
            self.exchange.reusable = False  # a response may have arrived nevertheless; see fast_path.py
        else:
            self.exchange.sent_at = monotonic()
        self._unsent = None
        self._client.watch(self, READ)

    def ready(self, _: int) -> None:
        """The socket can be read or written."""
        if self._unsent is None:
            self._read_while(MAX_READS)
            return
        try:
            self._write()
        except Exception as error:  # noqa: BLE001  (the exchange's outcome)
            self.fail(error)

    def _read_while(self, reads: int, until: float = math.inf) -> None:
        """Read up to so many times, as long as there is something, and go on with what has come."""
        is_complete, has_more = False, True
        try:
            while has_more and not is_complete and reads and (until == math.inf or monotonic() < until):
                reads -= 1
                is_complete, has_more = self._read()
        except OddResponse as odd:
            self._leave_to_helper(odd.received)
        except Exception as error:  # noqa: BLE001  (the exchange's outcome)
            self.fail(error)
        if is_complete:
            self._finish()

    def _read(self) -> tuple[bool, bool]:
        """Read once; return whether the response is complete, and whether there may be more to read now."""
        buffer, exchange, reader = self._client.buffer, self.exchange, self._reader
        try:
            count = self.sock.receive(buffer)  # not recv_into, which waits
        except _READ_WAITS:
            self._client.watch(self, READ)
            return False, False
        except ssl.SSLWantWriteError:
            self._client.watch(self, WRITE)
            return False, False
        exchange.response_started = exchange.response_started or count > 0
        if not count:
            raise reader.end()
        if reader.feed(buffer[:count]):
            return True, False
        if reader.fields is not None:
            exchange.phase = "body"
        return False, count == len(buffer) or self._has_decrypted()

    def _has_decrypted(self) -> bool:
        """Whether TLS holds bytes that the selector does not know of."""
        return isinstance(self.sock, ssl.SSLSocket) and self.sock.pending() > 0

    def _finish(self) -> None:
        client, exchange = self._client, self.exchange
        client.loop.remove_timer(self)
        client.release(self)
        result: Reply | Exception
        conn = self.conn
        assert conn is not None  # noqa: S101
        outer = active.replace(exchange)
        try:
            if self._reader.surplus:
                client.unwatch(self.descriptor)  # it will be closed
            result = fast_path.finish(self._reader, self.pool, conn, exchange)
        except Exception as error:  # noqa: BLE001  (a body that cannot be decoded, or is too large)
            result = error.with_traceback(None)
        finally:
            active.replace(outer)
        self.conn = None
        client.serve_waiting()
        self._report(result, is_stale=False)

    # Other ends

    def expire(self, now: float) -> None:
        """The time is up, unless the process was stopped meanwhile. What has arrived is still read."""
        self._look_at_the_clock(now)
        if self.due > now:
            self._client.loop.add_timer(self)
            return
        if self.is_waiting:
            self.is_waiting = False
            self.fail(TimeoutError())
            return
        if self._unsent is None:
            self._read_while(MAX_GRACE_READS, until=now + READ_GRACE_S)
        if self.conn is not None and self._client.is_watched(self):
            self.fail(TimeoutError())

    def _look_at_the_clock(self, now: float | None = None) -> None:
        """Add the pauses that the loop has noticed to the deadline; the exchange did not watch the clock itself."""
        now = monotonic() if now is None else now
        self.exchange.ends += pauses.seconds_between(self._counted_to, now)
        self._counted_to = now
        self.due = self.exchange.ends
        self.exchange.end_operation(bounded=False)

    def _leave_to_helper(self, received: bytes) -> None:
        """Have a helper thread read the response as http.client and urllib3 do; it begins with ``received``."""
        client = self._client
        client.loop.remove_timer(self)
        client.unwatch(self.descriptor)
        self._look_at_the_clock()
        client.in_helper(partial(self._read_on, received), self._read_on_ended)

    def _read_on(self, received: bytes) -> Reply:
        with self.exchange:
            assert self.conn is not None  # noqa: S101
            try:
                unread = fast_path.hand_over(self.pool, self.conn, received, self.exchange)
            except BaseException:
                self.conn.close()
                self.pool.release(None)
                raise
            return self._client.http._read_reply(unread, self.exchange, self.target.origin)

    def _read_on_ended(self, reply: Reply | None, error: BaseException | None) -> None:
        self.conn = None
        self._client.serve_waiting()
        self._report_error(error) if reply is None else self._report(reply, is_stale=False)

    def fail(self, error: BaseException) -> None:
        """The exchange has failed: close its connection, and report it in the next turn of the loop."""
        client, exchange = self._client, self.exchange
        client.loop.remove_timer(self)
        conn, self.conn = self.conn, None
        if conn is not None:
            client.unwatch(self.descriptor)
            with active.during(exchange):
                conn.close()
                self.pool.release(None)  # keeps room in the pool for a new one
        self._report_error(error)

    def _report_error(self, error: BaseException | None) -> None:
        self._look_at_the_clock()
        failure = error or OSError()
        is_stale = is_stale_connection(failure, self.exchange)
        # Not here: an exception handler may be at work, and its exception, which quotes URLs, would be shown with the error.
        self._client.loop.call_soon(partial(self._report, failure.with_traceback(None), is_stale=is_stale))

    def _report(self, result: Any, *, is_stale: bool) -> None:
        client, done = self._client, self.done
        reply: Reply | None = None
        failure: BaseException | None = None
        try:
            reply = client.http._conclude(result, self.exchange, self.target, is_stale=is_stale)
        except BaseException as error:  # noqa: BLE001  (the outcome)
            failure = error
        try:
            done(reply, failure)
        finally:
            del failure, result
