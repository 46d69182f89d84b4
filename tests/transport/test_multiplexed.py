"""What only a thread that has many exchanges in flight does: it shares connections, heads, helpers, and its time."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

import pytest

from llm_sync.errors import ClientClosedError, ProviderConnectionError, RequestTimeoutError
from llm_sync.runtime.cancellation import CallControl
from llm_sync.runtime.steps import HTTPCall
from llm_sync.transport import patch_detection, sockets
from llm_sync.transport.multiplexed import client as multiplexed_client

PATIENCE_S = 20.0


class Flight:
    """A request in flight. ``outcome()`` waits for its reply, or raises its error."""

    def __init__(self, client: Any, url: str, body: bytes, headers: Any = (), timeout: float = 30.0) -> None:
        self.control = CallControl()
        self._ended = threading.Event()
        self._result: list[Any] = []
        call = HTTPCall(client, "POST", url, body, dict(headers), timeout, self.control)
        client.thread.loop.post(lambda: client.driver.start(call, self._done))

    def _done(self, reply: Any, error: BaseException | None) -> None:
        self._result += [reply, error]
        self._ended.set()

    def outcome(self) -> Any:
        """Its end."""
        assert self._ended.wait(PATIENCE_S), "it hangs"
        reply, error = self._result
        if error is not None:
            raise error
        return reply


@pytest.fixture
def client(request: pytest.FixtureRequest) -> Any:
    """``client(**options)`` is an HTTPClient with a loop of its own."""
    opened = []

    def make(**options: Any) -> Any:
        opened.append(sys.modules["multiplexed_driver"].MultiplexedHTTPClient(**options))
        return opened[-1]

    yield make
    for each in opened:
        each.end()


class Held:
    """A server's script that answers a body that begins with "hold" only when it is told to."""

    def __init__(self) -> None:
        self.arrived = threading.Semaphore(0)
        self.go = threading.Event()

    def __call__(self, peer: Any) -> None:
        """Echo."""
        while (received := peer.request()) is not None:
            if received.body.startswith(b"hold"):
                self.arrived.release()
                if not self.go.wait(PATIENCE_S):
                    return
            peer.reply(received.body)

    def wait(self, count: int) -> None:
        """Until so many requests are held."""
        for _ in range(count):
            assert self.arrived.acquire(timeout=PATIENCE_S)


def test_many_are_in_flight_in_one_thread(serve, client):
    """Twenty at the same time, each with a connection and an answer of its own; later ones use those connections again."""
    held = Held()
    server, http = serve(held), client(pool_size=20)
    flights = [Flight(http, server.url, b"hold %d" % number) for number in range(20)]
    held.wait(20)
    assert server.connections == 20
    held.go.set()
    assert [flight.outcome().content for flight in flights] == [b"hold %d" % number for number in range(20)]
    assert [Flight(http, server.url, b"%d" % n).outcome().content for n in range(5)] == [b"%d" % n for n in range(5)]
    assert server.connections == 20


def test_the_head_is_known_before_the_first_answer(serve, client):
    """One request goes through the Session; the others do not wait for its answer, and are sent with the same head."""
    held = Held()
    server, http = serve(held), client(pool_size=4)
    through_session: list[Any] = []
    send = http._open_session().send
    http._session.send = lambda *arguments, **options: through_session.append(arguments) or send(*arguments, **options)
    flights = [Flight(http, server.url, b"hold %d" % number, {"Authorization": "Bearer k"}) for number in range(4)]
    held.wait(4)
    held.go.set()
    for flight in flights:
        flight.outcome()
    assert len(through_session) == 1
    heads = {tuple(sorted(received.headers.items())) for received in server.requests}
    assert len(heads) == 1


def test_requests_whose_head_cannot_be_sent_again_go_through_the_session(serve, client, monkeypatch):
    """All of them at the same time, not one after the other."""
    held = Held()
    server, http = serve(held), client(pool_size=4)
    monkeypatch.setattr("llm_sync.transport.header_cache._contains_only", lambda *_: False)
    flights = [Flight(http, server.url, b"hold %d" % number) for number in range(4)]
    held.wait(4)
    held.go.set()
    assert [flight.outcome().content for flight in flights] == [b"hold %d" % number for number in range(4)]


def test_a_patched_library_is_never_bypassed(serve, client, monkeypatch):
    """A tool that replaces the libraries' functions sees every request."""
    server, http = serve(), client()
    http.post(server.url, b"warm", {}, timeout=5)
    monkeypatch.setattr(patch_detection, "_ORIGINALS", None)
    through_session: list[Any] = []
    send = http._session.send
    http._session.send = lambda *arguments, **options: through_session.append(arguments) or send(*arguments, **options)
    assert http.post(server.url, b"seen", {}, timeout=5).content == b"seen"
    assert len(through_session) == 1


def test_an_abort_ends_one_exchange_and_no_other(serve, client):
    """At once; its connection is dropped, and the neighbours' answers come."""
    held = Held()
    server, http = serve(held), client(pool_size=8)
    flights = [Flight(http, server.url, b"hold %d" % number) for number in range(8)]
    held.wait(8)
    for flight in flights[::2]:
        flight.control.abort()
    for flight in flights[::2]:
        with pytest.raises(ClientClosedError, match="aborted in flight"):
            flight.outcome()
    held.go.set()
    assert [flight.outcome().content for flight in flights[1::2]] == [b"hold %d" % number for number in range(1, 8, 2)]


def test_an_abort_after_the_end_hurts_nobody(serve, client):
    """The connection may be another exchange's by then."""
    held = Held()
    server, http = serve(held), client()
    first = Flight(http, server.url, b"first")
    first.outcome()
    second = Flight(http, server.url, b"hold")
    held.wait(1)
    first.control.abort()
    held.go.set()
    assert second.outcome().content == b"hold"
    assert server.connections == 1


@pytest.mark.parametrize("how", ["abort", "deadline"])
def test_a_request_that_waits_for_a_connection_can_end(serve, client, monkeypatch, how):
    """Where as many connections as may be are being opened, the next one waits, but not past its deadline or an abort."""
    monkeypatch.setattr(multiplexed_client, "MAX_CONNECTING", 1)
    server, http = serve(), client(pool_size=4)
    http.post(server.url, b"warm", {}, timeout=5)
    http._target("POST", server.url).find_pool().close_idle()
    connecting, go = threading.Event(), threading.Event()
    connect = sockets.DeadlineSocket.connect

    def connect_later(sock: Any, address: Any) -> None:
        connecting.set()
        assert go.wait(PATIENCE_S)
        connect(sock, address)

    monkeypatch.setattr(sockets.DeadlineSocket, "connect", connect_later)
    first = Flight(http, server.url, b"first")
    assert connecting.wait(PATIENCE_S)
    second = Flight(http, server.url, b"second", timeout=0.3 if how == "deadline" else 30)
    third = Flight(http, server.url, b"third")
    if how == "abort":
        second.control.abort()
    with pytest.raises(ClientClosedError if how == "abort" else RequestTimeoutError) as caught:
        second.outcome()
    if how == "deadline":
        assert caught.value.phase == "connect"
    go.set()
    assert [first.outcome().content, third.outcome().content] == [b"first", b"third"]
    assert sorted(received.body for received in server.requests) == [b"first", b"third", b"warm"]


def test_a_connection_that_becomes_idle_serves_who_waits_longest(serve, client, monkeypatch):
    """Nobody waits for a new connection when an old one is free."""
    monkeypatch.setattr(multiplexed_client, "MAX_CONNECTING", 0)
    held = Held()
    server, http = serve(held), client(pool_size=4)
    first = Flight(http, server.url, b"hold")  # through the Session
    held.wait(1)
    later = [Flight(http, server.url, b"%d" % number) for number in range(3)]
    held.go.set()
    first.outcome()
    http.thread.loop.post(http.driver.serve_waiting)  # a connection of the Session's own way
    assert [flight.outcome().content for flight in later] == [b"0", b"1", b"2"]
    assert server.connections == 1
    assert [received.body for received in server.requests] == [b"hold", b"0", b"1", b"2"]


def test_an_odd_response_holds_up_no_other(serve, client):
    """A helper reads what is not simple, for as long as it takes."""
    odd, go = threading.Event(), threading.Event()

    def script(peer: Any) -> None:
        while (received := peer.request()) is not None:
            if received.body == b"odd":
                peer.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
                odd.set()
                assert go.wait(PATIENCE_S)
            peer.reply(received.body)

    server, http = serve(script), client(pool_size=2)
    http.post(server.url, b"warm", {}, timeout=5)
    slow = Flight(http, server.url, b"odd")
    assert odd.wait(PATIENCE_S)
    assert Flight(http, server.url, b"quick").outcome().content == b"quick"
    go.set()
    assert slow.outcome().content == b"odd"


def test_a_stale_connection_is_found_while_writing(serve, client, monkeypatch):
    """The server closed the idle connection before the request reached it: the error says that a retry needs no wait."""
    go, gone = threading.Event(), threading.Event()

    def script(peer: Any) -> None:
        peer.reply(peer.request().body)
        if not peer.number:
            go.wait(PATIENCE_S)
            peer.reset()
            gone.set()

    server, http = serve(script), client()
    http.post(server.url, b"1", {}, timeout=5)

    def closed_first(sock: Any, data: Any) -> int:
        go.set()
        assert gone.wait(PATIENCE_S)
        return super(sockets.DeadlineSocket, sock).send(data)

    monkeypatch.setattr(sockets.DeadlineSocket, "send", closed_first, raising=False)
    with pytest.raises(ProviderConnectionError) as caught:
        http.post(server.url, b"2", {}, timeout=5)
    assert caught.value.stale_connection
    assert [received.body for received in server.requests] == [b"1"]


def test_a_response_to_half_an_upload_is_returned(serve, client, monkeypatch):
    """If a server rejects an upload half-way and closes, its response is returned, and the connection is not used again."""
    server, http = serve(), client()
    http.post(server.url, b"warm", {}, timeout=5)

    def broken(sock: Any, data: Any) -> int:
        super(sockets.DeadlineSocket, sock).send(data)
        raise BrokenPipeError

    with monkeypatch.context() as patched:
        patched.setattr(sockets.DeadlineSocket, "send", broken, raising=False)
        assert http.post(server.url, b"asked", {}, timeout=5).content == b"asked"
    assert http.post(server.url, b"next", {}, timeout=5).content == b"next"
    assert (server.connections, len(server.requests)) == (2, 3)


def test_an_idle_connection_that_the_server_closes_is_not_used(serve, client):
    """The loop hears of it, and does not turn in circles; the next request opens a new one."""
    closed = threading.Event()

    def script(peer: Any) -> None:
        peer.reply(peer.request().body)
        if peer.number == 1:
            peer.sock.close()
            closed.set()
            return
        peer.until_closed()

    server, http = serve(script), client(pool_size=1)
    http.post(server.url, b"1", {}, timeout=5)
    (conn,) = [each for each in http._session.get_adapter(server.url)._pools[server.url].pool._stack if each]
    conn.close()
    assert http.post(server.url, b"2", {}, timeout=5).content == b"2"
    assert closed.wait(PATIENCE_S)
    turns: list[int] = []
    http.thread.loop.post(lambda: turns.append(0))
    deadline = time.monotonic() + PATIENCE_S
    while http.driver._links and time.monotonic() < deadline:
        time.sleep(0.001)
    assert not http.driver._links
    assert http.post(server.url, b"3", {}, timeout=5).content == b"3"
    assert server.connections == 3
