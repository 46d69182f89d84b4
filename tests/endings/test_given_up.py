"""``wait_timeout`` that passes while a worker holds the request back: it is not sent, and the error says where it was."""

from __future__ import annotations

import threading

import pytest
from endings_apparatus import PATIENCE_S

from llm_sync import ModelRequest, RequestTimeoutError
from llm_sync.events import AttemptStarted, Finished, Waiting

BRIEF_S = 0.1


def events_of(client):
    """What the client's listener hears from now on."""
    heard: list[object] = []
    client.add_listener(heard.append)
    return heard


def test_given_up_in_the_pace(upstream, open_client):
    """A request whose turn has not come is withdrawn: nothing is sent, then or later, and it counts as cancelled."""
    client = open_client(upstream, requests_per_minute=1, max_retries=0)
    client.generate("first")
    heard = events_of(client)
    with pytest.raises(RequestTimeoutError, match="waiting for its turn.*nothing was sent") as caught:
        client.generate("second", wait_timeout=BRIEF_S)
    assert caught.value.attempts == 0
    client.close()  # waits for its worker, which has ended the request and not waited for its turn
    assert upstream.texts() == ["first"]
    assert [event.error for event in heard if isinstance(event, Finished)] == ["cancelled"]
    assert client.status()["a"].failed == {}


def test_given_up_one_makes_way_for_the_next(upstream, open_client):
    """The place in the pace is not taken, and the worker is free at once: the next request waits, and is not behind it."""
    client = open_client(upstream, requests_per_minute=600, max_retries=0)
    client.generate("first")
    for number in range(3):
        with pytest.raises(RequestTimeoutError, match="nothing was sent"):
            client.generate(f"given up {number}", wait_timeout=0.001)
    assert client.generate("next", wait_timeout=PATIENCE_S).text == "echo next"
    assert upstream.texts() == ["first", "next"]


def slow_down(peer, seen):
    """429 to all, for half a minute."""
    peer.reply(b"{}", "429 Too Many", ["Retry-After: 30"])
    return True


def test_given_up_before_a_retry(upstream, open_client):
    """The attempt that was made is named; there is no other one."""
    upstream.script = slow_down
    client = open_client(upstream, max_retry_after=60)
    with pytest.raises(RequestTimeoutError, match="its next attempt after 1 failed.*not sent again") as caught:
        client.generate("first", wait_timeout=2)
    assert caught.value.attempts == 1
    client.close()
    assert upstream.texts() == ["first"]


def test_given_up_in_a_cool_down(upstream, open_client):
    """A request that came into a cool-down is withdrawn unsent."""
    upstream.script = slow_down
    client = open_client(upstream, max_retry_after=60, concurrency=2)
    cooling = threading.Event()
    client.add_listener(lambda event: isinstance(event, Waiting) and cooling.set())
    client.submit(ModelRequest("first"))
    assert cooling.wait(PATIENCE_S)
    with pytest.raises(RequestTimeoutError, match="cool-down.*nothing was sent"):
        client.generate("second", wait_timeout=BRIEF_S)
    client.close(cancel_pending=True)
    assert upstream.texts() == ["first"]


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="machine_wide needs flock")
def test_given_up_in_front_of_a_slot(upstream, open_client, monkeypatch, tmp_path):
    """A request that waits for a machine-wide slot is withdrawn unsent, and keeps no place in the line."""
    monkeypatch.setenv("LLM_SYNC_RUNTIME_DIR", str(tmp_path / "runtime"))
    hold = upstream.hold(lambda seen: seen.text == "first")
    holder, client = open_client(upstream, machine_wide=True), open_client(upstream, machine_wide=True)
    first = holder.submit(ModelRequest("first"))
    hold.wait()
    with pytest.raises(RequestTimeoutError, match="machine-wide slot.*nothing was sent"):
        client.generate("second", wait_timeout=BRIEF_S)
    hold.open()
    assert first.result(PATIENCE_S).text == "echo first"
    assert client.generate("third", wait_timeout=PATIENCE_S).text == "echo third"
    assert upstream.texts() == ["first", "third"]


def test_given_up_in_flight(upstream, open_client):
    """The attempt goes on, the error says so, and a failure of it is not tried again."""
    hold = upstream.hold()
    upstream.script = lambda peer, seen: peer.reply(b"{}", "503 Down") is None
    client = open_client(upstream, max_retries=5)
    heard = events_of(client)
    with pytest.raises(RequestTimeoutError, match="in flight.*may be billed") as caught:
        client.generate("first", wait_timeout=2)
    assert caught.value.attempts == 1
    hold.open()
    client.close()
    assert upstream.texts() == ["first"]
    assert len([event for event in heard if isinstance(event, AttemptStarted)]) == 1
