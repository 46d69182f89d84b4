"""The fast path (over a kept connection) gives the same results as requests and urllib3 (over a new connection)."""

from __future__ import annotations

import gzip
import threading
from time import monotonic

import pytest
import requests.adapters
from urllib3.util.wait import wait_for_read

from llm_sync.errors import ClientClosedError, ConfigurationError, RequestTimeoutError
from llm_sync.runtime.cancellation import CallControl
from llm_sync.transport import fast_path, framing, sockets

PACKED = gzip.compress(b'{"packed": true}')
PLAIN = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Request-ID: r1\r\nContent-Length: 13\r\n\r\n{"plain": 1}\n'
ANSWERS = {
    "plain": PLAIN,
    "no reason": b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}",
    "empty": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "an error": b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\n{}",
    "repeated headers": b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nset-cookie:  b=2\t\r\nVia: x\r\nContent-Length: 2\r\n\r\n{}",
    "latin-1 and nothing": b"HTTP/1.1 200 OK\r\nX-A: caf\xe9\r\nX-B:\r\nX-C:a:b\r\nContent-Length: 2\r\n\r\n{}",
    "said to stay": b"HTTP/1.1 200 OK\r\nConnection: Keep-Alive\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\n{}",
    "said to close": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
    "several options": b"HTTP/1.1 200 OK\r\nConnection: x, close\r\nContent-Length: 2\r\n\r\n{}",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{}\n\r\n2;x=1\r\n[]\r\n0\r\nTrailer: 1\r\n\r\n",
    "chunks and a length": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{}\n\r\n0\r\n\r\n",
    "gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(PACKED), PACKED),
    "gzip in chunks": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
    % (len(PACKED), PACKED),
    "chunks and a blank": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked \r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "gzip and a blank": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\t\r\nContent-Length: %d\r\n\r\n%b" % (len(PACKED), PACKED),
    "no gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
    "identity": b"HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}",
    "no content": b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n",
    "no content, with a length": b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n",
    "until the end": b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\n{}",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "HTTP/1.0 that stays": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}",
    "continue first": b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN,
    "early hints first": b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + PLAIN,
    "a switch of protocols": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    "a redirect": b"HTTP/1.1 307 There\r\nLocation: https://other.example/x\r\nContent-Length: 0\r\n\r\n",
    "folded": b"HTTP/1.1 200 OK\r\nX-A: one\r\n two\r\nContent-Length: 2\r\n\r\n{}",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
    "a blank before the colon": b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\nX: 1\r\n\r\n{}",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "twice the same length": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "a list of lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\n{}",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}",
    "a signed length": b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n{}",
    "a length of other digits": "HTTP/1.1 200 OK\r\nContent-Length: \u00b2\r\n\r\n{}".encode("latin-1"),
    "an endless length": b"HTTP/1.1 200 OK\r\nContent-Length: %b\r\n\r\n{}" % (b"9" * 5000),
    "more than allowed": b"HTTP/1.1 200 OK\r\nContent-Length: 5001\r\n\r\n" + b"x" * 5001,
    "as much as allowed": b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5000,
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 99 + b"Content-Length: 2\r\n\r\n{}",
    "too many headers": b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 101 + b"Content-Length: 2\r\n\r\n{}",
    "a long header": b"HTTP/1.1 200 OK\r\nX: " + b"1" * 40000 + b"\r\nContent-Length: 2\r\n\r\n{}",
    "a header without end": b"HTTP/1.1 200 OK\r\nX: " + b"1" * 70000 + b"\r\nContent-Length: 2\r\n\r\n{}",
    "no headers": b"HTTP/1.1 200 OK\r\n\r\n{}",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\n{}",
    "a status of words": b"HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\n{}",
    "another version": b"HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "another protocol": b"220 mail.example ESMTP\r\n",
    "more than announced": PLAIN + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged",
    "nothing": b"",
    "too little": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{half",
    "half a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{hal",
}
CAP = 5000
_UPLOAD = 12 * 2**20  # bytes, more than the buffers on the way hold
ENDLESS = ("until the end", "HTTP/1.0", "a negative length", "a signed length", "a length of other digits", "no headers",
           "an endless length", "folded", "a header without end", "another protocol", "nothing", "too little", "half a chunk",
           "a blank before the colon", "a switch of protocols", "two lengths", "a list of lengths")  # fmt: skip


def outcome(client, server, body, headers):
    """The parts of a reply or an error that must be equal."""
    try:
        reply = client.post(server.url, body, headers, timeout=5)
    except Exception as error:
        said = str(error).replace(str(server.port), "PORT")
        return type(error), said, getattr(error, "status", None), getattr(error, "retryable", None)
    return reply.status, {name.lower(): value.strip() for name, value in reply.headers.items()}, reply.content


def _wait_for_close(client):
    """Wait until the server's close, or surplus bytes before it, reached the idle connection."""
    for sock in client._sockets:
        if sock.fileno() != -1:
            assert wait_for_read(sock, 5)


def outcomes(serve, open_client, answer, *, warm, closes, tls=None, ca=None):
    """The outcomes of a request with this response and of the next: on a kept connection (``warm``) or a new one."""

    def script(peer):
        while (received := peer.request()) is not None:
            if received.body != b"asked":
                peer.reply(received.body)
                continue
            peer.send(answer)
            if closes:
                return

    server, client = serve(script, tls), open_client(max_response_bytes=CAP, ca_bundle=ca)
    headers = {"Authorization": "Bearer k"}
    if warm:
        client.post(server.url, b"warm", headers, timeout=5)
        assert client._targets["POST", server.url].header_cache.get(headers)
    found = [outcome(client, server, b"asked", headers)]
    if closes:
        _wait_for_close(client)
    found.append(outcome(client, server, b"next", headers))
    sent = [(received.line, received.headers, received.body) for received in server.requests[-2:]]
    for _, headers, _ in sent:
        headers["host"] = headers["host"].replace(str(server.port), "PORT")
    return found, sent, server.connections


@pytest.mark.parametrize("name", ANSWERS)
def test_the_last_answer_of_a_connection_comes_out_as_over_a_new_one(serve, open_client, name):
    """Whatever a server sends before it closes, reply or error, the next outcome and the bytes sent are the same."""
    warm = outcomes(serve, open_client, ANSWERS[name], warm=True, closes=True)
    cold = outcomes(serve, open_client, ANSWERS[name], warm=False, closes=True)
    assert warm == cold


@pytest.mark.parametrize("name", sorted(ANSWERS.keys() - set(ENDLESS)))
def test_an_answer_that_has_an_end_comes_out_as_over_a_new_one(serve, open_client, name):
    """If the server keeps the connection open, both paths reuse it, or both do not."""
    warm = outcomes(serve, open_client, ANSWERS[name], warm=True, closes=False)
    cold = outcomes(serve, open_client, ANSWERS[name], warm=False, closes=False)
    assert warm == cold


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("name", ["plain", "chunks", "gzip", "gzip in chunks", "empty", "no content", "continue first"])
def test_the_next_request_does_not_meet_what_was_sent_unasked(serve, open_client, authority, name, warm, secure):
    """Surplus bytes that were partly read with a response do not reach the next one."""
    forged = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"

    def script(peer):
        rest = b""
        while (received := peer.request()) is not None:
            if received.body == b"asked":
                peer.send(ANSWERS[name] + forged[:30])
                rest = forged[30:]
            else:
                peer.send(rest)
                peer.reply(received.body)

    server = serve(script, authority.context() if secure else None)
    client = open_client(ca_bundle=authority.path)
    if warm:
        client.post(server.url, b"warm", {}, timeout=5)
    client.post(server.url, b"asked", {}, timeout=5)
    assert client.post(server.url, b"next", {}, timeout=5).content == b"next"
    assert server.connections == 2


@pytest.mark.parametrize("name", ["plain", "chunks", "gzip", "repeated headers"])
def test_both_paths_agree_over_tls(serve, open_client, authority, name):
    """Both paths give the same results over TLS."""
    warm, cold = (
        outcomes(serve, open_client, ANSWERS[name], warm=warm, closes=False, tls=authority.context(), ca=authority.path)
        for warm in (True, False)
    )
    assert warm == cold


@pytest.mark.parametrize("cut", range(0, len(PLAIN), 3))
def test_an_answer_that_breaks_off_anywhere_is_an_error(serve, open_client, cut):
    """A response truncated at any byte is the same error on both paths."""
    if cut == 0:
        return
    warm = outcomes(serve, open_client, PLAIN[:cut], warm=True, closes=True)
    assert isinstance(warm[0][0][0], type)
    assert warm == outcomes(serve, open_client, PLAIN[:cut], warm=False, closes=True)


@pytest.mark.parametrize("piece_size", [1, 2, 7, 90])
@pytest.mark.parametrize("name", ["plain", "chunks", "gzip", "as much as allowed", "continue first"])
def test_an_answer_may_come_in_pieces_of_any_size(serve, open_client, monkeypatch, name, piece_size):
    """The reply is the same, however few bytes each read returns."""
    whole = outcomes(serve, open_client, ANSWERS[name], warm=True, closes=False)
    recv_into = sockets.DeadlineSocket.recv_into

    def a_little(sock, buffer, *more):
        return recv_into(sock, memoryview(buffer)[:piece_size], *more)

    monkeypatch.setattr(sockets.DeadlineSocket, "recv_into", a_little)
    assert outcomes(serve, open_client, ANSWERS[name], warm=True, closes=False) == whole


@pytest.mark.parametrize("size", [2**20, 2**20 + 1, 3 * 2**20])
def test_large_answers_come_whole(serve, open_client, size):
    """Bodies below and above the limit for preallocated buffers are complete."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"xy" * (size // 2) + b"z" * (size % 2)

    def script(peer):
        while (received := peer.request()) is not None:
            peer.send(answer if received.body == b"asked" else b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    server, client = serve(script), open_client()
    for body in (b"warm", b"asked", b"next", b"asked"):
        content = client.post(server.url, body, {}, timeout=20).content
        assert content == (answer[-size:] if body == b"asked" else b"")
    assert server.connections == 1


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 2_000_000])
def test_bodies_of_any_size_go_out_whole(serve, open_client, size):
    """Request bodies of any size arrive complete: small ones are sent with the head, large ones after it."""
    server, client = serve(), open_client()
    for body in (b"first", b"x" * size, b"last"):
        client.post(server.url, body, {}, timeout=5)
    assert [received.body for received in server.requests] == [b"first", b"x" * size, b"last"]
    assert server.connections == 1


def test_simple_responses_use_the_fast_path(serve, open_client, monkeypatch):
    """The second request does not use requests' Session, nor does a second GET."""
    server, client = serve(), open_client()
    client.post(server.url, b"1", {}, timeout=5)
    client.get(server.url, {}, timeout=5)
    monkeypatch.setattr(client._session, "send", None)
    assert client.post(server.url, b"2", {}, timeout=5).content == b"2"
    assert client.get(server.url, {}, timeout=5).content == b"{}"
    assert [received.line.split()[0] for received in server.requests] == ["POST", "GET", "POST", "GET"]


UNFIT = [
    ("Authorization", "a\r\nX-Evil: 1"),
    ("Authorization", "a\n X-Evil: 1"),  # a line of its own to some servers
    ("Authorization", "a\r\n\tX-Evil: 1"),
    ("Authorization", "a\0b"),
    ("Authorization", "a\x0bb"),
    ("Authorization", "\u20ac"),
    ("X Authorization", "a"),
    ("X\n Authorization", "a"),
    ("Authorization:", "a"),
    ("", "a"),
]


@pytest.mark.parametrize(("name", "value"), UNFIT)
def test_new_headers_are_checked_before_they_are_cached(serve, open_client, name, value):
    """New headers are checked on a kept connection too: one that HTTP does not allow is refused."""
    server, client = serve(), open_client()
    client.post(server.url, b"{}", {"Authorization": "Bearer a"}, timeout=5)
    with pytest.raises(ConfigurationError) as raised:
        client.post(server.url, b"{}", {name: value}, timeout=5)
    assert repr(name) in str(raised.value)
    assert value == "a" or value not in str(raised.value)
    client.post(server.url, b"{}", {"Authorization": "Bearer b"}, timeout=5)
    assert [received.headers["authorization"] for received in server.requests] == ["Bearer a", "Bearer b"]
    assert server.connections == 1


def test_a_header_that_looks_like_the_length_confuses_nothing(serve, open_client):
    """A head in which the Content-Length cannot be located is not cached."""
    server, client = serve(), open_client()
    odd = {"X-A": "1", "content-length": "7"}
    for body in (b"1234567", b"12", b"1234567"):
        client.post(server.url, body, odd, timeout=5)
    assert [received.body for received in server.requests] == [b"1234567", b"12", b"1234567"]


def test_cached_heads_are_bounded(serve, open_client):
    """The number of cached heads is bounded, though keys change every hour."""
    server, client = serve(), open_client()
    for number in range(40):
        client.post(server.url, b"{}", {"Authorization": f"Bearer {number}"}, timeout=5)
    assert len(client._targets["POST", server.url].header_cache._heads) <= 16


def test_what_another_layer_puts_into_a_request_is_for_that_request(serve, open_client, monkeypatch):
    """A header that another layer adds to one request, like a trace id, is not sent with the next."""
    server, client = serve(), open_client()
    original, traces = requests.Session.send, iter("abc")

    def traced(self, request, **options):
        request.headers["traceparent"] = next(traces)
        return original(self, request, **options)

    monkeypatch.setattr(requests.Session, "send", traced)
    for _ in range(3):
        client.post(server.url, b"{}", {"X-A": "1"}, timeout=5)
    monkeypatch.undo()
    client.post(server.url, b"{}", {"X-A": "1"}, timeout=5)
    assert [received.headers.get("traceparent") for received in server.requests] == ["a", "b", "c", None]


def test_requests_through_a_proxy_do_not_use_the_fast_path(serve, open_client):
    """Requests through a proxy do not use the fast path."""
    proxy = serve()
    client = open_client(proxy=f"http://127.0.0.1:{proxy.port}", allow_insecure=True)
    for _ in range(2):
        client.post("http://api.example/v1", b"{}", {}, timeout=5)
    assert [received.line for received in proxy.requests] == ["POST http://api.example/v1 HTTP/1.1"] * 2


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize(
    ("piece", "phase"),
    [(b"", "headers"), (b"X", "headers"), (b"HTTP/1.1 200 OK\r\n", "headers"), (PLAIN[:-5], "body")],
    ids=["silence", "a byte", "half a head", "half a body"],
)
def test_the_timeout_holds(serve, open_client, authority, tls, piece, phase):
    """Wherever the server stops sending, the call ends on time, and the connection is closed."""

    def script(peer):
        while (received := peer.request()) is not None:
            if received.body == b"asked":
                peer.send(piece)
                peer.until_closed()
                return
            peer.reply(received.body)

    server, client = serve(script, authority.context() if tls else None), open_client(ca_bundle=authority.path)
    client.post(server.url, b"warm", {}, timeout=5)
    started = monotonic()
    with pytest.raises(RequestTimeoutError) as caught:
        client.post(server.url, b"asked", {}, timeout=0.3)
    assert 0.3 <= monotonic() - started + 0.001 < 10
    assert caught.value.phase == phase
    assert client.post(server.url, b"next", {}, timeout=5).content == b"next"
    assert (server.connections, len(server.requests)) == (2, 3)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_an_upload_nobody_reads_times_out(serve, open_client, authority, tls):
    """An upload that the server does not read times out; one that it reads later arrives complete."""
    read = threading.Event()

    def script(peer):
        peer.reply(peer.request().body)
        read.wait(10)
        while (received := peer.request()) is not None:
            peer.reply(b"%d" % len(received.body))

    server, client = serve(script, authority.context() if tls else None), open_client(ca_bundle=authority.path)
    client.post(server.url, b"warm", {}, timeout=5)
    with pytest.raises(RequestTimeoutError) as caught:
        client.post(server.url, bytes(_UPLOAD), {}, timeout=0.3)
    assert caught.value.phase == "headers"
    client.post(server.url, b"warm", {}, timeout=5)
    threading.Timer(0.1, read.set).start()
    assert client.post(server.url, bytes(_UPLOAD), {}, timeout=20).content == b"%d" % _UPLOAD
    assert server.connections == 2


@pytest.mark.parametrize("piece", [b"", b"HTTP/1.1 200 OK\r\nX: ", PLAIN[:-5]], ids=["silence", "half a head", "half a body"])
def test_an_abort_ends_it_at_once(serve, open_client, piece):
    """An abort ends the call at once, and its connection is not used again."""
    reached = threading.Event()
    control, ended = CallControl(), []

    def script(peer):
        while (received := peer.request()) is not None:
            if received.body == b"asked":
                peer.send(piece)
                reached.set()
                peer.until_closed()
                return
            peer.reply(received.body)

    def ask():
        with pytest.raises(ClientClosedError):
            client.post(server.url, b"asked", {}, timeout=20, control=control)
        ended.append(True)

    server, client = serve(script), open_client()
    client.post(server.url, b"warm", {}, timeout=5)
    thread = threading.Thread(target=ask)
    thread.start()
    assert reached.wait(5)
    control.abort()
    thread.join(5)
    assert ended
    assert client.post(server.url, b"next", {}, timeout=5).content == b"next"
    assert server.connections == 2


@pytest.mark.blocking_driver  # test_multiplexed.py has the other one
def test_a_response_to_half_an_upload_is_returned(serve, open_client, monkeypatch):
    """If a server rejects an upload half-way and closes, its response is returned."""
    server, client = serve(), open_client()
    client.post(server.url, b"warm", {}, timeout=5)
    sendall = sockets.DeadlineSocket.sendall

    def broken(sock, data):
        sendall(sock, data)
        raise BrokenPipeError

    with monkeypatch.context() as patched:
        patched.setattr(sockets.DeadlineSocket, "sendall", broken)
        assert client.post(server.url, b"asked", {}, timeout=5).content == b"asked"
    assert client.post(server.url, b"next", {}, timeout=5).content == b"next"
    assert (server.connections, len(server.requests)) == (2, 3)


def test_headers_are_looked_up_in_any_case():
    """Header names are lower-case and looked up in any case; repeated ones are joined, missing ones None."""
    headers = fast_path.Headers({"x-a": "1", "x-b": "2, 3"})
    assert (headers["X-A"], headers.get("X-b"), headers.get("x-c"), headers.get("x-c", "")) == ("1", "2, 3", None, "")
    assert "X-A" in headers
    assert dict(headers) == {"x-a": "1", "x-b": "2, 3"}
    assert len(headers) == 2
    with pytest.raises(KeyError):
        headers["x-c"]


def read_head(*headers: str) -> framing.ResponseReader:
    """What was read of a response without a body."""
    reader = framing.ResponseReader(100)
    reader.feed("".join(f"{line}\r\n" for line in ("HTTP/1.1 200 OK", "Content-Length: 0", *headers, "")).encode("latin-1"))
    return reader


def test_the_names_of_headers_that_are_remembered_are_bounded():
    """A server that invents names fills no memory, and its headers are read all the same."""
    for number in range(2000):
        fields = read_head(f"X-Invented-{number}: {number}").fields
        assert fields == {"content-length": "0", f"x-invented-{number}": str(number)}
    assert len(framing._names) <= framing._MAX_NAMES


@pytest.mark.parametrize(
    "line", ["no colon", ": no name", "two words: 1", "Näme: 1", "Name : 1", " folded: 1", "A: 1\n", "A: 1\rB: 2", "A: 1\0"]
)
def test_what_is_no_header_is_left_to_the_library(line):
    """Also when such a line was seen before."""
    for _ in range(2):
        with pytest.raises(framing.OddResponse):
            read_head("A: 0", line)
