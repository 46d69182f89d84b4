"""``timeout`` bounds the wall-clock time from connecting to the last byte, whatever the server does."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
from time import monotonic

import pytest

from llm_sync.errors import RequestTimeoutError
from llm_sync.runtime import pauses
from llm_sync.transport import exchange as exchange_module

TIMEOUT = 0.3
GRACE = 10.0  # a machine may be busy; what would be wrong lasts for ever


@contextlib.contextmanager
def times_out(phase, record_property, timeout=TIMEOUT, grace=GRACE):
    """Expect a RequestTimeoutError in this phase, not before ``timeout`` and at most ``grace`` after it."""
    started = monotonic()
    with pytest.raises(RequestTimeoutError, match=f"{timeout:g} s") as caught:
        yield
    took = monotonic() - started
    record_property("late_ms", round((took - timeout) * 1000, 1))
    assert timeout <= took < timeout + grace
    error = caught.value
    assert error.phase == phase
    assert len(error.elapsed) == 1
    assert timeout <= error.elapsed[0] <= took
    assert error.retryable
    assert error.guidance
    assert error.__context__ is None


def silent(peer):
    """Read the request and send nothing."""
    peer.request()
    peer.hold()


def dripping_headers(peer):
    """Send a header's value byte by byte."""
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    peer.drip(b"x")


def dripping_status(peer):
    """Send interim responses without end."""
    peer.request()
    peer.drip(b"HTTP/1.1 100 Continue\r\n\r\n")


def many_headers_then_silence(peer):
    """Send complete header lines, then nothing."""
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nX-One: 1\r\n")
    peer.hold()


def dripping_body(peer):
    """Send the body byte by byte."""
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    peer.drip(b"{")


def whitespace(peer):
    """Send white space without end, as gateways do to keep a connection open."""
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    peer.drip(b"b\r\n\n         \n\r\n")


def dripping_chunk_size(peer):
    """Send the size of a chunk without its end."""
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    peer.drip(b"0")


def dripping_trailers(peer):
    """Send trailers without end."""
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n")
    peer.drip(b"X: y\r\n")


def gzip_of_nothing(peer):
    """Send compressed bytes that decompress to nothing."""
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"")[:10])
    peer.drip(b"\x00\x00\x00\xff\xff" * 100, every=0.001)


def body_then_silence(peer):
    """Send all of the body except its end."""
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\n\r\n{}")
    peer.hold()


SCRIPTS = [
    (silent, "headers"),
    (dripping_headers, "headers"),
    (dripping_status, "headers"),
    (many_headers_then_silence, "headers"),
    (dripping_body, "body"),
    (whitespace, "body"),
    (dripping_chunk_size, "body"),
    (dripping_trailers, "body"),
    (gzip_of_nothing, "body"),
    (body_then_silence, "body"),
]


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize(("script", "phase"), SCRIPTS, ids=lambda value: getattr(value, "__name__", ""))
def test_the_timeout_holds_and_the_connection_is_dropped(serve, open_client, authority, script, phase, tls, record_property):
    """Slow and silent servers time out in time; the error names the phase, and the connection is closed."""

    def first_so_then_well(peer):
        if peer.number == 0:
            script(peer)
        else:
            peer.reply(peer.request().body)

    server = serve(first_so_then_well, authority.context() if tls else None)
    client = open_client(ca_bundle=authority.path)
    with times_out(phase, record_property):
        client.post(server.url, b"{}", {}, timeout=TIMEOUT)
    assert client.post(server.url, b"next", {}, timeout=5).content == b"next"
    assert (server.connections, len(server.requests)) == (2, 2)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_the_timeout_holds_on_a_reused_connection(serve, open_client, authority, tls, record_property):
    """Each call on a reused connection has its own timeout."""

    def script(peer):
        peer.reply(peer.request().body)
        dripping_body(peer)

    server, client = serve(script, authority.context() if tls else None), open_client(ca_bundle=authority.path)
    client.post(server.url, b"{}", {}, timeout=5)
    with times_out("body", record_property):
        client.post(server.url, b"{}", {}, timeout=TIMEOUT)
    assert server.connections == 1


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_an_upload_nobody_reads_times_out(serve, open_client, authority, tls, record_property):
    """An upload larger than the buffers times out if the server never reads it."""
    server = serve(lambda peer: peer.hold(), authority.context() if tls else None)
    client = open_client(ca_bundle=authority.path)
    with times_out("headers", record_property):
        client.post(server.url, bytes(32 * 2**20), {}, timeout=TIMEOUT)


def test_an_upload_read_slowly_times_out(serve, open_client, authority, record_property):
    """An upload times out although every send makes progress."""

    def script(peer):
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        while not peer.server.over.wait(0.02):
            peer.sock.recv(4096)

    for tls in (None, authority.context()):
        with times_out("headers", record_property):
            open_client(ca_bundle=authority.path).post(serve(script, tls).url, bytes(32 * 2**20), {}, timeout=TIMEOUT)


def test_a_tls_handshake_without_an_answer_times_out(serve, open_client, authority, record_property):
    """A TLS handshake that the server never answers times out."""
    server = serve(lambda peer: peer.hold())
    with times_out("connect", record_property):
        open_client(ca_bundle=authority.path).post(server.url.replace("http:", "https:"), b"{}", {}, timeout=TIMEOUT)


def test_a_dripping_tls_handshake_times_out(serve, open_client, authority, record_property):
    """A TLS handshake that the server sends byte by byte times out."""

    def script(peer):
        peer.send(b"\x16\x03\x03\x40\x00")  # a handshake record of 16 KB
        peer.drip(b"\x00")

    server = serve(script)
    with times_out("connect", record_property):
        open_client(ca_bundle=authority.path).post(server.url.replace("http:", "https:"), b"{}", {}, timeout=TIMEOUT)


@pytest.mark.parametrize("say", [b"", b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\n\r\n"], ids=["silent", "drip", "then"])
def test_a_proxy_that_does_not_connect_times_out(serve, open_client, say, record_property):
    """CONNECT times out, whether the proxy never answers, answers slowly, or is silent afterwards."""

    def script(peer):
        peer.head()
        peer.send(say)
        if say.endswith(b": "):
            peer.drip(b"x")
        peer.hold()

    proxy = serve(script)
    with times_out("connect", record_property):
        open_client(proxy=proxy.url).post("https://api.example/v1", b"{}", {}, timeout=TIMEOUT)


def test_handshake_and_connect_share_the_time(serve, open_client, record_property):
    """After a slow CONNECT, the TLS handshake gets only the time that is left."""

    def script(peer):
        peer.head()
        peer.server.over.wait(1.8)
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        peer.hold()

    with times_out("connect", record_property, timeout=2, grace=1.7):
        open_client(proxy=serve(script).url).post("https://api.example/v1", b"{}", {}, timeout=2)


def test_handshake_and_upload_share_the_time(serve, open_client, authority, record_property):
    """After a slow CONNECT, an upload that is not read gets only the time that is left."""

    def script(peer):
        peer.head()
        peer.server.over.wait(1.5)
        with socket.create_connection(("127.0.0.1", server.port)) as target:
            peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
            back = threading.Thread(target=_pump, args=(target, peer.sock))
            back.start()
            _pump(peer.sock, target)
            target.shutdown(socket.SHUT_RDWR)
            back.join()

    proxy = serve(script)
    server = serve(lambda peer: peer.hold(), authority.context("api.example"))  # ends first, and with it the tunnel
    client = open_client(proxy=proxy.url, ca_bundle=authority.path)
    with times_out("headers", record_property, timeout=2, grace=1.4):
        client.post("https://api.example/v1", bytes(32 * 2**20), {}, timeout=2)


def _pump(source, sink):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)


@pytest.fixture
def black_hole():
    """The port of a listener whose backlog is full: connecting to it gets no answer."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(64):
            sock = stack.enter_context(socket.socket())
            sock.settimeout(0.05)
            try:
                sock.connect(listener.getsockname())
            except TimeoutError:
                break
        else:
            pytest.skip("this system's listen queue does not fill")
        yield listener.getsockname()[1]


def _resolves_to(monkeypatch, *ports):
    addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: addresses)


def test_several_addresses_share_the_time(open_client, black_hole, monkeypatch, record_property):
    """Three addresses that drop packets take no longer than one."""
    _resolves_to(monkeypatch, black_hole, black_hole, black_hole)
    with times_out("connect", record_property):
        open_client().post("https://api.example/v1", b"{}", {}, timeout=TIMEOUT)


def test_one_dead_address_leaves_time_for_the_next(serve, open_client, black_hole, monkeypatch):
    """If the first address drops packets, the second one still answers within the timeout."""
    server = serve()
    _resolves_to(monkeypatch, black_hole, server.port)
    reply = open_client(allow_insecure=True).post("http://api.example/v1", b"1", {}, timeout=2)
    assert reply.content == b"1"


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_no_time_at_all_is_a_timeout(serve, open_client, timeout):
    """With a timeout of zero or less, nothing is sent."""
    server = serve()
    with pytest.raises(RequestTimeoutError) as caught:
        open_client().post(server.url, b"{}", {}, timeout=timeout)
    assert caught.value.phase == "connect"
    assert server.connections == 0


def test_an_infinite_timeout_works(serve, open_client):
    """An infinite timeout works, although no system call accepts it."""
    assert open_client().post(serve().url, b"1", {}, timeout=float("inf")).content == b"1"


def test_on_a_machine_that_is_always_late_the_timeout_still_ends(monkeypatch):
    """Every slice of the wait looks like a pause of the process: only the delay is added, the slices count."""
    now = [1000.0]
    monkeypatch.setattr(exchange_module, "monotonic", lambda: now[0])
    monkeypatch.setattr(pauses, "monotonic", lambda: now[0])
    monkeypatch.setattr(pauses, "_pauses", [])
    exchange = exchange_module.Exchange(2.0, None, set())
    waited = 0.0
    with pytest.raises(TimeoutError):  # noqa: PT012  (it ends when it ends)
        while wait := exchange.read_timeout():
            now[0] += wait + 0.6
            waited += wait
        now[0] += 1.0
        exchange.read_timeout()
        exchange.read_timeout()
    assert waited == pytest.approx(2.0)
