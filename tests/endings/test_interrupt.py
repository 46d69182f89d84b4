"""Ctrl-C during a call, and aborts at the worst moment: the caller has its KeyboardInterrupt, and no other request suffers."""

from __future__ import annotations

import threading
import time

import pytest
from endings_apparatus import PATIENCE_S

from llm_sync import ClientClosedError, ModelRequest
from llm_sync.client import queues
from llm_sync.transport import pool

INTERRUPTED = """
client = LLMClient.from_config(CONFIG)
client.generate("warm")
for number in range({times}):
    before = time.monotonic()
    try:
        client.generate("silent %d" % number, timeout=60)
        say("no interrupt")
    except KeyboardInterrupt:
        took = time.monotonic()
    say("caught", took)
    before = time.monotonic()
    assert client.generate("next %d" % number, timeout=60).text == "echo next %d" % number
    say("next", time.monotonic() - before)
say("status", client.status()["a"].in_flight, client.status()["a"].queued)
"""


def interrupted(serve, program, times):
    """Ctrl-C during so many calls of a silent server: seconds until each is caught, and each next call takes."""
    upstream = serve(lambda peer, seen: peer.silence() or True if seen.text.startswith("silent") else None)
    running = program(upstream, INTERRUPTED.format(times=times))
    caught, following = [], []
    for number in range(times):
        upstream.wait_for(2 * number + 2)
        sent = time.monotonic()
        running.interrupt()
        for found, word in ((caught, "caught"), (following, "next")):
            line = running.next_line().split()
            assert line[0] == word, line
            found.append(float(line[1]) - (sent if word == "caught" else 0))
    assert running.finish() == 0, running.errors
    assert running.lines[-1] == "status 0 0"
    assert upstream.texts() == ["warm", *(f"{word} {number}" for number in range(times) for word in ("silent", "next"))]
    assert upstream.connections == 1 + times  # an abandoned one is never used again
    return caught, following


def test_ctrl_c_before_a_silent_server(serve, program):
    """KeyboardInterrupt at once (how soon is measured elsewhere); the next call on the provider is answered at once."""
    caught, following = interrupted(serve, program, 2)
    assert max(caught) < 10  # of the 60 s that the call may take
    assert max(following) < 10


QUEUED = """
client = LLMClient.from_config(CONFIG)
flying = ask("flying")
sys.stdin.readline()
def interrupt():
    while client.status()["a"].queued < 1:
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt).start()
try:
    client.generate("queued")
except KeyboardInterrupt:
    say("caught", client.status()["a"].queued)
say(flying.result(15).text)
say(client.generate("next").text)
"""


def test_ctrl_c_while_queued_sends_nothing(upstream, program):
    """A call that waits behind another one is withdrawn by Ctrl-C; the other one goes on."""
    hold = upstream.hold()
    running = program(upstream, QUEUED)
    hold.wait()
    running.go_on()
    running.read_until("caught 0")
    hold.open()
    assert running.finish() == 0, running.errors
    assert running.lines[1:] == ["echo flying", "echo next"]
    assert upstream.texts() == ["flying", "next"]


@pytest.mark.parametrize("concurrency", [1, 2])
def test_an_abort_between_done_and_the_next_request_on_the_socket(upstream, open_client, monkeypatch, concurrency):
    """Forced: the connection is back in the pool and its call has not returned when the abort comes; the next is unhurt."""
    monkeypatch.setattr(queues, "may_multiplex", lambda _: False)  # two workers, or there is no such moment
    client = open_client(upstream, concurrency=concurrency)
    assert client.generate("warm").text == "echo warm"
    pooled, go = threading.Event(), threading.Event()
    put = pool.ConnectionStack.put

    def put_and_wait(stack, conn, *args, **kwargs):
        put(stack, conn, *args, **kwargs)
        if conn is not None and not pooled.is_set():
            pooled.set()
            assert go.wait(PATIENCE_S)

    monkeypatch.setattr(pool.ConnectionStack, "put", put_and_wait)
    hold = upstream.hold(lambda seen: seen.text == "next")
    first = client.submit(ModelRequest("first", "a/m"))
    assert pooled.wait(PATIENCE_S)
    following = client.submit(ModelRequest("next", "a/m"))
    if concurrency == 2:  # another worker has the connection by now
        hold.wait()
    first.abort()
    go.set()
    hold.wait()
    first.abort()
    hold.open()
    assert following.result(PATIENCE_S).text == "echo next"
    with pytest.raises(ClientClosedError, match="aborted in flight"):
        first.result(PATIENCE_S)
    assert upstream.texts() == ["warm", "first", "next"]
    assert upstream.connections == 1
