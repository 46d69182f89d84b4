"""The simulator itself: a threaded HTTP/1.1 server on loopback, one thread for each connection."""

from __future__ import annotations

import contextlib
import hashlib
import os
import selectors
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from llm_sync.simulator import admin
from llm_sync.simulator.catalogue import LISTED
from llm_sync.simulator.dialect import Call, Dialect, Response
from llm_sync.simulator.hold import Hold
from llm_sync.simulator.http1 import BrokenRequest, Connection, HTTPRequest
from llm_sync.simulator.requestlog import RequestLog, RequestRecord
from llm_sync.simulator.routes import BASES, route

if TYPE_CHECKING:
    from typing_extensions import Self

_STOP_SECONDS = 5.0


class Simulator:
    """Every dialect of llm-sync on ``127.0.0.1``, for rehearsals and tests::

        with Simulator() as simulator:
            base_url = simulator.url("anthropic")

    ``port`` 0 takes a free one. ``keys`` None accepts every key, a list those in it; a key that contains "wrong" or "invalid"
    is always refused. ``latency`` is seconds added to each answer. Answers depend on dialect, model, messages and ``seed``.
    ``on_request`` is called with each request's record, on the thread that will answer it, before it is answered; a Response
    it returns is sent in place of the simulator's own. ``models`` replaces what a provider lists, by provider.
    ``idle_timeout`` and ``read_timeout`` (seconds), ``max_body`` (bytes) bound what one connection may take.

    All methods may be called from any thread. OSError when the port is taken.
    """

    def __init__(
        self,
        port: int = 0,
        keys: Sequence[str] | None = None,
        latency: float = 0.0,
        seed: int = 0,
        *,
        on_request: Callable[[RequestRecord], Response | None] | None = None,
        models: Mapping[str, Sequence[str]] | None = None,
        idle_timeout: float = 75.0,
        read_timeout: float = 30.0,
        max_body: int = 32 * 2**20,
    ) -> None:
        self._port = port
        self._keys = None if keys is None else frozenset(keys)
        self._latency = latency
        self._seed = seed
        self._on_request = on_request
        self._models = {**LISTED, **{provider: tuple(names) for provider, names in (models or {}).items()}}
        self._max_body, self._idle_timeout, self._read_timeout = max_body, idle_timeout, read_timeout
        self._log = RequestLog()
        self._stopping = threading.Event()
        self._lock = threading.Lock()  # guards _connections, _threads, _holds and _faults
        self._connections: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self._holds: list[Hold] = []
        self._faults: list[BaseException] = []
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self._wake: socket.socket | None = None

    def start(self) -> Self:
        """Binds the port and serves from threads of its own; returns itself. RuntimeError when it was started before."""
        if self._listener is not None:
            raise RuntimeError("the simulator was started before; make a new one")
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            if os.name == "posix":  # elsewhere this option would let two servers share one port
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", self._port))
            listener.listen(512)
            listener.setblocking(False)
        except BaseException:
            listener.close()
            raise
        self._listener = listener
        self._port = listener.getsockname()[1]
        self._wake, waking = socket.socketpair()
        self._acceptor = threading.Thread(target=self._accept, args=(listener, waking), name="simulator", daemon=True)
        self._acceptor.start()
        return self

    def stop(self) -> None:
        """Closes the port and every connection, lets go what is held, and waits for the threads; may be repeated."""
        self._stopping.set()
        with self._lock:
            holds, connections = list(self._holds), list(self._connections)
        for hold in holds:
            hold.close()
        if self._wake is not None:
            self._wake.close()  # the acceptor sees the other end close
        if self._acceptor is not None:
            self._acceptor.join(_STOP_SECONDS)
        with self._lock:
            connections, threads = list(self._connections), list(self._threads)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(_STOP_SECONDS)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The port it listens on; RuntimeError before it is started."""
        if self._listener is None:
            raise RuntimeError("the simulator is not started, so it has no port; use it in a with statement")
        return self._port

    @property
    def root(self) -> str:
        """``http://127.0.0.1:PORT``."""
        return f"http://127.0.0.1:{self.port}"

    def url(self, provider_type: str = "openai") -> str:
        """The ``base_url`` for a provider of this type, as its ecosystem writes it. ValueError for an unknown type."""
        if provider_type not in BASES:
            raise ValueError(f"type {provider_type!r} is not simulated; use one of {', '.join(BASES)}")
        return self.root + BASES[provider_type]

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
        """What went wrong inside the simulator (answered as 500): a bug of it, or an error raised by ``on_request``."""
        with self._lock:
            return list(self._faults)

    def summary(self) -> dict[str, Any]:
        """Counts per provider: requests, statuses, highest concurrency, stream attempts, tokens."""
        return self._log.summary()

    def wait_for_requests(self, count: int, timeout: float = 10.0, *, ended: bool = False) -> None:
        """Blocks until ``count`` requests in all have arrived (or ended); TimeoutError after ``timeout`` seconds."""
        if not self._log.wait_for(count, timeout, ended=ended):
            raise TimeoutError(f"fewer than {count} requests {'ended' if ended else 'arrived'} within {timeout} s")

    def hold(self, match: Callable[[RequestRecord], bool] | None = None) -> Hold:
        """Holds requests (those ``match`` is true for) before they are answered; use it in a with statement."""
        hold = Hold(match, self._forget)
        with self._lock:
            self._holds.append(hold)
        if self._stopping.is_set():
            hold.close()
        return hold

    def _forget(self, hold: Hold) -> None:
        with self._lock:
            if hold in self._holds:
                self._holds.remove(hold)

    def _accept(self, listener: socket.socket, waking: socket.socket) -> None:
        with selectors.DefaultSelector() as selector, listener, waking:
            selector.register(listener, selectors.EVENT_READ)
            selector.register(waking, selectors.EVENT_READ)
            while not self._stopping.is_set():
                selector.select()
                if self._stopping.is_set():
                    return
                with contextlib.suppress(OSError):  # the client left before it was accepted, or descriptors ran out
                    self._begin(listener.accept()[0])

    def _begin(self, sock: socket.socket) -> None:
        sock.setblocking(True)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        thread = threading.Thread(target=self._serve, args=(sock,), name="simulator-connection", daemon=True)
        with self._lock:
            self._connections.add(sock)
            self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError:  # no thread to be had: the client sees the connection close
            self._end(sock, thread)

    def _end(self, sock: socket.socket, thread: threading.Thread) -> None:
        with self._lock:
            self._connections.discard(sock)
            self._threads.discard(thread)
        sock.close()

    def _serve(self, sock: socket.socket) -> None:
        connection = Connection(sock, max_body=self._max_body, idle_timeout=self._idle_timeout, read_timeout=self._read_timeout)
        try:
            while not self._stopping.is_set():
                request = connection.read()
                if request is None:
                    return
                response = self._handle(request)
                keep_alive = request.keep_alive and not self._stopping.is_set()
                head_only = request.method == "HEAD"
                connection.send(response.status, response.headers, response.content(), keep_alive=keep_alive, head_only=head_only)
                if not keep_alive:
                    return
        except BrokenRequest as broken:
            with contextlib.suppress(OSError):
                response = admin.plain_error(broken.status, broken.message)
                connection.send(response.status, response.headers, response.content(), keep_alive=False, head_only=False)
            connection.linger()
        except OSError:  # the client is gone; nothing is left to tell it
            pass
        finally:
            self._end(sock, threading.current_thread())

    def _handle(self, request: HTTPRequest) -> Response:
        if request.path.startswith(admin.PREFIX):
            return admin.show(request, self._log)
        found = route(request.path)
        dialect, path = found or (None, request.path)
        call = dialect.open(request, path, self._seed, self._accepts, self._models[dialect.provider]) if dialect else None
        key = dialect.key_of(call) if dialect and call else None
        record = self._log.arrive(
            provider=dialect.provider if dialect else "",
            dialect=("openai-responses" if path == "/responses" else dialect.name) if dialect else "",
            size=len(request.body),
            method=request.method,
            path=request.path,
            model=call.model if call else "",
            key_hash=hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:16] if key else None,
            stream=call.stream if call else None,
            payload=call.payload if call else None,
        )
        response = Response(500, b"")
        try:
            response = self._answer(dialect, call, record)
            response = response._replace(body=response.content())
        except RecursionError:
            response = (
                dialect.error(400, "The request is nested too deeply.")
                if dialect
                else admin.plain_error(400, "nested too deeply")
            )
        except Exception as error:  # noqa: BLE001  (a bug here, or on_request's, must not look like a lost connection)
            with self._lock:
                self._faults.append(error)
            message = f"The simulator failed: {type(error).__name__}: {error}"
            response = dialect.error(500, message) if dialect else admin.plain_error(500, message)
        finally:
            self._log.end(record, response.status, response.tokens)
        return response

    def _answer(self, dialect: Dialect | None, call: Call | None, record: RequestRecord) -> Response:
        with self._lock:
            holds = list(self._holds)
        for hold in holds:
            hold.pause(record)
        given = self._on_request(record) if self._on_request else None
        if self._latency:
            self._stopping.wait(self._latency)
        if given is not None:
            return given
        if dialect is None or call is None:
            bases = ", ".join(f"{self.root}{base}" for base in dict.fromkeys(BASES.values()))
            return admin.plain_error(404, f"Nothing is simulated at {record.path}. The base URLs are {bases}.")
        return dialect.answer(call)

    def _accepts(self, key: str) -> bool:
        if not key or "wrong" in key or "invalid" in key:
            return False
        return self._keys is None or key in self._keys
