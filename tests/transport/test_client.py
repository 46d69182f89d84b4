"""HTTPClient: requests and replies, reuse of connections, and what it rejects."""

from __future__ import annotations

import errno
import gzip
import logging
import socket
import threading
import tracemalloc
import zlib

import pytest

from llm_sync.errors import ClientClosedError, ConfigurationError, ProviderConnectionError, ProviderError, RequestTimeoutError
from llm_sync.transport import error_mapping, pool, sockets
from llm_sync.transport import exchange as exchange_module
from llm_sync.transport.pool import ConnectionStack


def test_a_reply_is_status_headers_and_bytes(serve, open_client):
    """A reply has the status, headers looked up in any case, the body's bytes and the elapsed seconds."""

    def script(peer):
        peer.request()
        peer.reply(b'{"a": "\xc3\xa9"}', "201 Created", ["X-Request-ID: r1"])

    reply = open_client().post(serve(script).url, b"{}", {}, timeout=5)
    assert (reply.status, reply.content, reply.headers["x-request-id"]) == (201, b'{"a": "\xc3\xa9"}', "r1")
    assert 0 < reply.elapsed < 5


@pytest.mark.parametrize("status", ["204 No Content", "400 Bad Request", "401 No", "429 Slow", "500 Oops", "599 What"])
def test_every_status_but_a_redirect_is_a_reply(serve, open_client, status):
    """Any status except a redirect is returned as a reply: the dialect interprets it."""

    def script(peer):
        while peer.request():
            peer.reply(b"", status)

    assert open_client().post(serve(script).url, b"{}", {}, timeout=5).status == int(status[:3])


def test_post_sends_body_and_headers(serve, open_client):
    """A POST sends the body unchanged, its length and the caller's headers, and nothing from the environment."""
    server = serve()
    open_client().post(server.url, b'{"a":1}', {"Authorization": "Bearer k", "accept": "x/y"}, timeout=5)
    (received,) = server.requests
    assert received.line == "POST /v1/chat HTTP/1.1"
    assert received.body == b'{"a":1}'
    headers = dict(received.headers)
    assert headers.pop("user-agent").startswith("llm-sync/")
    assert headers == {
        "host": f"127.0.0.1:{server.port}",
        "content-length": "7",
        "authorization": "Bearer k",
        "accept": "x/y",
        "accept-encoding": "gzip, deflate",
    }


def test_get_sends_no_body(serve, open_client):
    """A GET sends no body, and the query as given."""
    server = serve()
    assert open_client().get(server.url + "?page=2", {}, timeout=5).status == 200
    assert server.requests[0].line == "GET /v1/chat?page=2 HTTP/1.1"
    assert "content-length" not in server.requests[0].headers


def test_calls_do_not_see_each_others_headers(serve, open_client):
    """The headers of one call are not sent with the next."""
    server, client = serve(), open_client()
    client.post(server.url, b"1", {"X-First": "1"}, timeout=5)
    client.post(server.url, b"22", {}, timeout=5)
    assert "x-first" not in server.requests[1].headers
    assert server.requests[1].headers["content-length"] == "2"


def test_a_connection_is_kept_for_the_next_call(serve, open_client):
    """Ten calls in a row use one connection."""
    server, client = serve(), open_client()
    for number in range(10):
        assert client.post(server.url, b"%d" % number, {}, timeout=5).content == b"%d" % number
    assert server.connections == 1


def test_threads_get_their_own_answers(serve, open_client):
    """Eight threads share a client with a pool of two, and each gets its own answers."""
    server, client, wrong = serve(), open_client(pool_size=2), []

    def work(name):
        for number in range(20):
            body = b"%d-%d" % (name, number)
            if client.post(server.url, body, {}, timeout=10).content != body:
                wrong.append(body)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_tcp_keepalive_is_set(serve, open_client):
    """TCP keepalive is on, so that a dead peer is detected and NAT entries survive while a model computes."""
    client = open_client()
    client.post(serve().url, b"{}", {}, timeout=5)
    (sock,) = client._sockets
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    if hasattr(socket, "TCP_KEEPIDLE"):
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60


def test_cookies_are_not_kept(serve, open_client):
    """A cookie that a server sets is neither sent back nor stored."""

    def script(peer):
        while peer.request():
            peer.reply(headers=["Set-Cookie: session=1; Path=/"])

    server, client = serve(script), open_client()
    for _ in range(2):
        client.post(server.url, b"{}", {}, timeout=5)
    assert "cookie" not in server.requests[1].headers
    assert not client._session.cookies


def test_netrc_is_not_consulted(serve, open_client, tmp_path, monkeypatch):
    """A password for the host in ~/.netrc does not replace the key."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    server = serve()
    open_client().post(server.url, b"{}", {"Authorization": "Bearer k"}, timeout=5)
    open_client().post(server.url, b"{}", {}, timeout=5)
    assert server.requests[0].headers["authorization"] == "Bearer k"
    assert "authorization" not in server.requests[1].headers


# Size and encoding


@pytest.mark.parametrize("coding", ["gzip", "deflate", "x-gzip"])
def test_compressed_answers_are_decoded(serve, open_client, coding):
    """gzip and deflate are decoded, however small the chunks."""
    text = b"answer " * 1000
    packed = zlib.compress(text) if coding == "deflate" else gzip.compress(text)

    def script(peer):
        peer.request()
        peer.send(f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        for start in range(0, len(packed), 7):
            piece = packed[start : start + 7]
            peer.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        peer.send(b"0\r\n\r\n")

    assert open_client().post(serve(script).url, b"{}", {}, timeout=5).content == text


def test_an_answer_of_exactly_the_cap_passes(serve, open_client):
    """A response of exactly the size cap is accepted, one byte more is not."""

    def script(peer):
        while peer.request():
            peer.reply(b"x" * 1000)

    server = serve(script)
    assert len(open_client(max_response_bytes=1000).post(server.url, b"{}", {}, timeout=5).content) == 1000
    with pytest.raises(ProviderError, match="larger than 999 bytes") as caught:
        open_client(max_response_bytes=999).post(server.url, b"{}", {}, timeout=5)
    assert caught.value.retryable is False
    assert "max_response_bytes" in caught.value.guidance
    assert caught.value.status == 200


def test_a_gzip_bomb_is_held_at_the_cap(serve, open_client):
    """100 KB that decompress to 100 MB take a few megabytes of memory, and the connection is closed."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(100)) + packer.flush()

    def script(peer):
        while peer.request():
            peer.reply(bomb, headers=["Content-Encoding: gzip"])

    server, client = serve(script), open_client(max_response_bytes=2**20)
    tracemalloc.start()
    try:
        with pytest.raises(ProviderError, match="larger than"):
            client.post(server.url, b"{}", {}, timeout=10)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * 2**20
    with pytest.raises(ProviderError):
        client.post(server.url, b"{}", {}, timeout=10)
    assert server.connections == 2


def test_an_endless_answer_ends_at_the_cap(serve, open_client):
    """An endless body ends at the size cap, not at the timeout."""

    def script(peer):
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            peer.send(bytes(65536))

    with pytest.raises(ProviderError, match="larger than"):
        open_client(max_response_bytes=2**20).post(serve(script).url, b"{}", {}, timeout=30)


def test_damaged_compression_is_a_connection_error(serve, open_client):
    """A body that is declared as gzip but is not is a retryable error."""

    def script(peer):
        peer.request()
        peer.reply(b"not gzip", headers=["Content-Encoding: gzip"])

    with pytest.raises(ProviderConnectionError, match="cannot be decompressed") as caught:
        open_client().post(serve(script).url, b"{}", {}, timeout=5)
    assert caught.value.retryable


# Redirects


@pytest.mark.parametrize(
    ("status", "location", "named"),
    [
        (301, "https://other.example/v2?key=secret", "https://other.example"),
        (302, "https://user:secret@other.example:8443/secret", "https://other.example:8443"),
        (303, "//other.example/secret", "http://other.example"),
        (307, "/secret", "http://127.0.0.1:"),
        (308, "ftp://other.example/secret", "an unreadable address"),
        (307, "https://[::1/secret", "an unreadable address"),
        (307, "https://\x1b[31msecret\xff/", "an unreadable address"),
        (302, "", "nowhere"),
        (304, None, "nowhere"),
    ],
)
def test_redirects_are_refused(serve, open_client, status, location, named):
    """A redirect is an error that names only scheme and host of its target; nothing is sent there."""

    def script(peer):
        while peer.request():
            peer.reply(b"", f"{status} Over There", [] if location is None else [f"Location: {location}"])

    server = serve(script)
    with pytest.raises(ProviderError, match="not followed") as caught:
        open_client().post(server.url, b"{}", {"x-api-key": "k"}, timeout=5)
    assert named in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert (caught.value.status, caught.value.retryable) == (status, False)
    assert "base_url" in caught.value.guidance
    assert len(server.requests) == 1


def test_a_redirect_s_body_is_not_read(serve, open_client):
    """The body of a redirect is not read: it may be endless."""

    def script(peer):
        peer.request()
        peer.send(b"HTTP/1.1 307 There\r\nLocation: https://other.example/\r\n\r\n")
        peer.drip(b" " * 100)

    with pytest.raises(ProviderError, match="not followed"):
        open_client().post(serve(script).url, b"{}", {}, timeout=5)


# Broken answers and stale connections


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{half",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{hal",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{half\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{half\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\n",
    ],
)
@pytest.mark.parametrize("reset", [False, True])
def test_an_answer_that_breaks_off_is_an_error(serve, open_client, answer, reset):
    """A truncated response is a retryable error, never an (empty) answer."""

    def script(peer):
        peer.request()
        peer.send(answer)
        if reset:
            peer.reset()

    server, client = serve(script), open_client()
    with pytest.raises(ProviderConnectionError, match="127.0.0.1") as caught:
        client.post(server.url, b"{}", {}, timeout=5)
    assert caught.value.retryable
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [b"220 mail.example ESMTP\r\n", b"\x00\x03\x01\x00\x02" * 3, b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 200 + b"\r\n"],
)
def test_another_protocol_is_an_error_about_the_address(serve, open_client, answer):
    """Another protocol on the port is an error that says to check base_url."""

    def script(peer):
        peer.request()
        peer.send(answer)

    with pytest.raises(ProviderConnectionError, match="not HTTP") as caught:
        open_client().post(serve(script).url, b"{}", {}, timeout=5)
    assert "base_url" in caught.value.guidance


def test_contradicting_lengths_are_an_error(serve, open_client):
    """Contradictory Content-Length headers are an error: they leave unclear where the response ends."""

    def script(peer):
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}")

    with pytest.raises(ProviderConnectionError, match="not HTTP"):
        open_client().post(serve(script).url, b"{}", {}, timeout=5)


def test_bytes_after_an_answer_are_not_the_next_one(serve, open_client, authority):
    """Surplus bytes after a response are not taken for the next one; with TLS, poll does not show them."""

    def script(peer):
        peer.request()
        forged = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}" + b" " * 8100 + forged * 80)
        while received := peer.request():
            peer.reply(received.body)

    for tls in (None, authority.context()):
        server, client = serve(script, tls), open_client(ca_bundle=authority.path)
        client.post(server.url, b"{}", {}, timeout=5)
        assert client.post(server.url, b"mine", {}, timeout=5).content in (b"mine", b"{}")
        assert server.connections == 2


@pytest.mark.parametrize("interim", [b"102 Processing", b"103 Early Hints"])
def test_the_answer_after_interim_ones_is_the_answer(serve, open_client, interim):
    """Interim responses are skipped, with their headers; the connection is reused."""

    def script(peer):
        peer.request()
        peer.send(b"HTTP/1.1 " + interim + b"\r\nLink: </x>\r\n\r\n")
        peer.send(b"HTTP/1.1 " + interim + b"\r\n\r\n")
        peer.reply(b"the answer")
        peer.request()
        peer.reply(b"the next")

    server, client = serve(script), open_client()
    assert client.post(server.url, b"1", {}, timeout=5).content == b"the answer"
    assert client.post(server.url, b"2", {}, timeout=5).content == b"the next"
    assert server.connections == 1


def test_the_answer_after_a_switch_of_protocols_is_not_the_next_request_s(serve, open_client):
    """A 101 is returned as a Reply, and its connection, which speaks another protocol now, is closed."""

    def script(peer):
        if peer.number == 0:
            peer.request()
            peer.send(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
            peer.request()
            peer.reply(b"late")
        else:
            peer.request()
            peer.reply(b"right")

    server, client = serve(script), open_client()
    assert client.post(server.url, b"1", {}, timeout=5).status == 101
    assert client.post(server.url, b"2", {}, timeout=5).content == b"right"


def _answers_once(how):
    """A script: the first connection answers one request, reads the second and calls ``how``; later ones echo."""

    def script(peer):
        received = peer.request()
        peer.reply(received.body)
        if peer.number == 0:
            if peer.request() is not None:
                how(peer)
            return
        while received := peer.request():
            peer.reply(received.body)

    return script


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("tls", [False, True])
def test_a_kept_connection_that_closes_without_an_answer_is_an_error(serve, open_client, authority, how, tls):
    """The server read the request: it is not sent again here, and the error says that it may be billed."""
    server = serve(_answers_once(lambda peer: peer.reset() if how == "reset" else None), authority.context() if tls else None)
    client = open_client(ca_bundle=authority.path)
    client.post(server.url, b"1", {}, timeout=5)
    with pytest.raises(ProviderConnectionError, match="without an answer") as caught:
        client.post(server.url, b"2", {}, timeout=5)
    assert caught.value.retryable
    assert caught.value.possibly_billed == 1
    assert [received.body for received in server.requests] == [b"1", b"2"]
    assert client.post(server.url, b"3", {}, timeout=5).content == b"3"


@pytest.mark.blocking_driver  # test_multiplexed.py has the other one
@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("tls", [False, True])
def test_a_connection_closed_before_the_request_reached_it_is_stale(serve, open_client, authority, monkeypatch, how, tls):
    """The server closes an idle connection while a request is written: the error says that a retry needs no wait."""
    go, gone = threading.Event(), threading.Event()

    def script(peer):
        peer.reply(peer.request().body)
        if peer.number:
            return
        go.wait(5)
        if how == "reset":
            peer.reset()
        else:
            peer.sock.shutdown(socket.SHUT_RDWR)
            peer.sock.close()
        gone.set()

    server = serve(script, authority.context() if tls else None)
    client = open_client(ca_bundle=authority.path)
    client.post(server.url, b"1", {}, timeout=5)
    kind = sockets.DeadlineTLSSocket if tls else sockets.DeadlineSocket
    sendall = kind.sendall

    def closed_first(sock, *arguments):
        go.set()
        assert gone.wait(5)
        sendall(sock, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(kind, "sendall", closed_first)
        with pytest.raises(ProviderConnectionError) as caught:
            client.post(server.url, b"2", {}, timeout=5)
    assert caught.value.stale_connection
    assert [received.body for received in server.requests] == [b"1"]
    assert client.post(server.url, b"3", {}, timeout=5).content == b"3"


@pytest.mark.parametrize("before", [False, True], ids=["first", "after-another"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_new_connection_that_fails_is_an_error(serve, open_client, authority, tls, before):
    """A failure on a new connection is an error: only a reused connection can be stale."""

    def script(peer):
        received = peer.request()
        if received.body == b"before":
            peer.reply(headers=["Connection: close"])

    server, client = serve(script, authority.context() if tls else None), open_client(ca_bundle=authority.path)
    if before:
        client.post(server.url, b"before", {}, timeout=5)
    with pytest.raises(ProviderConnectionError, match="without an answer") as caught:
        client.post(server.url, b"{}", {}, timeout=5)
    assert caught.value.retryable
    assert [received.body for received in server.requests][-2:] == ([b"before", b"{}"] if before else [b"{}"])


def test_a_stale_connection_takes_the_other_idle_ones_with_it(serve, open_client, monkeypatch):
    """A stale connection closes all idle ones, which are as old; the next request opens a new connection."""
    both = threading.Barrier(2)
    monkeypatch.setattr(error_mapping, "MIN_ROUND_TRIP_S", 5.0)
    put = ConnectionStack.put
    monkeypatch.setattr(ConnectionStack, "put", lambda stack, conn, **how: conn is None or put(stack, conn, **how))

    def script(peer):
        received = peer.request()
        if peer.number < 2:
            both.wait(5)
            peer.reply(received.body)
            peer.request()
            return
        peer.reply(received.body)
        peer.until_closed()

    server, client = serve(script), open_client(pool_size=2)
    threads = [threading.Thread(target=client.post, args=(server.url, b"0", {}), kwargs={"timeout": 5}) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with pytest.raises(ProviderConnectionError) as caught:
        client.post(server.url, b"1", {}, timeout=5)
    assert caught.value.stale_connection
    assert client.post(server.url, b"2", {}, timeout=5).content == b"2"
    assert [received.body for received in server.requests] == [b"0", b"0", b"1", b"2"]


@pytest.mark.blocking_driver  # test_multiplexed.py has the other one
def test_a_reused_connection_that_answered_in_part_is_not_stale(serve, open_client, monkeypatch):
    """After one byte of a response, a reset is an error, and not a stale connection."""
    arrived = threading.Event()
    recv_into = sockets.DeadlineSocket.recv_into

    def watched(sock, *args):
        count = recv_into(sock, *args)
        if count == 1:
            arrived.set()
        return count

    def one_byte_then_reset(peer):
        peer.send(b"H")
        arrived.wait(5)
        peer.reset()

    monkeypatch.setattr(sockets.DeadlineSocket, "recv_into", watched)
    server, client = serve(_answers_once(one_byte_then_reset)), open_client()
    client.post(server.url, b"1", {}, timeout=5)
    with pytest.raises(ProviderConnectionError):
        client.post(server.url, b"2", {}, timeout=5)
    assert [received.body for received in server.requests] == [b"1", b"2"]


def test_a_timeout_on_a_reused_connection_is_an_error(serve, open_client):
    """A timeout on a reused connection is an error: the server may be working on the request."""
    server = serve(_answers_once(lambda peer: peer.hold()))
    client = open_client()
    client.post(server.url, b"1", {}, timeout=5)
    with pytest.raises(ProviderError, match="did not answer"):
        client.post(server.url, b"2", {}, timeout=0.3)
    assert [received.body for received in server.requests] == [b"1", b"2"]


@pytest.mark.blocking_driver  # test_multiplexed.py has the other one
def test_a_dead_peer_on_a_reused_connection_is_an_error(serve, open_client, monkeypatch):
    """A connection that TCP keepalive finds dead was not closed by the server: it may be working on the request."""
    server, client = serve(), open_client()
    client.post(server.url, b"1", {}, timeout=5)

    def dead(sock, *args):
        raise OSError(errno.ETIMEDOUT, "Connection timed out")

    with monkeypatch.context() as patched:
        patched.setattr(sockets.DeadlineSocket, "recv_into", dead)
        with pytest.raises(ProviderConnectionError, match="127.0.0.1"):
            client.post(server.url, b"2", {}, timeout=5)
    assert server.connections == 1


def test_a_stale_connection_found_too_late_is_a_timeout(serve, open_client, monkeypatch):
    """If the time is used up, a closed connection is a timeout in the phase ``headers``."""
    server, client = serve(_answers_once(lambda peer: None)), open_client()
    client.post(server.url, b"1", {}, timeout=5)
    monkeypatch.setattr(exchange_module.Exchange, "expired", True)
    with pytest.raises(RequestTimeoutError) as caught:
        client.post(server.url, b"2", {}, timeout=5)
    assert caught.value.phase == "headers"
    assert [received.body for received in server.requests] == [b"1", b"2"]


def test_the_caches_by_url_are_bounded(serve, open_client):
    """A client that calls new URLs all the time keeps a bounded number of them."""
    server, client = serve(), open_client()
    for number in range(300):
        client.get(f"{server.url}/{number}", {}, timeout=5)
    assert len(client._targets) <= 256
    assert len(client._session.get_adapter(server.url)._pools) <= 256
    assert server.connections == 1


def test_connections_idle_too_long_are_dropped(serve, open_client, monkeypatch):
    """A connection that was idle for longer than the limit is replaced before use."""
    server, client = serve(), open_client()
    now = [1000.0]
    monkeypatch.setattr(pool, "monotonic", lambda: now[0])
    for idle, connections in ((0, 1), (24.9, 1), (25.1, 2), (24.9, 2)):
        now[0] += idle
        client.post(server.url, b"{}", {}, timeout=5)
        assert server.connections == connections


# Addresses


@pytest.mark.parametrize(
    "url",
    [
        "",
        None,
        "api.secret.example/v1",
        "localhost:8000/v1?key=secret",
        "//secret.example/v1",
        "ftp://secret.example/v1",
        "file:///etc/secret",
        "https://",
        "https:///v1/secret",
        "https:secret.example",
        "https://host:99999/secret",
        "https://host:0/secret",
        "https://host:port/secret",
        "https://[::1/secret",
        "https://a b/secret",
        "https://host/secret\n",
        "https://host\\@secret.example/",
        "https://user:secret@host/v1",
        "https://secret@host/v1",
        "https://host/v1#secret",
        "https://" + "secret" * 20 + ".example/",
        "https://a..secret/",
        "https://*.secret/",
        "https://host/\ud800secret",
    ],
)
def test_impossible_urls_are_configuration_errors(open_client, url):
    """The error says what is wrong and shows an example, without quoting anything that could be a secret."""
    with pytest.raises(ConfigurationError) as caught:
        open_client().post(url, b"{}", {}, timeout=5)
    assert caught.value.guidance
    assert "user" in str(caught.value) or "secret" not in str(caught.value).replace("https://*.secret", "")
    assert ":secret" not in str(caught.value)


@pytest.mark.parametrize(
    "host",
    [
        *("api.example", "10.0.0.1", "0", "0.0.0.0", "[::]", "127.1", "2130706433", "0x7f000001", "017700000001"),  # noqa: S104  (none is bound)
        *("127.0.0.1.example", "localhost.example", "localhost%2eexample", "[2001:db8::1]", "169.254.1.1", "metadata"),
        *("[::ffff:10.0.0.1]", "[fe80::1%25lo]", "\u2488.example", "\uff11\uff12\uff17.example"),
    ],
)
def test_plain_http_is_for_loopback_only(open_client, host):
    """Plain http to other machines is refused, and the error names ``allow_insecure``."""
    with pytest.raises(ConfigurationError, match="allow_insecure: true"):
        open_client().post(f"http://{host}/v1", b"{}", {}, timeout=5)


_LOOPBACK = ["localhost", "127.0.0.1", "127.8.8.8", "[::1]", "LOCALHOST", "[::ffff:127.0.0.1]"]
_METADATA_SERVER = ["169.254.169.254", "metadata.google.internal"]  # of a virtual machine: speaks plain http only


@pytest.mark.parametrize("host", _LOOPBACK)
def test_plain_http_to_loopback_is_let_through(open_client, host, monkeypatch):
    """Every name of this machine is allowed: the call gets as far as the name lookup."""
    monkeypatch.setattr(socket, "getaddrinfo", _no_address)
    with pytest.raises(ProviderConnectionError, match="cannot be resolved"):
        open_client().post(f"http://{host}:1/v1", b"{}", {}, timeout=5)


@pytest.mark.parametrize("host", _METADATA_SERVER)
@pytest.mark.parametrize("path", ["", "/", "/computeMetadata/v1/instance/service-accounts/default/token"])
def test_plain_http_to_a_metadata_server_is_for_tokens(open_client, host, path, monkeypatch):
    """Plain http to a metadata server is allowed for requests of tokens, which carry no key."""
    monkeypatch.setattr(socket, "getaddrinfo", _no_address)
    with pytest.raises(ProviderConnectionError, match="cannot be resolved"):
        open_client().get(f"http://{host}{path}", {}, timeout=5)
    with pytest.raises(ConfigurationError, match="allow_insecure: true"):
        open_client().post(f"http://{host}{path}", b"{}", {}, timeout=5)
    with pytest.raises(ConfigurationError, match="allow_insecure: true"):
        open_client().get(f"http://{host}/v1/models", {}, timeout=5)
    with pytest.raises(ConfigurationError, match="allow_insecure: true"):
        open_client(proxy="http://proxy.example:3128").get(f"http://{host}{path}", {}, timeout=5)


def test_allow_insecure_lets_plain_http_out(open_client, monkeypatch):
    """With ``allow_insecure``, plain http to other machines is used."""
    monkeypatch.setattr(socket, "getaddrinfo", _no_address)
    with pytest.raises(ProviderConnectionError, match="cannot be resolved"):
        open_client(allow_insecure=True).post("http://api.example/v1", b"{}", {}, timeout=5)


@pytest.mark.parametrize(
    "url", ["https://api.example/v1", "http://api.example/v1", *(f"http://{host}/v1" for host in _METADATA_SERVER)]
)
def test_a_simulation_sends_nothing_to_other_machines(open_client, url, monkeypatch):
    """A simulation refuses other machines, whatever else is allowed, before any name is looked up."""
    monkeypatch.setattr(socket, "getaddrinfo", None)
    with pytest.raises(ConfigurationError, match="sends requests to this machine only"):
        open_client(local_only=True, allow_insecure=True).post(url, b"{}", {}, timeout=5)


def test_a_simulation_uses_no_proxy_elsewhere(open_client, serve, monkeypatch):
    """A simulation refuses a proxy on another machine, whose localhost is not this one."""
    with pytest.raises(ConfigurationError, match="this machine only"):
        open_client(local_only=True, proxy="http://proxy.example:3128").post("http://127.0.0.1:1/v1", b"{}", {}, timeout=5)
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:3128")  # never asked for what is here

    def script(peer):
        peer.request()
        peer.reply(b"{}")

    assert open_client(local_only=True).post(serve(script).url, b"{}", {}, timeout=5).status == 200


def _no_address(*_: object) -> None:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def test_an_unknown_host_says_what_to_check(open_client, monkeypatch):
    """A name without an address is usually a misspelling, or a proxy that is not set."""
    monkeypatch.setattr(socket, "getaddrinfo", _no_address)
    with pytest.raises(ProviderConnectionError, match="https://api.example cannot be resolved") as caught:
        open_client().post("https://api.example/v1?key=secret", b"{}", {}, timeout=5)
    assert "base_url" in caught.value.guidance
    assert "proxy" in caught.value.guidance
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_refused_connection_says_what_to_check(open_client):
    """A refused connection asks whether the server is running."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ProviderConnectionError, match=f"http://127.0.0.1:{port} refuses connections") as caught:
        open_client().post(f"http://127.0.0.1:{port}/v1", b"{}", {}, timeout=5)
    assert "running" in caught.value.guidance
    assert caught.value.retryable


@pytest.mark.parametrize("value", ["Bearer a\nb", "Bearer \u20ac", "a\r\nX-Evil: 1"])
def test_an_impossible_header_is_named_without_its_value(serve, open_client, value):
    """The error names the header without its value, and nothing is sent."""
    server = serve()
    with pytest.raises(ConfigurationError, match="'Authorization'") as caught:
        open_client().post(server.url, b"{}", {"Authorization": value}, timeout=5)
    assert "Bearer" not in str(caught.value)
    assert caught.value.__context__ is None
    assert not server.requests


def test_the_query_is_kept_out_of_logs(serve, open_client, caplog):
    """urllib3's debug log shows the path of a request, but not its query."""
    with caplog.at_level(logging.DEBUG):
        open_client().get(serve().url + "?key=secret", {"Authorization": "secret"}, timeout=5)
    assert "/v1/chat" in caplog.text
    assert "secret" not in caplog.text


# Ending


def test_a_closed_client_refuses_calls(serve, open_client):
    """After close, calls raise ClientClosedError and no connection is left; close may be repeated."""
    server, client = serve(), open_client()
    client.post(server.url, b"{}", {}, timeout=5)
    (sock,) = client._sockets
    client.close()
    client.close()
    assert sock.fileno() == -1
    with pytest.raises(ClientClosedError):
        client.post(server.url, b"{}", {}, timeout=5)
    assert len(server.requests) == 1


def test_close_does_not_depend_on_garbage_collection(serve, open_client):
    """close closes the connections even if a traceback still refers to the pool."""
    server, client = serve(), open_client()
    client.post(server.url, b"{}", {}, timeout=5)
    kept, (sock,) = client._session, client._sockets
    client.close()
    assert sock.fileno() == -1
    assert kept is not None


def test_a_call_in_flight_finishes_after_close(serve, open_client):
    """A call in flight finishes after close, and its connection is closed then."""
    taken, go = threading.Event(), threading.Event()

    def script(peer):
        received = peer.request()
        taken.set()
        go.wait(5)
        peer.reply(received.body)

    server, client, replies = serve(script), open_client(), []
    thread = threading.Thread(target=lambda: replies.append(client.post(server.url, b"1", {}, timeout=5)))
    thread.start()
    assert taken.wait(5)
    client.close()
    go.set()
    thread.join()
    assert replies[0].content == b"1"
    assert all(sock.fileno() == -1 for sock in client._sockets)


def test_the_stack_of_idle_connections_is_bounded():
    """The stack of idle connections is last in, first out, and bounded."""
    stack = ConnectionStack(2)
    stack.put("a")
    stack.put("b")
    with pytest.raises(pool.queue.Full):
        stack.put("c")
    assert [stack.get(), stack.get()] == ["b", "a"]
    with pytest.raises(pool.queue.Empty):
        stack.get(block=False)


@pytest.mark.parametrize(
    ("round_trip", "after", "stale"),
    [(0.0, 0.0, True), (0.0, 0.05, False), (0.1, 0.15, True), (0.1, 0.25, False), (0.1, 30.0, False)],
)
def test_a_close_counts_as_stale_for_two_round_trips(round_trip, after, stale):
    """Within that time the close was on its way before the request; later the server may have worked on it."""
    exchange = exchange_module.Exchange(60.0, None, set())
    exchange.reused, exchange.round_trip = True, round_trip
    exchange.sent_at = exchange.started - after
    assert error_mapping.is_stale_connection(ConnectionResetError(), exchange) is stale


def test_the_round_trip_of_a_connection_is_measured(serve, open_client, monkeypatch):
    """It is the time that opening the TCP connection took, for every exchange over it."""
    seen = []
    begin_exchange = pool.DeadlineConnection.begin_exchange
    connect = sockets.DeadlineSocket.connect

    def slow_connect(sock, address):
        threading.Event().wait(0.05)
        connect(sock, address)

    def watched(conn, exchange):
        sock = begin_exchange(conn, exchange)
        seen.append(exchange.round_trip)
        return sock

    monkeypatch.setattr(sockets.DeadlineSocket, "connect", slow_connect)
    monkeypatch.setattr(pool.DeadlineConnection, "begin_exchange", watched)
    server, client = serve(), open_client()
    for _ in range(3):
        client.post(server.url, b"1", {}, timeout=5)
    assert len(set(seen)) == 1
    assert seen[0] >= 0.05
