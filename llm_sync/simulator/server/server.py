"""The simulator itself: a threaded HTTP/1.1 server on loopback, one thread for each connection."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from llm_sync.simulator.answers.sources import Sources
from llm_sync.simulator.dialects.model_catalogue import LISTED
from llm_sync.simulator.faults.script import Script, load_script
from llm_sync.simulator.server.certificate import Certificate
from llm_sync.simulator.server.delivery import Outgoing
from llm_sync.simulator.server.hold import Hold
from llm_sync.simulator.server.http1 import BrokenRequest, Connection, HTTPRequest
from llm_sync.simulator.server.listener import Listener
from llm_sync.simulator.server.log_file import LogFile
from llm_sync.simulator.server.request_handler import Answering
from llm_sync.simulator.server.request_log import RequestLog, RequestRecord
from llm_sync.simulator.server.response import Response
from llm_sync.simulator.server.routes import BASES, FURTHER

if TYPE_CHECKING:
    from typing_extensions import Self

_STOP_SECONDS = 5.0


class Simulator:
    """Every dialect of llm-sync on ``127.0.0.1``, for rehearsals and tests::

        with Simulator() as simulator:
            base_url = simulator.url("anthropic")

    ``port`` 0 takes a free one. ``keys`` None accepts every key, a list those in it; a key that contains "wrong" or "invalid"
    is always refused. ``latency`` is seconds added to each answer. Answers depend on dialect, model, messages and ``seed``.
    ``script``: what it does to which request (docs/testing.md): the name of a shipped script, the path of a file, or a mapping.
    ``answers`` maps prompts to what is said: a file, or a mapping of prompts and compiled patterns to texts or answers.
    ``replay`` is what a batch wrote, answered again by request hash; what is not in it is refused, or with ``replay_else``
    "answer" answered as otherwise. ``recorded`` is a folder of exchanges, each served at its base URL (docs/simulator.md).
    ``log``: a file to which every request that has ended is appended, as a line of JSON. ``tls``: speak https, with a
    certificate made for this run; ``ca_path`` is the file a client has to trust.
    ``on_request`` is called with each request's record, on the thread that will answer it, before it is answered; a Response
    it returns is sent in place of the simulator's own. ``models`` replaces what a provider lists, by provider.
    ``idle_timeout`` and ``read_timeout`` (seconds), ``max_body`` (bytes) bound what one connection may take.

    All methods may be called from any thread. ConfigurationError for files that cannot be used, and for ``tls`` where the
    extra it needs is not installed; OSError when the port is taken or the log cannot be written.
    """

    def __init__(
        self,
        port: int = 0,
        keys: Sequence[str] | None = None,
        latency: float = 0.0,
        seed: int = 0,
        *,
        script: str | os.PathLike[str] | Mapping[str, Any] | None = None,
        answers: str | os.PathLike[str] | Mapping[Any, Any] | None = None,
        replay: str | os.PathLike[str] | None = None,
        replay_else: str = "refuse",
        recorded: str | os.PathLike[str] | None = None,
        log: str | os.PathLike[str] | None = None,
        tls: bool = False,
        on_request: Callable[[RequestRecord], Response | None] | None = None,
        models: Mapping[str, Sequence[str]] | None = None,
        idle_timeout: float = 75.0,
        read_timeout: float = 30.0,
        max_body: int = 32 * 2**20,
    ) -> None:
        self._port = port
        self._script: Script | None = None if script is None else load_script(script)
        self._sources = Sources(answers, replay, replay_else, recorded)
        self._tls = tls
        self._certificate: Certificate | None = None
        self._max_body, self._idle_timeout, self._read_timeout = max_body, idle_timeout, read_timeout
        self._path = log
        self._log = RequestLog()
        self._stopping = threading.Event()
        self._answering = Answering(
            self._log,
            self._script,
            self._sources,
            keys=keys,
            latency=latency,
            seed=seed,
            on_request=on_request,
            models={**LISTED, **{provider: tuple(names) for provider, names in (models or {}).items()}},
            root=lambda: self.root,
            wait=self._stopping.wait,
        )
        self._changed = threading.Condition()  # guards _connections and _threads
        self._connections: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self._listener: Listener | None = None

    def start(self) -> Self:
        """Binds the port and serves from threads of its own; returns itself. RuntimeError when it was started before."""
        if self._listener is not None:
            raise RuntimeError("the simulator was started before; make a new one")
        try:
            self._certificate = Certificate() if self._tls else None
            self._log.file = None if self._path is None else LogFile(self._path)
            self._listener = Listener(self._port, self._begin, self._answering.fault)
            self._listener.start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Closes the port and every connection, lets go what is held, and waits for the threads; may be repeated."""
        self._stopping.set()
        self._answering.let_go()
        if self._listener is not None:
            self._listener.close()
        with self._changed:
            connections, threads = list(self._connections), list(self._threads)
        for connection in connections:
            with contextlib.suppress(OSError):
                # not sock.shutdown: SSLSocket's drops the TLS state that its thread is using
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(_STOP_SECONDS)
        if self._log.file is not None:
            self._log.file.close()
        if self._certificate is not None:
            self._certificate.remove()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The port it listens on; RuntimeError before it is started."""
        if self._listener is None:
            raise RuntimeError("the simulator is not started, so it has no port; use it in a with statement")
        return self._listener.port

    @property
    def root(self) -> str:
        """``http://127.0.0.1:PORT``, https with ``tls``."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def ca_path(self) -> str | None:
        """The PEM file of the authority that made its certificate, while it runs; None without ``tls``."""
        return None if self._certificate is None else self._certificate.ca_path

    def url(self, provider_type: str = "openai") -> str:
        """The ``base_url`` for a type, as its ecosystem writes it, or for a further door (docs/simulator.md); else ValueError."""
        base = BASES.get(provider_type) or FURTHER.get(provider_type)
        if base is None:
            raise ValueError(f"type {provider_type!r} is not simulated; use one of {', '.join((*BASES, *FURTHER))}")
        return self.root + base

    @property
    def recorded(self) -> dict[str, tuple[str, str]]:
        """Each recorded exchange by its name: the type that asks for it, and its ``base_url``."""
        return self._sources.bases(self.root)

    @property
    def requests(self) -> list[RequestRecord]:
        """Every request so far, in order of arrival, those in flight included."""
        return self._log.records

    @property
    def stream_attempts(self) -> int:
        """How many requests asked for a stream or a deferred job; all were refused."""
        return self._log.stream_attempts

    @property
    def faults(self) -> list[BaseException]:
        """What went wrong inside the simulator: a bug of it, an error raised by ``on_request``, a log that cannot be written."""
        return self._answering.faults

    def summary(self) -> dict[str, Any]:
        """Counts per provider: requests, statuses, outcomes, highest concurrency, stream attempts, what was billed."""
        return self._log.summary()

    @property
    def open_connections(self) -> int:
        """How many there are now."""
        with self._changed:
            return len(self._connections)

    def wait_for_requests(self, count: int, timeout: float = 10.0, *, ended: bool = False) -> None:
        """Blocks until ``count`` requests in all have arrived (or ended); TimeoutError after ``timeout`` seconds."""
        if not self._log.wait_for(count, timeout, ended=ended):
            raise TimeoutError(f"fewer than {count} requests {'ended' if ended else 'arrived'} within {timeout} s")

    def wait_for_connections(self, at_most: int = 0, timeout: float = 10.0) -> None:
        """Blocks until no more than ``at_most`` connections are open; TimeoutError after ``timeout`` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._connections) <= at_most, timeout):
                raise TimeoutError(f"{len(self._connections)} connections are open after {timeout} s, more than {at_most}")

    def hold(self, match: Callable[[RequestRecord], bool] | None = None) -> Hold:
        """Holds requests (those ``match`` is true for) before they are answered; use it in a with statement."""
        hold = self._answering.hold(match)
        if self._stopping.is_set():
            hold.close()
        return hold

    def _begin(self, sock: socket.socket) -> None:
        sock.setblocking(True)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        thread = threading.Thread(target=self._serve, args=(sock,), name="simulator-connection", daemon=True)
        with self._changed:
            self._connections.add(sock)
            self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError:  # no thread to be had: the client sees the connection close
            self._end(sock, thread)

    def _end(self, sock: socket.socket, thread: threading.Thread) -> None:
        sock.close()
        with self._changed:
            self._connections.discard(sock)
            self._threads.discard(thread)
            self._changed.notify_all()

    def _serve(self, sock: socket.socket) -> None:
        try:
            sock = self._secured(sock)
            connection = Connection(
                sock, max_body=self._max_body, idle_timeout=self._idle_timeout, read_timeout=self._read_timeout
            )
            try:
                while not self._stopping.is_set():
                    request = connection.read()
                    if request is None or not self._respond(connection, request):
                        return
            except BrokenRequest as broken:
                with contextlib.suppress(OSError):
                    response = self._answering.refuse(broken)
                    connection.send(response.status, response.headers, response.content(), keep_alive=False, head_only=False)
                connection.linger()
        except OSError:  # the client is gone; nothing is left to tell it
            pass
        finally:
            self._end(sock, threading.current_thread())

    def _respond(self, connection: Connection, request: HTTPRequest) -> bool:
        """Answers one request; whether the connection may bring another."""
        if connection.expired:
            self._answering.cut(request)
            return False
        response, ended = self._answering.answer(request)
        keep_alive = request.keep_alive and not self._stopping.is_set()
        head_only = request.method == "HEAD"
        if response.delivery is None:
            connection.send(response.status, response.headers, response.content(), keep_alive=keep_alive, head_only=head_only)
            return keep_alive
        outgoing = Outgoing(
            connection,
            response.status,
            response.headers,
            b"" if head_only else response.content(),
            keep_alive,
            pause=self._stopping.wait,
            ended=ended,
            refuse=self._refuse,
        )
        try:
            return response.delivery(outgoing)
        finally:
            ended()

    def _refuse(self, seconds: float) -> None:
        if self._listener is not None:
            self._listener.refuse(seconds)

    def _secured(self, sock: socket.socket) -> socket.socket:
        """The connection's TLS, where there is any; its handshake may take as long as a request. Raises OSError."""
        if self._certificate is None:
            return sock
        sock.settimeout(self._read_timeout)
        secured = self._certificate.wrap(sock)
        with self._changed:
            self._connections.discard(sock)
            self._connections.add(secured)
        try:
            if self._stopping.is_set():
                raise ConnectionAbortedError("the simulator stops")
            secured.do_handshake()
        except OSError:
            self._end(secured, threading.current_thread())
            raise
        return secured
