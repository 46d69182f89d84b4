"""An abort ends the exchange of its request at once, and never affects another request."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from time import monotonic

import pytest

from llm_sync.errors import ClientClosedError
from llm_sync.runtime.cancellation import CallControl
from llm_sync.transport import exchange as exchange_module
from llm_sync.transport import pool, sockets


class Call(threading.Thread):
    """A POST in a thread of its own, with its control and its outcome."""

    def __init__(self, client, url, body=b"{}", timeout=20.0):
        super().__init__()
        self.control = CallControl()
        self.reply = self.error = None
        self._post = lambda: client.post(url, body, {}, timeout=timeout, control=self.control)
        self.start()

    def run(self):
        try:
            self.reply = self._post()
        except Exception as error:
            self.error = error

    def end(self):
        """Wait for the outcome; raises the error of the call."""
        self.join(10)
        assert not self.is_alive()
        if self.error is not None:
            raise self.error
        return self.reply


def in_headers(peer):
    """Read the request, and do not answer."""
    peer.request()


def in_a_header(peer):
    """Send half of the headers: an abort must not make them an empty answer."""
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nX-Half: ")


def in_body(peer):
    """Send half of a body of known length."""
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")


def in_open_body(peer):
    """Send a body that ends with the connection: an abort must not pass for its end."""
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\n\r\n{}")


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("script", [in_headers, in_a_header, in_body, in_open_body])
def test_an_abort_ends_the_exchange_and_drops_the_connection(serve, open_client, authority, script, tls, monkeypatch):
    """At any point, the call raises ClientClosedError at once, nothing is sent twice, and the next call connects anew."""
    reached = threading.Event()

    def first_so_then_well(peer):
        if peer.number:
            peer.reply(peer.request().body)
            return
        script(peer)
        reached.set()
        peer.until_closed()

    server = serve(first_so_then_well, authority.context() if tls else None)
    client = open_client(ca_bundle=authority.path)
    call = Call(client, server.url)
    assert reached.wait(5)
    started = monotonic()
    call.control.abort()
    with pytest.raises(ClientClosedError, match="aborted in flight"):
        call.end()
    assert monotonic() - started < 10
    assert client.post(server.url, b"next", {}, timeout=5).content == b"next"
    assert [received.body for received in server.requests] == [b"{}", b"next"]


def test_an_abort_on_a_reused_connection_is_no_stale_connection(serve, open_client):
    """An aborted exchange on a reused connection does not count as a stale connection."""
    reached = threading.Event()

    def script(peer):
        peer.reply(peer.request().body)
        if peer.number == 0:
            peer.request()
            reached.set()
            peer.until_closed()

    server, client = serve(script), open_client()
    client.post(server.url, b"1", {}, timeout=5)
    call = Call(client, server.url, b"2")
    assert reached.wait(5)
    call.control.abort()
    with pytest.raises(ClientClosedError):
        call.end()
    assert [received.body for received in server.requests] == [b"1", b"2"]


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_an_abort_ends_an_upload(serve, open_client, authority, tls):
    """An abort ends an upload that the server does not read."""
    reached = threading.Event()

    def script(peer):
        peer.sock.recv(10)
        reached.set()
        peer.hold()

    server = serve(script, authority.context() if tls else None)
    call = Call(open_client(ca_bundle=authority.path), server.url, bytes(32 * 2**20))
    assert reached.wait(5)
    call.control.abort()
    with pytest.raises(ClientClosedError):
        call.end()


def test_an_abort_ends_a_tls_handshake(serve, open_client, authority):
    """An abort during the TLS handshake shuts down the TLS socket that replaced the plain one."""
    reached = threading.Event()

    def script(peer):
        peer.sock.recv(10)
        reached.set()
        peer.until_closed()

    server = serve(script)
    call = Call(open_client(ca_bundle=authority.path), server.url.replace("http:", "https:"))
    assert reached.wait(5)
    call.control.abort()
    with pytest.raises(ClientClosedError):
        call.end()


def test_an_abort_ends_a_wait_for_the_proxy(serve, open_client):
    """An abort ends a CONNECT that the proxy does not answer."""
    reached = threading.Event()

    def script(peer):
        peer.head()
        reached.set()
        peer.until_closed()

    call = Call(open_client(proxy=serve(script).url), "https://api.example/v1")
    assert reached.wait(5)
    call.control.abort()
    with pytest.raises(ClientClosedError):
        call.end()


def test_an_abort_before_the_call_sends_nothing(serve, open_client, monkeypatch):
    """After an abort no host name is looked up, which nothing could interrupt, and no connection is opened."""
    server, control, lookups = serve(), CallControl(), []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args: lookups.append(args) or [])
    control.abort()
    with pytest.raises(ClientClosedError):
        open_client().post(server.url, b"{}", {}, timeout=5, control=control)
    assert not lookups
    assert server.connections == 0


def test_an_abort_just_before_connecting_is_not_lost(serve, open_client, monkeypatch):
    """An abort between creating and connecting the socket ends the call, and nothing is sent."""
    server, control = serve(), CallControl()
    connect = sockets.DeadlineSocket.connect

    def aborted_first(sock, address):
        control.abort()
        connect(sock, address)

    monkeypatch.setattr(sockets.DeadlineSocket, "connect", aborted_first)
    with pytest.raises(ClientClosedError):
        open_client().post(server.url, b"{}", {}, timeout=5, control=control)
    assert not server.requests


def test_an_abort_that_cannot_shut_a_connecting_socket_is_not_lost(serve, open_client, monkeypatch):
    """If the system cannot shut down a connecting socket, nothing is sent once it is connected."""
    server, control = serve(), CallControl()
    connect = sockets.DeadlineSocket.connect

    def aborted_first(sock, address):
        control.abort()
        connect(sock, address)

    monkeypatch.setattr(exchange_module, "shut_down", lambda sock: None)
    monkeypatch.setattr(sockets.DeadlineSocket, "connect", aborted_first)
    with pytest.raises(ClientClosedError):
        open_client().post(server.url, b"{}", {}, timeout=5, control=control)
    assert not server.requests


def test_an_abort_while_connecting_ends_the_search_for_an_address(serve, open_client, monkeypatch):
    """After an abort, further addresses of the host are not tried."""
    server, control, tried = serve(), CallControl(), []
    connect = sockets.DeadlineSocket.connect

    def aborted_first(sock, address):
        tried.append(address)
        control.abort()
        connect(sock, address)

    monkeypatch.setattr(sockets.DeadlineSocket, "connect", aborted_first)
    address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [address] * 3)
    with pytest.raises(ClientClosedError):
        open_client().post(server.url, b"{}", {}, timeout=5, control=control)
    assert len(tried) == 1


def test_an_abort_between_plain_and_tls_socket_is_not_lost(serve, open_client, authority, monkeypatch):
    """An abort between the plain socket and its TLS socket ends the call."""
    server, control = serve(tls=authority.context()), CallControl()
    handshake = sockets.DeadlineTLSSocket.do_handshake

    def aborted_first(sock, *args):
        control.abort()
        handshake(sock, *args)

    monkeypatch.setattr(sockets.DeadlineTLSSocket, "do_handshake", aborted_first)
    with pytest.raises(ClientClosedError):
        open_client(ca_bundle=authority.path).post(server.url, b"{}", {}, timeout=5, control=control)
    assert not server.requests


def test_an_abort_after_the_call_has_no_effect(serve, open_client):
    """An abort after the call does not affect the next request on the same connection."""
    reached, go = threading.Event(), threading.Event()

    def script(peer):
        peer.reply(peer.request().body)
        received = peer.request()
        reached.set()
        go.wait(5)
        peer.reply(received.body)

    server, client = serve(script), open_client()
    first = Call(client, server.url, b"1")
    assert first.end().content == b"1"
    second = Call(client, server.url, b"2")
    assert reached.wait(5)
    first.control.abort()
    go.set()
    assert second.end().content == b"2"
    assert (server.connections, len(server.requests)) == (1, 2)


@pytest.mark.blocking_driver  # test_multiplexed.py has the other one
def test_an_abort_as_the_connection_is_released_has_no_effect(serve, open_client, monkeypatch):
    """An abort between the connection's return to the pool and the call's return does not affect the next request."""
    server, client, control = serve(), open_client(), CallControl()
    pooled, go = threading.Event(), threading.Event()
    put = pool.ConnectionStack.put

    def put_and_wait(stack, conn, *args, **kwargs):
        put(stack, conn, *args, **kwargs)
        if threading.current_thread() is not threading.main_thread() and conn is not None:
            pooled.set()
            go.wait(5)

    monkeypatch.setattr(pool.ConnectionStack, "put", put_and_wait)
    client.post(server.url, b"0", {}, timeout=5)
    call = threading.Thread(target=lambda: _swallow(client, server.url, control))
    call.start()
    assert pooled.wait(5)
    control.abort()
    assert client.post(server.url, b"2", {}, timeout=5).content == b"2"
    go.set()
    call.join()
    assert [received.body for received in server.requests] == [b"0", b"1", b"2"]
    assert server.connections == 1


def _swallow(client, url, control):
    with contextlib.suppress(ClientClosedError):
        client.post(url, b"1", {}, timeout=5, control=control)


def test_an_abort_in_progress_ends_before_its_descriptor_is_closed(serve, open_client, monkeypatch):
    """Closing a socket waits for an abort in progress: the descriptor's number may be reused at once."""
    reached, shutting, go, order = threading.Event(), threading.Event(), threading.Event(), []

    def script(peer):
        peer.request()
        reached.set()
        shutting.wait(5)  # the server ends the connection while the abort is about to shut it

    server = serve(script)
    shut = exchange_module.shut_down

    def slow_shut(sock):
        shutting.set()
        go.wait(0.3)
        order.append(("shut", sock.fileno() >= 0))
        shut(sock)

    monkeypatch.setattr(exchange_module, "shut_down", slow_shut)
    call = Call(open_client(), server.url)
    assert reached.wait(5)
    call.control.abort()
    order.append(("aborted", True))
    with pytest.raises(ClientClosedError):
        call.end()
    assert order == [("shut", True), ("aborted", True)]


def test_closing_another_socket_does_not_disable_an_abort(serve, open_client, monkeypatch):
    """If the garbage collector closes another socket in the request's thread, the request's abort still works."""
    reached = threading.Event()
    recv_into = sockets.DeadlineSocket.recv_into

    def closing_another(sock, *args):
        sockets.DeadlineSocket().close()
        reached.set()
        return recv_into(sock, *args)

    monkeypatch.setattr(sockets.DeadlineSocket, "recv_into", closing_another)
    call = Call(open_client(), serve(lambda peer: peer.until_closed()).url)
    assert reached.wait(5)
    call.control.abort()
    with pytest.raises(ClientClosedError):
        call.end()


def test_nothing_is_written_in_clear_after_an_abort(serve, open_client, authority):
    """Shutting down a TLS socket from another thread keeps its TLS: its owner never writes plain text."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client_side = socket.create_connection(listener.getsockname())
        server_side, _ = listener.accept()
    context, accepted = authority.context(), []
    thread = threading.Thread(target=lambda: accepted.append(context.wrap_socket(server_side, server_side=True)))
    thread.start()
    trusting = ssl.create_default_context(cafile=authority.path)
    trusting.sslsocket_class = sockets.DeadlineTLSSocket
    with trusting.wrap_socket(client_side, server_hostname="localhost") as sock:
        thread.join()
        exchange_module.shut_down(sock)
        assert sock.version() is not None
    accepted[0].close()
