"""Starts HTTP calls on an event loop: each gets a head that was sent before, and a connection."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Any

from llm_sync.models import Reply
from llm_sync.runtime.event_loop import READ, EventLoop
from llm_sync.runtime.steps import HTTPCall
from llm_sync.transport import patch_detection
from llm_sync.transport.multiplexed.ports import HTTP, Done, InHelper, Watched
from llm_sync.transport.multiplexed.transfer import Transfer
from llm_sync.transport.pool import DeadlineConnection

MAX_CONNECTING = 8  # connections that helper threads open at the same time, first requests included
MAX_UNCACHEABLE = 64  # heads remembered that cannot be sent again
_BUFFER_BYTES = 64 * 1024


class MultiplexedClient:
    """The calls of one HTTPClient on one loop, whose thread alone uses it.

    The first request to a URL goes through the Session, in a helper thread, and shows the head that requests, urllib3 and
    http.client write; the others wait for that, and no longer: it is known before the first response.
    """

    def __init__(self, http: HTTP, loop: EventLoop, in_helper: InHelper) -> None:
        self.http = http
        self.loop = loop
        self.in_helper = in_helper
        self.buffer = memoryview(bytearray(_BUFFER_BYTES))  # one thread reads one socket at a time
        self._waiting: deque[Transfer] = deque()  # for a connection; the oldest first
        self._connecting = 0
        self._without_head: dict[Any, list[Transfer]] = {}  # by head: wait for the first request that sends it
        self._uncacheable: set[Any] = set()
        self._links: dict[int, _Link] = {}  # watched connections, by descriptor
        self._unpatched, self._looked_in_turn = False, -1

    def start(self, call: HTTPCall, done: Done) -> None:
        """Begin ``call``; the loop calls ``done`` with its Reply, or with the error that HTTPClient.request would raise."""
        try:
            target = self.http._target(call.method, call.url)
        except Exception as error:  # noqa: BLE001  (the request's outcome)
            self.loop.call_soon(partial(done, None, error.with_traceback(None)))
            return
        if target.proxy is not None or not target.is_pooled or not call.timeout > 0 or not self._is_unpatched():
            self.in_helper(call.run, done)
        else:
            self._find_head(Transfer(self, target, call, done))

    def _is_unpatched(self) -> bool:
        """Whether no tool steps in, asked once for all calls that are started in one turn of the loop."""
        if self._looked_in_turn != self.loop.turns:
            self._looked_in_turn, self._unpatched = self.loop.turns, patch_detection.is_unpatched()
        return self._unpatched

    # Heads

    def _find_head(self, transfer: Transfer) -> None:
        head = transfer.target.header_cache.get(transfer.call.headers)
        if head is not None:
            transfer.head = head
            self._find_connection(transfer)
            return
        key = transfer.call.method, transfer.call.url, tuple(transfer.call.headers.items())
        if key in self._uncacheable:
            self.in_helper(transfer.rest_of_call().run, transfer.done)
        elif key in self._without_head:
            self._without_head[key].append(transfer)
            transfer.wait()
        else:
            self._without_head[key] = []
            self._connecting += 1
            known = partial(self.loop.post, partial(self._head_is_sent, key))
            self.in_helper(partial(transfer.rest_of_call().run, on_head=known), partial(self._first_ended, key, transfer.done))

    def _head_is_sent(self, key: Any) -> None:
        waiting = self._without_head.pop(key, None)
        if waiting is None:
            return
        head = None
        for transfer in waiting:
            if transfer.stop_waiting():
                head = transfer.target.header_cache.get(transfer.call.headers)
                if head is None:
                    self._note_uncacheable(key)
                self._find_head(transfer)

    def _note_uncacheable(self, key: Any) -> None:
        if len(self._uncacheable) >= MAX_UNCACHEABLE:
            self._uncacheable.clear()
        self._uncacheable.add(key)

    def _first_ended(self, key: Any, done: Done, reply: Reply | None, error: BaseException | None) -> None:
        self._connecting -= 1
        waiting = self._without_head.pop(key, [])  # nothing, unless it failed before it was sent, or a tool has sent it
        if waiting and reply is not None:
            self._note_uncacheable(key)
        for transfer in waiting:
            if transfer.stop_waiting():
                self._find_head(transfer)
        self.serve_waiting()
        done(reply, error)

    # Connections

    def _find_connection(self, transfer: Transfer) -> None:
        conn = None if self._waiting else transfer.pool.take_idle()
        if conn is not None:
            transfer.send_over(conn)
        elif self._connecting < MAX_CONNECTING:
            self._connect(transfer)
        else:
            self._waiting.append(transfer)
            transfer.wait()

    def _connect(self, transfer: Transfer) -> None:
        self._connecting += 1
        self.in_helper(transfer.connect, partial(self._connected, transfer))

    def _connected(self, transfer: Transfer, conn: DeadlineConnection | None, error: BaseException | None) -> None:
        self._connecting -= 1
        if conn is None:
            transfer.fail(error or OSError())
        else:
            transfer.send_over(conn)
        self.serve_waiting()

    def serve_waiting(self) -> None:
        """A connection has become idle, or may be opened: give it to whoever has waited longest."""
        while self._waiting:
            transfer = self._waiting[0]
            conn = transfer.pool.take_idle() if transfer.is_waiting else None
            if transfer.is_waiting and conn is None and self._connecting >= MAX_CONNECTING:
                return
            self._waiting.popleft()
            if not transfer.stop_waiting():
                continue
            if conn is None:
                self._connect(transfer)
            else:
                transfer.send_over(conn)

    # Watching

    def watch(self, transfer: Watched, events: int) -> None:
        """Have the loop call ``transfer.ready`` when its socket is ready for ``events``.

        The watch stays while the connection is idle, which saves two system calls for each exchange.
        """
        sock: Any = transfer.sock
        descriptor = sock.fileno()
        link = self._links.get(descriptor)
        if link is None or link.sock is not sock:
            link = self._links[descriptor] = _Link(self, sock)
            self.loop.watch(descriptor, link.ready, events)
        elif link.events != events:
            self.loop.change(descriptor, link.ready, events)
        link.events, link.transfer = events, transfer

    def release(self, transfer: Watched) -> None:
        """The exchange is over; its connection may be used again."""
        link = self._links.get(transfer.descriptor)
        if link is not None and link.transfer is transfer:
            link.transfer = None

    def is_watched(self, transfer: Watched) -> bool:
        """Whether the loop waits for its socket: it is neither over nor with a helper."""
        link = self._links.get(transfer.descriptor)
        return link is not None and link.transfer is transfer

    def unwatch(self, descriptor: int) -> None:
        """Stop watching a connection: it is about to be closed, or another thread goes on with it."""
        if self._links.pop(descriptor, None) is not None:
            self.loop.unwatch(descriptor)


class _Link:
    """A watched connection and the exchange that uses it, if any."""

    __slots__ = ("_client", "events", "sock", "transfer")

    def __init__(self, client: MultiplexedClient, sock: Any) -> None:
        self._client = client
        self.sock = sock
        self.transfer: Watched | None = None
        self.events = READ

    def ready(self, events: int) -> None:
        """Called by the loop."""
        if self.transfer is not None:
            self.transfer.ready(events)
            return
        # An idle connection that ends, or that another thread uses. The pool looks at it before it is used again.
        descriptor = next((number for number, link in self._client._links.items() if link is self), None)
        if descriptor is not None:
            self._client.unwatch(descriptor)
