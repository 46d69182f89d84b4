"""The simulator itself: a threaded HTTP/1.1 server on loopback, one thread for each connection."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from llm_sync.simulator.dialects.model_catalogue import LISTED
from llm_sync.simulator.faults.script import Script, load_script
from llm_sync.simulator.server.answer_sources import AnswerSources
from llm_sync.simulator.server.certificate import Certificate
from llm_sync.simulator.server.delivery import Outgoing
from llm_sync.simulator.server.hold import Hold
from llm_sync.simulator.server.http1 import Connection, HTTPRequest, UnreadableRequest
from llm_sync.simulator.server.listener import Listener
from llm_sync.simulator.server.log_file import LogFile
from llm_sync.simulator.server.request_log import RequestLog, RequestRecord
from llm_sync.simulator.server.responder import Responder
from llm_sync.simulator.server.response import Response
from llm_sync.simulator.server.routes import base_of

if TYPE_CHECKING:
    from typing_extensions import Self

_STOP_SECONDS = 5.0


class Simulator:
    """All dialects of llm-sync, served on ``127.0.0.1``: ``with Simulator() as simulator: simulator.url("anthropic")``.

    ``port`` 0 means any free port. ``keys`` None accepts every key, a list only those in it; a key that contains "wrong" or
    "invalid" is always refused. ``latency`` (seconds) is added to each answer. Answers depend on dialect, model, messages and
    ``seed``. ``script`` says which faults happen to which requests (docs/testing.md): the name of an included script, the path
    of a file, or a mapping. ``answers`` maps prompts to answers: a file, or a mapping of prompts and compiled patterns to texts
    or answers. ``replay`` is the output of a batch or a folder of stored answers (docs/simulator.md); other requests are refused,
    or answered normally if ``replay_else`` is "answer". ``recorded`` is a folder of recorded exchanges, each served at its own
    base URL (docs/simulator.md). ``log`` is a file to which a line of JSON is appended for every request that has ended.
    ``tls`` serves https with a certificate made for this run; ``ca_path`` is the file that clients have to trust.
    ``on_request`` is called with each request's record, on the thread that will answer it; if it returns a Response, that is
    sent instead of the simulator's own. ``models`` replaces the models that a provider lists, by provider.
    ``idle_timeout`` and ``read_timeout`` (seconds) and ``max_body`` (bytes) limit each connection.

    Thread-safe. Raises ConfigurationError for files that cannot be used, and for ``tls`` if its extra is not installed; OSError
    if the port is taken or the log cannot be written.
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
        self._sources = AnswerSources(answers, replay, replay_else, recorded)
        self._tls = tls
        self._certificate: Certificate | None = None
        self._max_body, self._idle_timeout, self._read_timeout = max_body, idle_timeout, read_timeout
        self._log_path = log
        self._log = RequestLog()
        self._stopping = threading.Event()
        self._responder = Responder(
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
        """Binds the port and serves in threads of its own; returns itself. RuntimeError if it was started before."""
        if self._listener is not None:
            raise RuntimeError("the simulator was started before; make a new one")
        try:
            self._certificate = Certificate() if self._tls else None
            self._log.file = None if self._log_path is None else LogFile(self._log_path)
            self._listener = Listener(self._port, self._start_connection, self._responder.add_fault)
            self._listener.start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Closes the port and all connections, releases held requests, and waits for the threads; may be called again."""
        self._stopping.set()
        self._responder.close()
        if self._listener is not None:
            self._listener.close()
        with self._changed:
            connections, threads = list(self._connections), list(self._threads)
        for connection in connections:
            with contextlib.suppress(OSError):
                # not connection.shutdown(): SSLSocket would drop the TLS state that its thread is using
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
        """The port it listens on; RuntimeError before ``start``."""
        if self._listener is None:
            raise RuntimeError("the simulator is not started, so it has no port; use it in a with statement")
        return self._listener.port

    @property
    def root(self) -> str:
        """``http://127.0.0.1:PORT``, or https with ``tls``."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def ca_path(self) -> str | None:
        """The PEM file of the certificate authority, while the simulator runs; None without ``tls``."""
        return None if self._certificate is None else self._certificate.ca_path

    def url(self, provider_type: str = "openai") -> str:
        """The ``base_url`` for a provider type, or for another endpoint by its name (docs/simulator.md); else ValueError."""
        return self.root + base_of(provider_type)

    @property
    def recorded(self) -> dict[str, tuple[str, str]]:
        """Each recorded exchange by its name: the provider type to configure, and the ``base_url``."""
        return self._sources.recorded_urls(self.root)

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
        """Internal errors: bugs of the simulator, errors raised by ``on_request``, a log that cannot be written."""
        return self._responder.faults

    def summary(self) -> dict[str, Any]:
        """Counts per provider: requests, statuses, highest concurrency, stream attempts, what was billed; all jobs."""
        return self._responder.summary()

    def advance(self, seconds: float) -> None:
        """Skips some simulated seconds; jobs go on at once, and are billed."""
        self._responder.jobs.advance(seconds)

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        with self._changed:
            return len(self._connections)

    def wait_for_requests(self, count: int, timeout: float = 10.0, *, ended: bool = False) -> None:
        """Blocks until ``count`` requests in all have arrived (or ended); TimeoutError after ``timeout`` seconds."""
        if not self._log.wait_for(count, timeout, ended=ended):
            noun = "request" if count == 1 else "requests"
            raise TimeoutError(f"fewer than {count} {noun} {'ended' if ended else 'arrived'} within {timeout} s")

    def wait_for_connections(self, at_most: int = 0, timeout: float = 10.0) -> None:
        """Blocks until no more than ``at_most`` connections are open; TimeoutError after ``timeout`` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._connections) <= at_most, timeout):
                raise TimeoutError(f"after {timeout} s {len(self._connections)} of at most {at_most} connections are open")

    def hold(self, match: Callable[[RequestRecord], bool] | None = None) -> Hold:
        """Holds requests (those for which ``match`` is true) before they are answered; use it in a with statement."""
        hold = self._responder.hold(match)
        if self._stopping.is_set():
            hold.close()
        return hold

    def _start_connection(self, sock: socket.socket) -> None:
        sock.setblocking(True)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        thread = threading.Thread(target=self._serve, args=(sock,), name="simulator-connection", daemon=True)
        with self._changed:
            self._connections.add(sock)
            self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError:  # no thread could be started: the client sees the connection close
            self._end_connection(sock, thread)

    def _end_connection(self, sock: socket.socket, thread: threading.Thread) -> None:
        sock.close()
        with self._changed:
            self._connections.discard(sock)
            self._threads.discard(thread)
            self._changed.notify_all()

    def _serve(self, sock: socket.socket) -> None:
        try:
            sock = self._wrap_tls(sock)
            connection = Connection(
                sock, max_body=self._max_body, idle_timeout=self._idle_timeout, read_timeout=self._read_timeout
            )
            try:
                while not self._stopping.is_set():
                    request = connection.read()
                    if request is None or not self._respond(connection, request):
                        return
            except UnreadableRequest as unreadable:
                with contextlib.suppress(OSError):
                    response = self._responder.respond_to_unreadable(unreadable)
                    connection.send(response.status, response.headers, response.content(), keep_alive=False, head_only=False)
                connection.linger()
        except OSError:  # the client has disconnected
            pass
        finally:
            self._end_connection(sock, threading.current_thread())

    def _respond(self, connection: Connection, request: HTTPRequest) -> bool:
        """Answers one request; true if the connection may carry another."""
        if connection.expired:
            self._responder.log_expired(request)
            return False
        response, close_record = self._responder.respond(request)
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
            close_record=close_record,
            refuse_connections=self._refuse_connections,
        )
        try:
            return response.delivery(outgoing)
        finally:
            close_record()

    def _refuse_connections(self, seconds: float) -> None:
        if self._listener is not None:
            self._listener.refuse(seconds)

    def _wrap_tls(self, sock: socket.socket) -> socket.socket:
        """The connection, with TLS if that is on; the handshake may take as long as a request. Raises OSError."""
        if self._certificate is None:
            return sock
        sock.settimeout(self._read_timeout)
        tls_socket = self._certificate.wrap(sock)
        with self._changed:
            self._connections.discard(sock)
            self._connections.add(tls_socket)
        try:
            if self._stopping.is_set():
                raise ConnectionAbortedError("the simulator stops")
            tls_socket.do_handshake()
        except OSError:
            self._end_connection(tls_socket, threading.current_thread())
            raise
        return tls_socket
