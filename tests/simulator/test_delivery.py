"""Transfer faults, byte for byte, as a socket sees them."""

from __future__ import annotations

import gzip
import json
import re
import socket
import time
import zlib

import pytest

from llm_sync.simulator import Simulator
from llm_sync.simulator.faults.transfer_faults import gzip_bomb

BODY = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "Say hello"}]}).encode()
REQUEST = b"POST /v1/chat/completions HTTP/1.1\r\nAuthorization: Bearer k\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


@pytest.fixture
def scripted():
    """``scripted(**action)`` starts a simulator with this action for every generation."""
    started = []

    def start(when=None, **action):
        started.append(Simulator(script={"rules": [{"when": when or {"request": "generate"}, **action}]}).start())
        return started[-1]

    yield start
    for each in started:
        each.stop()
        assert each.faults == []


class Line:
    """A bare socket to a simulator."""

    def __init__(self, simulator):
        self.sock = socket.create_connection(("127.0.0.1", simulator.port), timeout=10)
        self.received = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def ask(self):
        """Sends one more request."""
        self.sock.sendall(REQUEST)

    def until(self, done):
        """Reads until ``done(received)``; returns True, or "closed" or "reset" if the connection ended before."""
        while not done(self.received):
            try:
                more = self.sock.recv(65536)
            except ConnectionResetError:
                return "reset"
            if not more:
                return "closed"
            self.received += more
        return True

    def to_the_end(self):
        """Reads everything; returns it and how the connection ended."""
        return self.until(lambda _: False)

    def answer(self):
        """Head and body of a response with a length; later bytes stay in the buffer."""
        assert self.until(lambda received: b"\r\n\r\n" in received) is True
        head, _, rest = self.received.partition(b"\r\n\r\n")
        length = int(re.search(rb"content-length: (\d+)", head)[1])
        self.received = rest
        assert self.until(lambda received: len(received) >= length) is True
        body, self.received = self.received[:length], self.received[length:]
        return head, body


def good():
    """The response without any script."""
    with Simulator() as simulator, Line(simulator) as line:
        line.ask()
        return json.loads(line.answer()[1])["choices"]


@pytest.mark.parametrize(
    ("when", "complete"),
    [("before_status", b""), ("mid_headers", b"HTTP/1.1 200 OK\r\n"), ("mid_body", b'\r\n\r\n{"id":"chatcmpl')],
)
def test_reset(scripted, when, complete):
    """The connection is reset at the given point; what was sent before can be read."""
    simulator = scripted(reset=when)
    with Line(simulator) as line:
        line.ask()
        assert line.to_the_end() == "reset"
        assert complete in line.received
        assert (line.received == b"") is (when == "before_status")
    (record,) = simulator.requests
    assert (record.outcome, record.status) == ("reset", 200 if when == "mid_body" else None)
    assert record.billed is (when != "before_status")


def test_reset_after_so_many_bytes(scripted):
    """``after_bytes`` counts bytes of the body."""
    with Line(scripted(reset={"after_bytes": 7})) as line:
        line.ask()
        assert line.to_the_end() == "reset"
        assert len(line.received.partition(b"\r\n\r\n")[2]) == 7


@pytest.mark.parametrize("start", ["status", "body"])
def test_drip(scripted, start):
    """A slow response arrives completely, and the connection stays open."""
    simulator = scripted(drip={"bytes_per_second": 40_000, "start": start})
    with Line(simulator) as line:
        for _ in range(2):
            line.ask()
            head, body = line.answer()
            assert json.loads(body)["choices"] == good()
            assert b"connection: keep-alive" in head
    with Line(scripted(drip={"bytes_per_second": 1, "start": start})) as line:
        line.ask()
        assert line.until(len) is True
        if start == "status":
            assert line.received == b"H"
        else:
            assert line.until(lambda received: b"\r\n\r\n{" in received) is True
            assert line.received.endswith(b"\r\n\r\n{")


def test_whitespace_at_once_and_over_time(scripted, connect):
    """White space comes before the body, in one write, or in chunks before the chunk with the answer."""
    got = connect(scripted(whitespace=2000)).prompt("openai")
    assert len(got.raw) - len(got.raw.lstrip()) == 2000
    assert got.body["choices"]
    simulator = scripted(whitespace={"times": 3, "every": 0.01})
    wire = connect(simulator)
    for _ in range(2):  # the connection goes on
        got = wire.prompt("openai")
        assert got.raw.startswith(b"\n         \n" * 3 + b"{")
        assert got.headers["transfer-encoding"] == "chunked"
    assert all(record.ended - record.arrived >= 0.03 for record in simulator.requests)


def test_gzip(scripted):
    """A gzip body has Content-Encoding and its compressed length."""
    with Line(scripted(gzip=True)) as line:
        line.ask()
        head, body = line.answer()
        assert b"content-encoding: gzip" in head
        assert json.loads(gzip.decompress(body))["choices"] == good()


def test_gzip_bomb(scripted):
    """A gzip bomb is valid gzip of the given size."""
    content = gzip_bomb(3)
    assert len(content) < 20_000
    assert gzip.decompress(content) == b" " * (3 * 2**20)
    with Line(scripted(gzip_bomb=2)) as line:
        line.ask()
        _, body = line.answer()
        assert len(zlib.decompress(body, 31)) == 2 * 2**20


def test_wrong_length(scripted):
    """Too short a length leaves bytes in the connection; with too long a length it closes early."""
    with Line(scripted(wrong_length="short")) as line:
        line.ask()
        _, body = line.answer()
        assert line.until(lambda received: received.endswith(b"}")) is True
        assert json.loads(body + line.received)["choices"] == good()
    with Line(scripted(wrong_length="long")) as line:
        line.ask()
        assert line.to_the_end() == "closed"
        head, _, body = line.received.partition(b"\r\n\r\n")
        assert int(re.search(rb"content-length: (\d+)", head)[1]) > len(body)
        assert json.loads(body)["choices"] == good()


@pytest.mark.parametrize("after", ["request", "headers", "body"])
def test_silence(scripted, after):
    """Nothing more is sent until the client disconnects; the request is in flight until then, and then logged."""
    simulator = scripted(silence=after)
    with Line(simulator) as line:
        line.ask()
        simulator.wait_for_requests(1)
        if after != "request":
            assert line.until(lambda received: b"\r\n\r\n" + b"{" * (after == "body") in received) is True
        line.sock.settimeout(0.05)
        with pytest.raises(TimeoutError):
            line.until(lambda received: received.endswith(b"}") and b"choices" in received)
        assert simulator.summary()["in_flight"] == 1
    simulator.wait_for_requests(1, ended=True)
    (record,) = simulator.requests
    assert (record.outcome, record.status, record.billed) == ("silence", None if after == "request" else 200, True)


def test_silence_for_a_while(scripted):
    """After ``seconds`` of silence the connection is closed."""
    with Line(scripted(silence={"seconds": 0.05})) as line:
        line.ask()
        assert (line.to_the_end(), line.received) == ("closed", b"")


def test_expired_keep_alive(scripted):
    """The response says keep-alive; the next request on the connection is logged and not answered."""
    simulator = scripted(expired_keep_alive=True)
    with Line(simulator) as line:
        line.ask()
        head, body = line.answer()
        assert b"connection: keep-alive" in head
        assert json.loads(body)["choices"] == good()
        line.ask()
        assert (line.to_the_end(), line.received) == ("closed", b"")
    simulator.wait_for_requests(2, ended=True)
    told = [(record.outcome, record.status, record.billed, record.rules) for record in simulator.requests]
    assert told == [
        ("expired_keep_alive", 200, True, ("expired_keep_alive",)),
        ("expired_keep_alive", None, False, ()),
    ]


def test_an_expired_connection_does_not_count_as_an_attempt(connect):
    """A request on an expired connection does not count as an attempt."""
    script = {"rules": [{"when": {"attempt": 1}, "expired_keep_alive": True}, {"when": {"attempt": 2}, "status": 418}]}
    with Simulator(script=script) as simulator:
        with Line(simulator) as line:
            line.ask()
            line.answer()
            line.ask()
            assert line.to_the_end() == "closed"
        with Line(simulator) as line:
            line.ask()
            assert b" 418 " in line.answer()[0]


def test_connection_refused(scripted):
    """The connection is reset, new ones are refused for a while, then the same port answers again; other connections go on."""
    simulator = scripted(when={"nth": 1}, connection_refused=0.3)
    with Line(simulator) as bystander, Line(simulator) as line:
        line.ask()
        assert (line.to_the_end(), line.received) == ("reset", b"")
        with pytest.raises(ConnectionRefusedError):
            Line(simulator)
        bystander.ask()
        assert b" 200 " in bystander.answer()[0]
    begun = time.monotonic()
    while True:
        try:
            with Line(simulator) as line:
                line.ask()
                assert b" 200 " in line.answer()[0]
            break
        except ConnectionRefusedError:
            assert time.monotonic() - begun < 10
    told = [(record.outcome, record.status) for record in simulator.requests]
    assert told == [("connection_refused", None), ("ok", 200), ("ok", 200)]


def test_stopping_ends_every_slow_delivery(scripted):
    """Stopping the simulator ends every slow delivery at once."""
    slow = [
        {"silence": "request"},
        {"silence": "body"},
        {"drip": 1},
        {"whitespace": {"times": 1000, "every": 60}},
        {"latency": 60},
        {"connection_refused": 60},
    ]
    for action in slow:
        simulator = scripted(**action)
        with Line(simulator) as line:
            line.ask()
            simulator.wait_for_requests(1)
            begun = time.monotonic()
            simulator.stop()
            assert time.monotonic() - begun < 4
            line.to_the_end()
        assert simulator.summary()["in_flight"] == 0


def test_head_gets_no_body_whatever_the_script_says(connect):
    """A response to HEAD has no body, whatever the script says."""
    with Simulator(script={"rules": [{"drip": 100_000}]}) as simulator:
        wire = connect(simulator)
        assert wire.send("HEAD", "/openai/v1/models").raw == b""
        assert wire.prompt("openai").status == 200
