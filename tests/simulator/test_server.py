"""The server: start and stop, keep-alive, log, holds, latency."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import socket
import threading
import time

import pytest

from llm_sync.simulator import RequestRecord, Response, Simulator


def start(target, *arguments):
    """A running thread."""
    thread = threading.Thread(target=target, args=arguments, daemon=True)
    thread.start()
    return thread


def test_url_is_as_each_ecosystem_writes_it(simulator):
    """``url`` returns the base_url of each provider type."""
    root = f"http://127.0.0.1:{simulator.port}"
    assert simulator.url("openai") == simulator.url("openai-responses") == f"{root}/openai/v1"
    assert simulator.url("anthropic") == f"{root}/anthropic"
    assert simulator.url("gemini") == f"{root}/gemini/v1beta"
    assert simulator.url("openrouter") == f"{root}/openrouter/api/v1"
    with pytest.raises(ValueError, match="'deepseek' is not simulated"):
        simulator.url("deepseek")


def test_not_started_says_so():
    """``url`` before the start, and a second start, raise RuntimeError."""
    simulator = Simulator()
    with pytest.raises(RuntimeError, match="not started"):
        simulator.url("openai")
    with simulator, pytest.raises(RuntimeError, match="started before"):
        simulator.start()


def test_taken_port_is_an_oserror(simulator):
    """A taken port raises OSError and leaves nothing open."""
    with pytest.raises(OSError, match=r"."):
        Simulator(port=simulator.port).start()


def test_stop_frees_the_port_and_ends_the_threads(connect):
    """``stop`` frees the port and ends idle connections; a second call does nothing."""
    before = set(threading.enumerate())
    simulator = Simulator().start()
    port = simulator.port
    connect(simulator).prompt("openai")
    begun = time.monotonic()
    simulator.stop()
    simulator.stop()
    assert time.monotonic() - begun < 2
    assert set(threading.enumerate()) <= before
    with pytest.raises(ConnectionError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_stop_lets_go_what_is_held_and_ends_a_long_latency(connect):
    """``stop`` releases held requests and ends delays."""
    simulator = Simulator(latency=60).start()
    hold = simulator.hold(lambda record: record.provider == "anthropic")
    ended = threading.Semaphore(0)

    def ask(dialect):
        with contextlib.suppress(OSError, http.client.HTTPException):
            connect(simulator).prompt(dialect)
        ended.release()

    for dialect in ("anthropic", "openai"):
        start(ask, dialect)
    hold.wait()
    simulator.wait_for_requests(2)
    simulator.stop()
    assert ended.acquire(timeout=5)
    assert ended.acquire(timeout=5)


def test_connection_is_kept_alive(simulator, wire):
    """One connection carries many requests, errors too."""
    wire.prompt("openai")
    sock = wire.connection.sock
    for _ in range(3):
        assert wire.ask("openai", b"{").status == 400
        assert wire.prompt("anthropic").status == 200
    assert wire.connection.sock is sock is not None


def test_connection_close_is_obeyed(wire, shapes):
    """Connection: close is answered and obeyed."""
    got = wire.ask("openai", shapes.question("openai"), headers=shapes.headers["openai"] | {"Connection": "close"})
    assert got.headers["connection"] == "close"
    assert wire.connection.sock is None


def test_http_1_0_closes_unless_asked(simulator):
    """HTTP/1.0 closes the connection unless keep-alive is requested."""
    with socket.create_connection(("127.0.0.1", simulator.port), timeout=5) as sock:
        sock.sendall(b"GET /_simulator/summary HTTP/1.0\r\n\r\n")
        received = b""
        while chunk := sock.recv(65536):
            received += chunk
    assert b"connection: close" in received
    assert received.endswith(b"}")


def test_pipelined_requests_are_answered_in_order(simulator):
    """Two requests in one packet get two responses."""
    with socket.create_connection(("127.0.0.1", simulator.port), timeout=5) as sock:
        one = b"GET /_simulator/%b HTTP/1.1\r\nHost: x\r\n%b\r\n"
        sock.sendall(one % (b"summary", b"") + one % (b"log", b"Connection: close\r\n"))
        received = b""
        while chunk := sock.recv(65536):
            received += chunk
    assert received.index(b'"max_concurrency"') < received.index(b'{"requests":[],"more":false}')


def test_chunked_bodies_are_read(wire, shapes):
    """A chunked body is read."""
    content = json.dumps({"model": "gpt-4o", **shapes.question("openai")}).encode()
    headers = shapes.headers["openai"] | {"Transfer-Encoding": "chunked"}
    wire.connection.request("POST", "/v1/chat/completions", iter([content[:10], content[10:]]), headers, encode_chunked=True)
    response = wire.connection.getresponse()
    assert response.status == 200
    response.read()


def test_expect_continue_is_answered(simulator):
    """Expect: 100-continue is answered before the body."""
    with socket.create_connection(("127.0.0.1", simulator.port), timeout=5) as sock:
        sock.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"{}")
        assert sock.recv(100).startswith(b"HTTP/1.1 401")


def test_head_has_no_body(wire):
    """A response to HEAD has no body."""
    got = wire.send("HEAD", "/nowhere")
    assert (got.status, got.raw) == (404, b"")
    assert wire.prompt("openai").status == 200


def test_nothing_mounted_names_the_base_urls(simulator, wire):
    """An unknown path lists the base URLs."""
    got = wire.send("POST", "/chat/completions", {})
    assert got.status == 404
    assert simulator.url("gemini") in got.body["error"]["message"]
    assert simulator.requests[0].provider == ""


def test_record_tells_all_but_the_key(simulator, wire, shapes):
    """A record has times, dialect, model, payload and status, but only a hash of the key."""
    wire.prompt("anthropic", "Say hello")
    record = simulator.requests[0]
    assert (record.index, record.provider, record.dialect, record.model) == (1, "anthropic", "anthropic", "claude-haiku-4-5")
    assert (record.method, record.path, record.status) == ("POST", "/anthropic/v1/messages", 200)
    assert record.key_hash == hashlib.sha256(b"good-key").hexdigest()[:16]
    assert "good-key" not in repr(record)
    assert record.payload["messages"] == [{"role": "user", "content": "Say hello"}]
    assert record.arrived <= record.ended
    assert abs(record.arrived_at - time.time()) < 60
    assert record.input_tokens > 0
    assert record.output_tokens > 0
    with pytest.raises(AttributeError):
        record.status = 0


def test_query_keys_are_not_logged(simulator, wire, shapes):
    """A key in the query is hashed, too."""
    wire.send("POST", "/gemini/v1beta/models/gemini-2.0-flash:generateContent?key=topsecret", shapes.question("gemini"))
    assert simulator.requests[0].status == 200
    assert "topsecret" not in wire.send("GET", "/_simulator/log").raw.decode()


def test_the_log_distinguishes_openais_apis(simulator, wire):
    """The log distinguishes OpenAI's two APIs."""
    wire.prompt("openai")
    wire.prompt("openai-responses")
    assert [(record.provider, record.dialect) for record in simulator.requests] == [
        ("openai", "openai"),
        ("openai", "openai-responses"),
    ]


def test_log_and_summary_over_http(simulator, wire):
    """Log and summary are available over HTTP, and do not log themselves."""
    wire.prompt("openai")
    wire.ask("openai", b"{")
    wire.ask("gemini", {"stream": True})
    log = wire.send("GET", "/_simulator/log").body["requests"]
    assert [entry["status"] for entry in log] == [200, 400, 400]
    summary = wire.send("GET", "/_simulator/summary").body
    assert summary == simulator.summary()
    assert (summary["requests"], summary["in_flight"], summary["stream_attempts"]) == (3, 0, 1)
    assert summary["providers"]["openai"]["statuses"] == {"200": 1, "400": 1}
    assert summary["providers"]["openai"]["output_tokens"] == log[0]["output_tokens"]
    assert wire.send("GET", "/_simulator/else").status == 404
    assert wire.send("POST", "/_simulator/log").status == 404


def test_log_is_bounded(monkeypatch, wire, simulator):
    """The newest records are kept; the summary counts all."""
    monkeypatch.setattr("llm_sync.simulator.server.request_log._MAX_RECORDS", 3)
    for _ in range(5):
        wire.prompt("openai")
    assert [record.index for record in simulator.requests] == [3, 4, 5]
    monkeypatch.setattr("llm_sync.simulator.server.request_log._MAX_BYTES", 10)
    wire.prompt("openai")
    assert [record.index for record in simulator.requests] == [6]
    assert simulator.summary()["requests"] == 6


def test_hold_gathers_and_releases_in_order(simulator, connect):
    """Held requests are visible and are released oldest first."""
    answered = []

    def ask(name):
        connect(simulator).prompt("openai", name)
        answered.append(name)

    with simulator.hold() as hold:
        threads = []
        for index, name in enumerate("abc"):
            threads.append(start(ask, name))
            hold.wait(index + 1)
        assert [record.concurrency for record in hold.held] == [1, 2, 3]
        assert [record.status for record in simulator.requests] == [None, None, None]
        assert simulator.summary()["in_flight"] == 3
        hold.release()
        threads[0].join(5)
        assert answered == ["a"]
        assert [record.payload["messages"][0]["content"] for record in hold.held] == ["b", "c"]
        with pytest.raises(ValueError, match="2 are held"):
            hold.release(3)
    for thread in threads:
        thread.join(5)
    assert sorted(answered) == ["a", "b", "c"]
    assert simulator.summary()["max_concurrency"] == 3


def test_hold_matches(simulator, wire, connect):
    """A hold with ``match`` lets other requests pass; after it, all pass."""
    with simulator.hold(lambda record: record.model == "slow") as hold:
        thread = start(lambda: connect(simulator).prompt("openai", model="slow"))
        hold.wait()
        assert wire.prompt("openai").status == 200
    thread.join(5)
    assert not thread.is_alive()
    assert wire.prompt("openai", model="slow").status == 200


def test_hold_wait_times_out(simulator):
    """``wait`` raises TimeoutError with the number of requests that arrived."""
    with simulator.hold() as hold, pytest.raises(TimeoutError, match="0 of 2"):
        hold.wait(2, timeout=0.01)
    with pytest.raises(TimeoutError, match="fewer than 1"):
        simulator.wait_for_requests(1, timeout=0.01)


def test_provider_concurrency_is_counted_apart(simulator, connect):
    """provider_concurrency counts the requests of one provider."""
    with simulator.hold() as hold:
        threads = [start(lambda dialect=dialect: connect(simulator).prompt(dialect)) for dialect in ("openai", "anthropic")]
        held = hold.wait(2)
        assert sorted(record.concurrency for record in held) == [1, 2]
        assert [record.provider_concurrency for record in held] == [1, 1]
    for thread in threads:
        thread.join(5)
    simulator.wait_for_requests(2, ended=True)
    assert {entry["max_concurrency"] for entry in simulator.summary()["providers"].values()} == {1}


def test_on_request_sees_the_record_and_may_answer(connect):
    """on_request gets each record, and a Response that it returns is sent."""
    seen: list[RequestRecord] = []

    def busy(record):
        seen.append(record)
        if len(seen) == 1:
            return Response(429, {"error": {"message": "slow down"}}, (("retry-after", "3"),))
        return None

    with Simulator(on_request=busy) as simulator:
        wire = connect(simulator)
        first = wire.prompt("openai")
        assert (first.status, first.headers["retry-after"]) == (429, "3")
        assert wire.prompt("openai").status == 200
        assert [record.status for record in seen] == [None, None]
        assert [record.status for record in simulator.requests] == [429, 200]


def test_failing_on_request_is_a_500_and_kept(connect):
    """An error in on_request is a 500 and an internal error."""
    with Simulator(on_request=lambda record: 1 / 0) as simulator:
        got = connect(simulator).prompt("anthropic")
        assert got.status == 500
        assert got.body["error"]["type"] == "api_error"
        assert isinstance(simulator.faults[0], ZeroDivisionError)
        assert simulator.summary()["in_flight"] == 0


def test_latency_is_waited(connect):
    """Every answer takes at least ``latency``."""
    with Simulator(latency=0.05) as simulator:
        connect(simulator).prompt("openai")
        record = simulator.requests[0]
        assert record.ended - record.arrived >= 0.05


def test_listing_can_be_replaced(connect, shapes):
    """``models`` replaces a listing."""
    with Simulator(models={"openai": ["mine"]}) as simulator:
        body = connect(simulator).send("GET", "/openai/v1/models", headers=shapes.headers["openai"]).body
        assert [item["id"] for item in body["data"]] == ["mine"]


def test_record_is_complete_when_the_answer_is_there(simulator, wire):
    """A client that has its answer finds the record complete."""
    for count in range(1, 51):
        wire.prompt("openai")
        assert simulator.requests[-1].status == 200
        assert simulator.summary()["in_flight"] == 0
        assert len(simulator.requests) == count


def test_a_request_costs_little(simulator, wire):
    """A request takes well under a millisecond of CPU time."""
    wire.prompt("openai")
    begun = time.process_time()
    for _ in range(100):
        wire.prompt("openai")
    assert (time.process_time() - begun) / 100 < 0.01
