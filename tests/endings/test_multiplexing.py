"""Clients with many requests in flight, which one worker thread serves: nothing that one request does costs another one."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import pytest
from endings_apparatus import PATIENCE_S, answer

from llm_sync import ClientClosedError, ModelRequest, RequestTimeoutError
from llm_sync.events import AttemptStarted, Started

MANY = 100


def ask(text: str, provider: str = "a") -> ModelRequest:
    """A request."""
    return ModelRequest(text, f"{provider}/m")


def threads_of(provider: str = "a") -> list[str]:
    """The threads that work for a provider."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(f"llm-sync-{provider}-")]


def test_a_hundred_in_flight_with_few_threads(upstream, open_client):
    """All are at the server at the same time, and are answered each with its own; the threads are a worker and helpers."""
    client, hold = open_client(upstream, concurrency=MANY), upstream.hold()
    futures = [client.submit(ask(f"n{number}")) for number in range(MANY)]
    hold.wait(MANY)
    assert client.status()["a"].in_flight == MANY
    assert len(threads_of()) <= 1 + 8
    hold.open()
    assert [future.result(PATIENCE_S).text for future in futures] == [f"echo n{number}" for number in range(MANY)]
    assert upstream.connections <= MANY
    client.close()
    assert threads_of() == []


def test_requests_are_started_in_their_order(upstream, open_client):
    """Whatever the order in which they end."""
    client, started = open_client(upstream, concurrency=10), []
    client.add_listener(lambda event: started.append(event.key) if isinstance(event, Started) else None)
    futures = [client.submit(ask(f"n{number}")) for number in range(200)]
    keys = [future.key for future in futures]
    for future in futures:
        future.result(PATIENCE_S)
    assert started == keys


def test_a_queued_request_waits_for_one_in_flight_to_end(upstream, open_client):
    """No more than ``concurrency`` are in flight."""
    client, hold = open_client(upstream, concurrency=4), upstream.hold()
    futures = [client.submit(ask(f"n{number}")) for number in range(8)]
    hold.wait(4)
    status = client.status()["a"]
    assert (status.in_flight, status.queued) == (4, 4)
    hold.release(1)
    hold.wait(5)
    hold.open()
    assert [future.result(PATIENCE_S).text for future in futures] == [f"echo n{number}" for number in range(8)]


def test_time_limits_and_aborts_end_their_own_request_only(upstream, open_client):
    """A silent server: some time out, some are aborted, some are given up; the others get their answers."""
    client, hold = open_client(upstream, concurrency=40, max_retries=0), upstream.hold()
    short = [client.submit(ask(f"short {number}"), timeout=1.0) for number in range(10)]
    long = [client.submit(ask(f"long {number}"), timeout=60) for number in range(20)]
    hold.wait(30)
    for future in long[::2]:
        future.abort()
    for future in long[::2]:
        with pytest.raises(ClientClosedError, match="aborted in flight"):
            future.result(PATIENCE_S)
    for future in short:
        with pytest.raises(RequestTimeoutError, match="did not answer within 1 s"):
            future.result(PATIENCE_S)
    hold.open()
    assert [future.result(PATIENCE_S).text for future in long[1::2]] == [f"echo long {number}" for number in range(1, 20, 2)]


def test_a_retry_that_waits_holds_up_no_other(upstream, open_client):
    """Its pause is not the worker's."""

    def script(peer: Any, seen: Any) -> bool:
        if seen.text == "later" and upstream.texts().count("later") == 1:
            peer.reply(b'{"error": {"message": "down"}}', "503 Down")
            return True
        return False

    upstream.script = script
    client = open_client(upstream, concurrency=2, retry_base=60, retry_cap=60)
    attempted = threading.Event()
    client.add_listener(lambda event: attempted.set() if isinstance(event, AttemptStarted) else None)
    later = client.submit(ask("later"))
    assert attempted.wait(PATIENCE_S)
    assert [client.generate(f"n{number}").text for number in range(5)] == [f"echo n{number}" for number in range(5)]
    later.stop_retrying()
    with pytest.raises(ClientClosedError):
        later.result(PATIENCE_S)


def test_a_callback_that_takes_long_makes_no_other_request_time_out(upstream, open_client):
    """What has arrived by the time limit is read, though the worker comes to it late."""
    client, hold = open_client(upstream, concurrency=2, max_retries=0), upstream.hold()
    first = client.submit(ask("first"))
    hold.wait(1)
    second = client.submit(ask("second"), timeout=0.6)
    hold.wait(2)
    first.add_done_callback(lambda _: time.sleep(1.0))  # longer than the other one's time limit
    hold.open()
    assert second.result(PATIENCE_S).text == "echo second"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_callback_may_fork(upstream, open_client):
    """On the worker, with other requests in flight: the child ends, and the parent's requests are answered once each."""
    client, hold = open_client(upstream, concurrency=20), upstream.hold(lambda seen: seen.text != "first")
    children: list[int] = []

    def fork(_future: Any) -> None:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                asked = threading.Thread(target=lambda: client.generate("of the child", wait_timeout=PATIENCE_S))
                asked.start()
                asked.join(PATIENCE_S)
                status = int(asked.is_alive())
            finally:
                os._exit(status)
        children.append(pid)

    others = [client.submit(ask(f"n{number}")) for number in range(10)]
    hold.wait(10)
    first = client.submit(ask("first"))
    first.add_done_callback(fork)
    assert first.result(PATIENCE_S).text == "echo first"
    hold.open()
    assert [future.result(PATIENCE_S).text for future in others] == [f"echo n{number}" for number in range(10)]
    deadline = time.monotonic() + PATIENCE_S
    while not children and time.monotonic() < deadline:
        time.sleep(0.001)
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0
    assert sorted(upstream.texts()) == sorted([*(f"n{number}" for number in range(10)), "first", "of the child"])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_that_a_callback_leaves_running_touches_nothing_of_the_parent(upstream, open_client):
    """It comes back from the callback into the worker's loop, with other requests in flight: there it ends."""
    client, hold = open_client(upstream, concurrency=20), upstream.hold(lambda seen: seen.text != "first")
    children: list[int] = []
    forked = threading.Event()

    def fork(_future: Any) -> None:
        pid = os.fork()
        if pid:
            children.append(pid)
            forked.set()

    others = [client.submit(ask(f"n{number}")) for number in range(10)]
    hold.wait(10)
    first = client.submit(ask("first"))
    first.add_done_callback(fork)
    assert forked.wait(PATIENCE_S)
    hold.open()
    assert [future.result(PATIENCE_S).text for future in others] == [f"echo n{number}" for number in range(10)]
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0
    assert client.generate("next").text == "echo next"
    assert sorted(upstream.texts()) == sorted([*(f"n{number}" for number in range(10)), "first", "next"])


def test_middleware_waits_in_a_thread_of_its_own(upstream, open_client):
    """As many as may be in flight at the same time, and a blocking call to their provider is refused there."""
    client = open_client(upstream, concurrency=6)
    together = threading.Barrier(6)
    refused: list[str] = []

    def middleware(request: Any, send: Any) -> Any:
        together.wait(PATIENCE_S)
        try:
            client.generate("inner", "a/m")
        except RuntimeError as error:
            refused.append(str(error))
        return send(request)

    client.add_middleware(middleware)
    futures = [client.submit(ask(f"n{number}")) for number in range(6)]
    assert [future.result(PATIENCE_S).text for future in futures] == [f"echo n{number}" for number in range(6)]
    assert len(refused) == 6
    assert "would wait for itself" in refused[0]


def test_a_close_that_cancels_aborts_those_in_flight_after_its_grace(upstream, open_client):
    """All end; nothing that was queued is sent."""
    client, hold = open_client(upstream, concurrency=10), upstream.hold()
    futures = [client.submit(ask(f"n{number}")) for number in range(30)]
    hold.wait(10)
    client.close(cancel_pending=True, grace=0.1)
    assert all(future.done() for future in futures)
    assert all(future.cancelled() for future in futures[10:])
    assert sorted(upstream.texts()) == sorted(f"n{number}" for number in range(10))
    assert threads_of() == []


def test_different_providers_do_not_wait_for_each_other(upstream, open_client):
    """One that does not answer has a worker of its own."""
    client, hold = open_client(upstream, concurrency=8), upstream.hold(lambda seen: seen.provider == "a")
    slow = [client.submit(ask(f"n{number}")) for number in range(8)]
    hold.wait(8)
    quick = [client.submit(ask(f"q{number}", "b")) for number in range(50)]
    assert [future.result(PATIENCE_S).text for future in quick] == [f"echo q{number}" for number in range(50)]
    hold.open()
    assert all(future.result(PATIENCE_S) for future in slow)


QUEUED = """
client = LLMClient.from_config(CONFIG)
for number in range(60):
    ask("n%d" % number)
say("submitted")
"""


def test_a_program_that_ends_finishes_what_is_queued(upstream, program):
    """Beyond what is in flight; each is sent once."""
    running = program(upstream, QUEUED, concurrency=8)
    assert running.finish() == 0, running.errors
    assert sorted(upstream.texts()) == sorted(f"n{number}" for number in range(60))


INTERRUPTED = """
client = LLMClient.from_config(CONFIG)
try:
    for response in client.map(ModelRequest("n%d" % number, "a/m") for number in range(100)):
        say(response.text)
except KeyboardInterrupt:
    say("caught")
client.close(cancel_pending=True, grace=1)
say("left", *[thread.name for thread in threading.enumerate() if thread.name.startswith("llm-sync")])
"""


def test_an_interrupt_ends_a_map_with_many_in_flight(upstream, program):
    """Ctrl-C is raised at once; those in flight are aborted, and no thread is left."""
    hold = upstream.hold(lambda seen: seen.text != "n0")
    running = program(upstream, INTERRUPTED, concurrency=16)
    hold.wait(16)
    running.interrupt()
    running.read_until("caught")
    assert running.finish() == 0, running.errors
    assert running.lines[-1].split() == ["left"]
    hold.open()


def test_large_bodies_both_ways(upstream, open_client):
    """A request and a response that take many writes and reads, among small ones."""
    large = "x" * 3_000_000

    def script(peer: Any, seen: Any) -> bool:
        peer.reply(answer(seen.provider, f"{len(seen.text)} {seen.text}"))
        return True

    upstream.script = script
    client = open_client(upstream, concurrency=8)
    texts = [large, *(f"n{number}" for number in range(20)), large]
    futures = [client.submit(ask(text)) for text in texts]
    assert [future.result(PATIENCE_S).text for future in futures] == [f"{len(text)} {text}" for text in texts]
