"""Many threads on one client: right answers, few connections, no thread left; cancelling, waiting, pacing."""

from __future__ import annotations

import pickle
import threading
import time

import pytest
from endings_apparatus import KEY, PATIENCE_S

from llm_sync import ModelRequest, RequestTimeoutError


def workers():
    """The threads of clients that live: a test that ran before in this process may have left an idle one."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("llm-sync-")}


def ask(text, model="a/m"):
    """A request known by its text."""
    return ModelRequest(text, model, id=text)


@pytest.mark.parametrize(("concurrency", "count"), [(1, 1000), (3, 300)])
def test_many_threads_at_once(upstream, open_client, concurrency, count):
    """They call generate on one client at once: each has its own answer; as many connections as may be in flight; few threads."""
    others = workers()
    client = open_client(upstream, concurrency=concurrency)
    ready = threading.Barrier(count + 1)
    said: dict[int, str] = {}

    def call(number):
        ready.wait(PATIENCE_S)
        said[number] = client.generate(f"n{number}", wait_timeout=50).text

    threads = [threading.Thread(target=call, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    ready.wait(PATIENCE_S)
    for thread in threads:
        thread.join(50)
    assert said == {number: f"echo n{number}" for number in range(count)}
    assert sorted(upstream.texts()) == sorted(f"n{number}" for number in range(count))
    assert upstream.connections <= concurrency
    assert len(workers() - others) <= (1 if concurrency == 1 else 1 + min(8, concurrency))  # beside the worker, helpers
    status = client.status()["a"]
    assert (status.done, status.queued, status.in_flight, dict(status.failed)) == (count, 0, 0, {})
    client.close()
    assert workers() <= others


def test_cancelled_while_queued_never_sent(upstream, open_client):
    """What was cancelled in the queue the server never hears of; what is in flight cannot be cancelled and is answered."""
    client, hold = open_client(upstream), upstream.hold()
    flying, *queued = [client.submit(ask(f"n{number}")) for number in range(4)]
    hold.wait()
    assert queued[0].cancel()
    assert queued[2].cancel()
    assert not flying.cancel()
    assert client.status()["a"].queued == 1
    hold.open()
    assert flying.result(PATIENCE_S).text == "echo n0"
    assert queued[1].result(PATIENCE_S).text == "echo n2"
    client.close()
    assert upstream.texts() == ["n0", "n2"]


def test_wait_timeout_bounds_queueing_too(upstream, open_client):
    """The blocking call ends on time and says what became of its request; one still queued is never sent."""
    client, hold = open_client(upstream), upstream.hold()
    started = time.monotonic()
    with pytest.raises(RequestTimeoutError, match="in flight"):
        client.generate("flying", wait_timeout=1.0)
    with pytest.raises(RequestTimeoutError, match="nothing was sent"):
        client.generate("queued", wait_timeout=0.2)
    assert 1.2 <= time.monotonic() - started < PATIENCE_S
    hold.open()
    assert client.generate("next", wait_timeout=PATIENCE_S).text == "echo next"
    assert upstream.texts() == ["flying", "next"]


def test_wait_timeout_bounds_the_wait_for_room(upstream, open_client):
    """Where max_queue requests wait already, so does the caller, and no longer than asked."""
    client, hold = open_client(upstream, max_queue=1), upstream.hold()
    flying = client.submit(ask("flying"))
    hold.wait()
    queued = client.submit(ask("queued"))
    with pytest.raises(RequestTimeoutError, match="nothing was sent"):
        client.generate("refused", wait_timeout=0.2)
    hold.open()
    assert [flying.result(PATIENCE_S).text, queued.result(PATIENCE_S).text] == ["echo flying", "echo queued"]
    assert upstream.texts() == ["flying", "queued"]


def test_a_blocking_call_on_the_own_worker_raises(upstream, open_client):
    """In a done-callback: the own provider is refused in words, another one answers, and the worker goes on."""
    client, found = open_client(upstream), {}
    hold = upstream.hold(lambda seen: seen.text == "first")
    told = threading.Event()

    def callback(_future):
        for provider in "ab":
            try:
                found[provider] = client.generate("inner", f"{provider}/m").text
            except RuntimeError as error:  # noqa: PERF203  (two rounds)
                found[provider] = str(error)
        told.set()

    first = client.submit(ask("first"))
    hold.wait()
    first.add_done_callback(callback)
    hold.open()
    assert told.wait(PATIENCE_S)
    assert "would wait for itself" in found["a"]
    assert found["b"] == "echo inner"
    assert client.generate("after", wait_timeout=PATIENCE_S).text == "echo after"


def test_requests_per_minute_spaces_attempts_evenly(upstream, open_client):
    """At 1,200 a minute over four workers, request k comes no earlier than k × 50 ms, and all soon after; retries count."""
    failed = []

    def once_down(peer, seen):
        if seen.text == "n3" and not failed:
            failed.append(seen)
            peer.reply(b"{}", "503 Down")
            return True
        return None

    upstream.script = once_down
    client = open_client(upstream, concurrency=4, requests_per_minute=1200)
    started = time.monotonic()
    client.generate_responses_concurrent([ask(f"n{number}") for number in range(10)])
    took = [seen.at - started for seen in upstream.log]
    assert len(took) == 11
    assert [late for turn, late in enumerate(took) if late < turn * 0.05] == []
    assert took[-1] < PATIENCE_S


def test_pickled_by_reference(upstream, open_client):
    """A client in use pickles as its configuration and the name of its key's variable, and the copy answers on its own."""
    client = open_client(upstream)
    client.generate("original")
    pickled = pickle.dumps(client)
    assert b"test-key" not in pickled
    assert KEY.encode() in pickled
    with pickle.loads(pickled) as copy:  # noqa: S301  (made three lines above)
        assert copy.generate("copy").text == "echo copy"
        assert upstream.connections == 2
    assert client.generate("again").text == "echo again"
