"""Files through HTTPClient: bodies that are read while they are sent, responses that are written to a file."""

from __future__ import annotations

import gzip
import io
import threading
import tracemalloc

import pytest

from llm_sync.errors import ClientClosedError, ProviderConnectionError, ProviderError, RequestTimeoutError
from llm_sync.runtime.cancellation import CallControl

MIB = 1 << 20


def test_a_body_of_bytes_and_files_is_sent_in_their_order(serve, open_client):
    """With its length; each file from its beginning, wherever it stands."""
    server = serve()
    file = io.BytesIO(b"the file")
    file.seek(3)
    reply = open_client().transfer("POST", server.url, {"Content-Type": "x/y"}, body=(b"<", file, b">"), timeout=5)
    (received,) = server.requests
    assert (reply.status, received.body, received.headers["content-length"]) == (200, b"<the file>", "10")
    assert "transfer-encoding" not in received.headers


def test_a_response_is_written_to_a_file_and_memory_does_not_grow_with_it(serve, open_client):
    """Twenty megabytes in pieces of a quarter; the reply itself has no body."""
    size = 20 * MIB

    def script(peer):
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(20):
            peer.send(bytes(MIB))

    class Counter(io.RawIOBase):
        written = 0

        def write(self, piece):
            self.written += len(piece)
            return len(piece)

    into = Counter()
    server, client = serve(script), open_client()
    tracemalloc.start()
    try:
        reply = client.transfer("GET", server.url, {}, into=into, max_bytes=size, timeout=20)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (reply.status, reply.content, into.written) == (200, b"", size)
    assert peak < 8 * MIB  # the server's pieces are among it


def test_a_compressed_response_is_written_as_it_was(serve, open_client):
    """Decoded, and the limit counts decoded bytes."""
    content = gzip.compress(b"a" * 1000)

    def script(peer):
        while peer.request():
            peer.reply(content, headers=["Content-Encoding: gzip"])

    server, client, into = serve(script), open_client(), io.BytesIO()
    client.transfer("GET", server.url, {}, into=into, max_bytes=1000, timeout=5)
    assert into.getvalue() == b"a" * 1000
    with pytest.raises(ProviderError, match="larger than 999 bytes"):
        client.transfer("GET", server.url, {}, into=io.BytesIO(), max_bytes=999, timeout=5)


def test_an_error_comes_as_a_reply_and_not_into_the_file(serve, open_client):
    """Its body tells what is wrong."""

    def script(peer):
        peer.request()
        peer.reply(b"gone", "404 Not Found")

    into = io.BytesIO()
    reply = open_client().transfer("GET", serve(script).url, {}, into=into, max_bytes=10, timeout=5)
    assert (reply.status, reply.content, into.getvalue()) == (404, b"gone", b"")


def test_a_disk_that_is_full_is_no_error_of_the_network(serve, open_client):
    """OSError, as from any other file."""

    class Full(io.RawIOBase):
        def write(self, piece):
            raise OSError(28, "No space left on device")

    def script(peer):
        peer.request()
        peer.reply(b"content")

    with pytest.raises(OSError, match="No space left"):
        open_client().transfer("GET", serve(script).url, {}, into=Full(), max_bytes=100, timeout=5)


def test_a_connection_that_ends_within_the_file_is_an_error(serve, open_client):
    """What came so far stays in the file: the caller begins anew."""

    def script(peer):
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")

    with pytest.raises(ProviderConnectionError):
        open_client().transfer("GET", serve(script).url, {}, into=io.BytesIO(), max_bytes=1000, timeout=5)


def test_a_transfer_has_a_deadline_and_can_be_aborted(serve, open_client):
    """As every exchange."""
    arrived, go_on = threading.Event(), threading.Event()

    def script(peer):
        peer.request()
        arrived.set()
        go_on.wait(10)

    server, control = serve(script), CallControl()
    with pytest.raises(RequestTimeoutError) as caught:
        open_client().transfer("GET", server.url, {}, timeout=0.2)
    assert caught.value.possibly_billed == 1
    arrived.clear()
    threading.Thread(target=lambda: (arrived.wait(10), control.abort())).start()
    with pytest.raises(ClientClosedError, match="aborted"):
        open_client().transfer("GET", server.url, {}, timeout=10, control=control)
    go_on.set()


def test_a_fresh_transfer_uses_no_idle_connection(serve, open_client):
    """An idle one may be closed already, and a lost answer would look the same."""
    numbers = []

    def script(peer):
        while peer.request():
            numbers.append(peer.number)
            peer.reply(b"{}")

    server, client = serve(script), open_client()
    for fresh in (False, False, True):
        client.transfer("POST", server.url, {}, body=b"{}", timeout=5, fresh=fresh)
    assert numbers == [0, 0, 1]
