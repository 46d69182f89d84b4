"""A request goes out once per attempt: what is sent again is counted, announced, and never sent with max_retries 0."""

from __future__ import annotations

import json
import threading

import pytest

from llm_sync import LLMClient, batch
from llm_sync.config import ConfigLoader
from llm_sync.errors import ProviderConnectionError
from llm_sync.events import AttemptStarted, Retrying, Waiting
from llm_sync.models import ModelRequest
from llm_sync.transport import sockets

ANSWER = json.dumps(
    {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "fine"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
).encode()


@pytest.fixture
def connect(authority):
    """``connect(server, **settings)`` opens an LLMClient with one provider, p, at a Loopback server."""
    opened = []

    def make(server, **settings):
        entry = {"type": "openai", "api_key": "made-up", "base_url": server.url.removesuffix("/chat"), "models": ["m"]}
        entry |= {"ca_bundle": authority.path, "retry_base": 0.01, **settings}
        opened.append(LLMClient(ConfigLoader().load_text(json.dumps({"providers": {"p": entry}}))))
        return opened[-1]

    yield make
    for client in opened:
        client.close(cancel_pending=True, grace=0)


def closing_once(wait=0.0, end=lambda peer: None):
    """A script that answers, except for the first request with BILLED in it: it reads that, waits, and closes."""
    state = {"closed": False}

    def script(peer):
        while (received := peer.request()) is not None:
            if b"BILLED" in received.body and not state["closed"]:
                state["closed"] = True
                peer.server.over.wait(wait)
                end(peer)
                return
            peer.reply(ANSWER)

    return script


def billed(server):
    """How often the server read the request."""
    return sum(b"BILLED" in received.body for received in server.requests)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("wait", [0.0, 0.002, 0.3])
@pytest.mark.parametrize("end", ["close", "reset"])
def test_without_retries_nothing_is_sent_twice(serve, connect, authority, tls, wait, end):
    """A kept connection closes without an answer, at once or later: one request, one attempt, one possible bill."""
    script = closing_once(wait, (lambda peer: peer.reset()) if end == "reset" else (lambda peer: None))
    server = serve(script, authority.context() if tls else None)
    client = connect(server, max_retries=0)
    client.generate("warm up", "p/m")
    with pytest.raises(ProviderConnectionError, match="without an answer") as caught:
        client.generate("BILLED", "p/m")
    assert (billed(server), caught.value.attempts, caught.value.possibly_billed) == (1, 1, 1)
    assert client.generate("after it", "p/m").text == "fine"


@pytest.mark.parametrize("wait", [0.0, 0.3])
def test_what_is_sent_again_is_an_attempt(serve, connect, wait):
    """With retries it is sent again, and attempts, status and events all say so."""
    server = serve(closing_once(wait))
    client = connect(server, max_retries=1)
    events = []
    client.add_listener(events.append)
    client.generate("warm up", "p/m")
    response = client.generate("BILLED", "p/m")
    assert (billed(server), response.attempts) == (2, 2)
    assert client.status()["p"].retries == 1
    (retrying,) = (event for event in events if isinstance(event, Retrying))
    assert (retrying.error, retrying.number, retrying.most) == ("ProviderConnectionError", 1, 2)
    assert [event.number for event in events if isinstance(event, AttemptStarted) and event.key == retrying.key] == [1, 2]


def test_a_resend_takes_one_of_the_retries(serve, connect):
    """max_retries bounds how often a request goes out, whatever the reasons."""

    def script(peer):
        while (received := peer.request()) is not None:
            if b"BILLED" in received.body:
                return
            peer.reply(ANSWER)

    server = serve(script)
    client = connect(server, max_retries=2)
    client.generate("warm up", "p/m")
    with pytest.raises(ProviderConnectionError) as caught:
        client.generate("BILLED", "p/m")
    assert (billed(server), caught.value.attempts, caught.value.possibly_billed) == (3, 3, 3)


def test_a_stale_connection_is_retried_without_a_wait(serve, connect, monkeypatch):
    """The server closed before the request reached it: no back-off, and the request is read once."""
    go, gone = threading.Event(), threading.Event()

    def script(peer):
        peer.request()
        peer.reply(ANSWER)
        if peer.number == 0:
            assert go.wait(5)
            peer.reset()
            gone.set()
            return
        while peer.request() is not None:
            peer.reply(ANSWER)

    server = serve(script)
    client = connect(server, max_retries=1, retry_base=60, retry_cap=60, max_retry_after=60)
    events = []
    client.add_listener(events.append)
    client.generate("warm up", "p/m")
    sendall = sockets.DeadlineSocket.sendall

    def closed_first(sock, *arguments):
        go.set()
        assert gone.wait(5)
        sendall(sock, *arguments)

    monkeypatch.setattr(sockets.DeadlineSocket, "sendall", closed_first)
    response = client.generate("BILLED", "p/m")
    assert (billed(server), response.attempts) == (1, 2)
    assert [event.seconds for event in events if isinstance(event, Waiting) and event.reason == "retry"] == [0]


@pytest.mark.parametrize("max_retries", [0, 1])
def test_a_batch_lists_it_as_possibly_billed(serve, connect, tmp_path, max_retries):
    """In the record and in the summary, answered by a later attempt or not; the line is asked again by the next run."""
    server = serve(closing_once())
    client = connect(server, max_retries=max_retries)
    client.generate("warm up", "p/m")
    summary = batch.run([ModelRequest("BILLED", "p/m")], tmp_path / "out.jsonl", client)
    record = json.loads((tmp_path / "out.jsonl").read_text())
    assert (billed(server), record["possibly_billed"], summary.unsure) == (1 + max_retries, 1, 1)
    again = batch.run([ModelRequest("BILLED", "p/m")], tmp_path / "out.jsonl", client)
    assert (billed(server), again.sent, again.unsure) == (2, 1 - max_retries, 1)
    assert again.complete


def test_a_listing_is_not_sent_twice_either(serve, connect):
    """It goes the same way."""

    def script(peer):
        while (received := peer.request()) is not None:
            if received.line.startswith("GET"):
                return
            peer.reply(ANSWER)

    server = serve(script)
    client = connect(server, max_retries=0)
    client.generate("warm up", "p/m")
    assert isinstance(client.list_all_models()["p"].error, ProviderConnectionError)
    assert sum(received.line.startswith("GET") for received in server.requests) == 1
