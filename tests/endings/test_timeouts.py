"""A server that drips, pads, falls silent or breaks off: ``timeout`` holds through the whole client."""

from __future__ import annotations

import time

import pytest
from endings_apparatus import PATIENCE_S, answer

from llm_sync import ProviderConnectionError, RequestTimeoutError

TIMEOUT = 0.25
GRACE = 10.0  # a machine may be busy; what would be wrong lasts for ever


def silent(peer, seen):
    """Taken, never answered."""
    peer.silence()


def dripping_headers(peer, seen):
    """One byte of a header now and then."""
    peer.send(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    peer.drip(b"x")


def dripping_body(peer, seen):
    """One byte of the answer now and then."""
    whole = answer("a", "slow")
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(whole))
    for byte in whole:
        if peer.server.over.wait(0.02):
            return
        peer.send(bytes([byte]))


def whitespace(peer, seen):
    """White space for ever, as gateways send it while a model thinks."""
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    peer.drip(b"b\r\n\n         \n\r\n")


def half_and_silent(peer, seen):
    """Half an answer, then nothing."""
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
    peer.silence()


SLOW = [
    (silent, "headers"),
    (dripping_headers, "headers"),
    (dripping_body, "body"),
    (whitespace, "body"),
    (half_and_silent, "body"),
]


def late_by(client, phase, timeout=TIMEOUT):
    """How many seconds after its timeout the call ended; it named the phase and was attempted once."""
    started = time.monotonic()
    with pytest.raises(RequestTimeoutError, match=f"{timeout:g} s") as caught:
        client.generate("slow", timeout=timeout, max_retries=0)
    took = time.monotonic() - started
    error = caught.value
    assert (error.phase, error.attempts, error.retryable, error.provider, error.model) == (phase, 1, True, "a", "m")
    assert timeout <= took < timeout + GRACE
    return took - timeout


@pytest.mark.parametrize(("how", "phase"), SLOW, ids=lambda value: getattr(value, "__name__", ""))
def test_timeout_holds_and_the_connection_is_dropped(serve, open_client, how, phase):
    """Not before its value and within a second after; the next request goes over another connection and is answered."""
    upstream = serve(lambda peer, seen: (how(peer, seen), True)[1] if seen.text == "slow" else None)
    client = open_client(upstream)
    assert client.generate("first").text == "echo first"
    late_by(client, phase)
    assert client.generate("next", wait_timeout=PATIENCE_S).text == "echo next"
    assert [(seen.text, seen.connection) for seen in upstream.log] == [("first", 0), ("slow", 0), ("next", 1)]


def test_two_hundred_and_closed_in_the_body(serve, open_client):
    """The answer breaks off: an error of its own at once, the connection gone; by default it is asked again and answered."""
    cut = []

    def script(peer, seen):
        if not seen.text.startswith("cut") or len(cut) == 2:
            return None
        cut.append(seen)
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + answer("a", "half"))
        peer.close()
        return True

    upstream = serve(script)
    client = open_client(upstream)
    started = time.monotonic()
    with pytest.raises(ProviderConnectionError, match="middle of the answer"):
        client.generate("cut 1", max_retries=0, timeout=PATIENCE_S)
    assert client.generate("cut 2", timeout=PATIENCE_S).text == "echo cut 2"
    assert time.monotonic() - started < PATIENCE_S
    assert [(seen.text, seen.connection) for seen in upstream.log] == [("cut 1", 0), ("cut 2", 1), ("cut 2", 2)]


def test_a_timeout_is_for_each_attempt_and_the_deadline_for_all(serve, open_client):
    """Two attempts of 0.6 s fit into a deadline of 1.5 s, a third is cut to what is left; each one's time is told."""
    upstream = serve(lambda peer, seen: peer.silence() or True)
    client = open_client(upstream)
    started = time.monotonic()
    with pytest.raises(RequestTimeoutError) as caught:
        client.generate("slow", timeout=0.6, deadline=1.5, max_retries=9)
    took = time.monotonic() - started
    assert 1.2 <= took < 1.5 + GRACE
    assert len(upstream.log) == caught.value.attempts == len(caught.value.elapsed)
    assert all(elapsed >= 0.6 for elapsed in caught.value.elapsed[:2])
    assert sum(caught.value.elapsed) <= took
