"""A process that was stopped (Ctrl-Z, docker pause) uses what arrived meanwhile, and its time limits go on where they were."""

from __future__ import annotations

import gzip
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest

from llm_sync.errors import RequestTimeoutError

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system does not stop processes")

TIMEOUT = 1.0
SHORT, LONG = TIMEOUT + 0.3, TIMEOUT + 1.5  # a stop that is just over the timeout, and one that is noticed as a pause
PATIENCE = 20

CLIENT = """
import sys
from llm_sync.transport.client import HTTPClient
url, ca, warm, timeout = sys.argv[1:]
client = HTTPClient(ca_bundle=ca)
if warm == "kept":
    client.post(url, b"warm", {}, timeout=20)
reply = client.post(url, b"asked", {}, timeout=float(timeout))
print(reply.status, len(reply.content), flush=True)
"""


class Asking:
    """A process that sends ``asked`` over a new connection or a kept one, and prints status and size of the answer."""

    def __init__(self, server, authority, folder, connection="first", timeout=TIMEOUT):
        arguments = [server.url, authority.path, connection, str(timeout)]
        self.process = subprocess.Popen(
            [sys.executable, "-c", CLIENT, *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def stop(self):
        """Stop it; returns once it is."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)

    def go_on(self, after=0.0):
        """Continue it, after so many seconds."""
        threading.Event().wait(after)
        self.process.send_signal(signal.SIGCONT)

    def output(self):
        """What it printed, or the last line of its error."""
        out, error = self.process.communicate(timeout=PATIENCE)
        return out.strip() or error.strip().splitlines()[-1]


@pytest.fixture
def ask(authority, tmp_path):
    """``ask(server, …)`` starts an Asking that does not outlive the test."""
    started = []

    def start(server, *args, **options):
        started.append(Asking(server, authority, tmp_path, *args, **options))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.communicate()


class Answer:
    """A script that answers ``asked`` when told to, in full, and says when that is written."""

    def __init__(self, data, close=False):
        self.data, self.close = data, close
        self.asked, self.go, self.written = threading.Event(), threading.Event(), threading.Event()

    def __call__(self, peer):
        """Serve one connection."""
        while (received := peer.request()) is not None:
            if received.body != b"asked":
                peer.reply()
                continue
            self.asked.set()
            assert self.go.wait(PATIENCE)
            peer.send(self.data)
            self.written.set()
            if self.close:
                return


def plain(size):
    """An answer of known length."""
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (size, b"x" * size)


def chunked(size):
    """The same in chunks."""
    chunk = b"%x\r\n%b\r\n" % (1000, b"x" * 1000)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * (size // 1000) + b"0\r\n\r\n"


def packed(size):
    """The same, compressed."""
    data = gzip.compress(os.urandom(size // 2) + bytes(size // 2))
    return b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(data), data)


FORMS = {
    "small": (plain(10), 10),
    "large": (plain(100_000), 100_000),
    "chunked": (chunked(40_000), 40_000),
    "gzip": (packed(60_000), 60_000),
}


@pytest.mark.parametrize("stopped_for", [SHORT, LONG], ids=["short", "long"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("connection", ["first", "kept"])
def test_an_answer_that_came_meanwhile_is_used(serve, ask, authority, connection, tls, stopped_for):
    """It lies in the socket when the process goes on, though the timeout has passed: one request, one answer, in each form.

    The forms are tried at the same time, by a process each: most of a trial is waiting.
    """
    context = authority.context() if tls else None
    trials = {name: (script := Answer(data), serve(script, context)) for name, (data, _) in FORMS.items()}

    def trial(script, server):
        asking = ask(server, connection)
        assert script.asked.wait(PATIENCE)
        asking.stop()
        script.go.set()
        assert script.written.wait(PATIENCE)
        asking.go_on(after=stopped_for)
        return asking.output(), [received.body for received in server.requests].count(b"asked")

    with ThreadPoolExecutor(len(trials)) as pool:
        tried = {name: pool.submit(trial, *each) for name, each in trials.items()}
        assert {name: future.result() for name, future in tried.items()} == {
            name: (f"200 {size}", 1) for name, (_, size) in FORMS.items()
        }


@pytest.mark.parametrize("connection", ["first", "kept"])
def test_an_answer_whose_connection_is_closed_by_then_is_used(serve, ask, connection):
    """The server gave it and closed."""
    script = Answer(plain(50_000), close=True)
    asking = ask(serve(script), connection)
    assert script.asked.wait(PATIENCE)
    asking.stop()
    script.go.set()
    assert script.written.wait(PATIENCE)
    asking.go_on(after=LONG)
    assert asking.output() == "200 50000"


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("connection", ["first", "kept"])
def test_an_answer_larger_than_the_buffers_is_read_to_its_end(serve, ask, authority, connection, tls):
    """Only its beginning can arrive while the process is stopped; the rest has the time that was left."""
    size = 16 * 2**20
    script = Answer(plain(size))
    asking = ask(serve(script, authority.context() if tls else None), connection, timeout=3.0)
    assert script.asked.wait(PATIENCE)
    asking.stop()
    script.go.set()
    asking.go_on(after=4.0)
    assert asking.output() == f"200 {size}"


@pytest.mark.parametrize("connection", ["first", "kept"])
def test_an_answer_that_comes_afterwards_is_waited_for(serve, ask, connection):
    """The time in which the process was stopped does not count."""
    script = Answer(plain(10))
    asking = ask(serve(script), connection, timeout=3.0)
    assert script.asked.wait(PATIENCE)
    asking.stop()
    asking.go_on(after=4.0)
    threading.Event().wait(0.3)
    script.go.set()
    assert asking.output() == "200 10"


@pytest.mark.parametrize("connection", ["first", "kept"])
def test_an_answer_that_does_not_come_is_still_a_timeout(serve, ask, connection):
    """The process goes on, and waits no longer than what was left of the timeout."""
    script = Answer(plain(10))
    asking = ask(serve(script), connection)
    assert script.asked.wait(PATIENCE)
    asking.stop()
    asking.go_on(after=LONG)
    began = monotonic()
    try:
        assert "RequestTimeoutError" in asking.output()
        assert monotonic() - began < TIMEOUT + 3
    finally:
        script.go.set()


CALLER = """
import json, sys
from llm_sync import LLMClient
from llm_sync.config import ConfigLoader
url = sys.argv[1].removesuffix("/chat")
entry = {"type": "openai", "api_key": "made-up", "base_url": url, "models": ["m"], "max_retries": 0, "deadline": 1.0}
client = LLMClient(ConfigLoader().load_text(json.dumps({"providers": {"p": entry}})))
print(client.generate("asked", "p/m", wait_timeout=1.0).text, flush=True)
"""


def test_a_caller_with_a_wait_timeout_gets_it_too(serve, tmp_path):
    """The time that the caller may wait, and the deadline, go on where they were, like the timeout of the attempt."""
    asked, go, written = threading.Event(), threading.Event(), threading.Event()
    message = {"role": "assistant", "content": "fine"}
    answer = {"id": "x", "object": "chat.completion", "created": 1, "model": "m"}
    answer |= {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}

    def script(peer):
        peer.request()
        asked.set()
        assert go.wait(PATIENCE)
        peer.reply(json.dumps(answer).encode())
        written.set()

    command = [sys.executable, "-c", CALLER, serve(script).url]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert asked.wait(PATIENCE)
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        go.set()
        assert written.wait(PATIENCE)
        threading.Event().wait(LONG)
        process.send_signal(signal.SIGCONT)
        out, error = process.communicate(timeout=PATIENCE)
    assert out.strip() == "fine", error


@pytest.mark.parametrize("where", ["handshake", "connection"])
def test_a_stop_before_the_request_is_sent_does_not_end_it(serve, ask, authority, where):
    """Stopped in a TLS handshake that nobody answers yet, or while the connection is made."""
    came, go = threading.Event(), threading.Event()

    def script(peer):
        while peer.request() is not None:
            peer.reply(b"0123456789")

    server = serve(script, _Gated(authority.context(), came, go) if where == "handshake" else None)
    asking = ask(server, timeout=6.0)
    if where == "handshake":
        assert came.wait(PATIENCE)
    asking.stop()
    go.set()
    asking.go_on(after=7.0)
    assert asking.output() == "200 10"


class _Gated:
    """A server's TLS context whose handshakes wait until told."""

    def __init__(self, context, came, go):
        self.context, self.came, self.go = context, came, go

    def wrap_socket(self, sock, **options):
        """Wait, and go on as ever."""
        self.came.set()
        assert self.go.wait(PATIENCE)
        return self.context.wrap_socket(sock, **options)


def test_a_server_that_never_stops_sending_does_not_outlast_the_timeout(serve, open_client):
    """What has arrived is read after the timeout, but not without end: interim answers at full speed."""

    def script(peer):
        peer.request()
        while not peer.server.over.is_set():
            peer.send(b"HTTP/1.1 102 Processing\r\n\r\n" * 1000)

    began = monotonic()
    with pytest.raises(RequestTimeoutError) as caught:
        open_client().post(serve(script).url, b"{}", {}, timeout=0.5)
    assert caught.value.phase == "headers"
    assert monotonic() - began < 5


def test_a_tls_connection_read_after_the_deadline_can_be_used_again(serve, open_client, authority):
    """Its socket is non-blocking then: an upload larger than the buffers must not fail on the next request."""
    server, client = serve(tls=authority.context()), open_client(ca_bundle=authority.path)
    client.post(server.url, b"1", {}, timeout=5)
    (sock,) = (each for each in client._sockets if isinstance(each, ssl.SSLSocket))
    sock.settimeout(0.0)
    body = b"x" * (8 * 2**20)
    assert client.post(server.url, body, {}, timeout=20).content == body
    assert server.connections == 1
