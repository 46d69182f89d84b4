"""A scripted loopback server: for each connection it runs a function that decides byte by byte what is sent."""

from __future__ import annotations

import contextlib
import importlib.util
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme

from llm_sync.transport.client import HTTPClient

_spec = importlib.util.spec_from_file_location("multiplexed_driver", Path(__file__).with_name("multiplexed_driver.py"))
assert _spec is not None
assert _spec.loader is not None
multiplexed_driver = importlib.util.module_from_spec(_spec)
sys.modules["multiplexed_driver"] = multiplexed_driver
_spec.loader.exec_module(multiplexed_driver)


@dataclass
class Received:
    """One request as the server received it."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Peer:
    """The server's end of one connection."""

    sock: socket.socket
    number: int  # of the connection, from 0
    server: Loopback
    _buffer: bytes = b""

    def _more(self) -> bool:
        data = self.sock.recv(65536)
        self._buffer += data
        return bool(data)

    def head(self) -> Received | None:
        """The next request without its body; None if the client has closed."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._more():
                return None
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
        return Received(line, headers, b"")

    def request(self) -> Received | None:
        """The next request; None if the client has closed."""
        received = self.head()
        if received is not None:
            length = int(received.headers.get("content-length", "0"))
            pieces, have = [self._buffer], len(self._buffer)  # joined once: adding each takes seconds for some megabytes
            while have < length:
                pieces.append(self.sock.recv(65536))
                if not pieces[-1]:
                    return None
                have += len(pieces[-1])
            whole = b"".join(pieces)
            received.body, self._buffer = whole[:length], whole[length:]
            self.server.requests.append(received)
        return received

    def send(self, data: bytes) -> None:
        """Send these bytes unchanged."""
        self.sock.sendall(data)

    def reply(self, body: bytes = b"{}", status: str = "200 OK", headers: Iterable[str] = ()) -> None:
        """Send a complete response."""
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    def drip(self, piece: bytes, every: float = 0.02) -> None:
        """Send ``piece`` repeatedly until the client closes or the test is over."""
        while not self.server.over.wait(every):
            self.send(piece)

    def hold(self) -> None:
        """Send nothing until the test is over."""
        self.server.over.wait()

    def until_closed(self) -> None:
        """Wait until the client closes; what it sends is dropped."""
        while self._more():
            self._buffer = b""

    def reset(self) -> None:
        """End with RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


Script = Callable[[Peer], None]


def answering(peer: Peer) -> None:
    """Echo the body of every request until the client closes."""
    while (received := peer.request()) is not None:
        peer.reply(received.body or b"{}")


@dataclass
class Loopback:
    """The server. ``requests``: those received completely; ``connections``: the number of connections accepted."""

    script: Script
    tls: ssl.SSLContext | None = None
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Loopback:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for sock in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive()

    @property
    def url(self) -> str:
        """The URL to send to."""
        return f"{'http' if self.tls is None else 'https'}://127.0.0.1:{self.port}/v1/chat"

    def _accept(self) -> None:
        with self._listener:
            while not self.over.is_set():
                try:
                    sock, _ = self._listener.accept()
                except OSError:
                    return
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._open.append(sock)
                thread = threading.Thread(target=self._serve, args=(sock, self.connections))
                self.connections += 1
                self._threads.append(thread)
                thread.start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError), sock:
            served = sock
            if self.tls is not None:
                served = self.tls.wrap_socket(sock, server_side=True)
                self._open.append(served)
            with served:
                self.script(Peer(served, number, self))


@dataclass
class Authority:
    """A certificate authority. ``path``: its certificate, for clients; ``context(host)``: a TLS context for servers."""

    ca: trustme.CA
    path: str

    def context(self, *hosts: str) -> ssl.SSLContext:
        """A server's TLS context with a certificate for these hosts."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*(hosts or ("127.0.0.1", "localhost"))).configure_cert(context)
        return context


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that issues the certificates of the tests' servers."""
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca = trustme.CA()
    ca.cert_pem.write_to_path(path)
    return Authority(ca, str(path))


@pytest.fixture
def serve() -> Iterator[Callable[..., Loopback]]:
    """``serve(script, tls=None)`` starts a Loopback that is stopped after the test; the default script echoes."""
    with contextlib.ExitStack() as stack:
        yield lambda script=answering, tls=None: stack.enter_context(Loopback(script, tls))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test of a client runs with either driver, unless it is marked as a test of the blocking one."""
    if "open_client" in metafunc.fixturenames:
        only = metafunc.definition.get_closest_marker("blocking_driver") is not None
        metafunc.parametrize("open_client", ["blocking"] if only else ["blocking", "multiplexed"], indirect=True)


@pytest.fixture
def open_client(request: pytest.FixtureRequest) -> Iterator[Callable[..., HTTPClient]]:
    """``open_client(**options)`` makes an HTTPClient that is closed after the test."""
    with contextlib.ExitStack() as stack:

        def open_(**options: object) -> HTTPClient:
            if request.param == "blocking":
                return stack.enter_context(contextlib.closing(HTTPClient(**options)))  # type: ignore[arg-type]
            client = multiplexed_driver.MultiplexedHTTPClient(**options)
            stack.callback(client.end)
            return client

        yield open_


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ignore proxies, CA bundles and netrc of the machine that runs the tests."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC"):
        monkeypatch.delenv(name, raising=False)
