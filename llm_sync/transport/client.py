"""HTTPClient: sends bytes, returns a Reply or raises one of our errors; wall-clock timeout and size cap on every call."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping, MutableSet
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO
from weakref import WeakSet

from llm_sync.errors import ClientClosedError, ProviderConnectionError, ProviderError
from llm_sync.events import log_facts, logger
from llm_sync.models import Reply
from llm_sync.runtime.cancellation import CallControl
from llm_sync.transport import fast_path, patch_detection, tls
from llm_sync.transport.adapter import PooledSession, SessionHook
from llm_sync.transport.error_mapping import (
    aborted_error,
    is_stale_connection,
    map_error,
    timeout_error,
    too_large_error,
    truncated_error,
)
from llm_sync.transport.exchange import Exchange
from llm_sync.transport.fast_path import UnreadResponse
from llm_sync.transport.foreign_response import as_urllib3_response
from llm_sync.transport.framing import TooLargeError, read_capped
from llm_sync.transport.pool import DeadlineConnection, DeadlinePool
from llm_sync.transport.targets import Target, Targets
from llm_sync.transport.urls import origin_of

if TYPE_CHECKING:
    from llm_sync.runtime.event_loop import EventLoop
    from llm_sync.transport.multiplexed.client import MultiplexedClient
    from llm_sync.transport.multiplexed.ports import InHelper

_log = logger("transport")


class HTTPClient:
    """The HTTP client of one provider. Any number of threads may call it at the same time.

    ``pool_size``: idle connections kept. ``proxy``: a URL for all requests, "" for no proxy, None for the environment's
    (which is never used for loopback). ``ca_bundle``: a PEM file or folder instead of REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE,
    SSL_CERT_FILE, SSL_CERT_DIR or certifi's. ``client_cert``, ``client_key``: PEM files; the key may be in the first.
    ``session``: what of requests' Session counts, see SessionHook. ``max_response_bytes`` counts decoded bytes.
    ``allow_insecure`` permits plain http to other machines; ``local_only`` refuses all requests to other machines.
    Environment and PEM files are read once per URL.
    """

    def __init__(
        self,
        *,
        pool_size: int = 1,
        proxy: str | None = None,
        ca_bundle: str | None = None,
        client_cert: str | None = None,
        client_key: str | None = None,
        session: SessionHook | None = None,
        max_response_bytes: int = 32 * 2**20,
        allow_insecure: bool = False,
        local_only: bool = False,
    ) -> None:
        self._pool_size = pool_size
        self._proxy = proxy
        self._ca_bundle = ca_bundle
        self._certificate = None if client_cert is None else (client_cert, client_key)
        self._prepare_session = session
        self._max_response_bytes = max_response_bytes
        self._allow_insecure = allow_insecure
        self._local_only = local_only
        self._closed = False
        self._reset_connections()

    def _reset_connections(self) -> None:
        self._lock = threading.Lock()  # guards the creation of _session: only one is used
        self._session: PooledSession | None = None
        self._targets = Targets(
            self._proxy, self._ca_bundle, self._certificate, allow_insecure=self._allow_insecure, local_only=self._local_only
        )
        self._sockets: MutableSet[socket.socket] = WeakSet()  # every open one, so that a forked child can close its copies

    def post(self, url: str, body: bytes, headers: Mapping[str, str], **options: Any) -> Reply:
        """``request`` with POST. Raises as it does."""
        return self.request("POST", url, body, headers, **options)

    def get(self, url: str, headers: Mapping[str, str], **options: Any) -> Reply:
        """``request`` with GET. Raises as it does."""
        return self.request("GET", url, None, headers, **options)

    def request(
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
        *,
        timeout: float,
        control: CallControl | None = None,
        on_head: Callable[[], object] | None = None,
    ) -> Reply:
        """Send ``body`` and return any 1xx, 2xx, 4xx or 5xx response that is complete within ``timeout`` wall-clock seconds.

        Raises RequestTimeoutError, ProviderConnectionError, ProviderError (a redirect, a response over the size cap),
        ConfigurationError (an unusable URL, header, proxy or CA bundle), ClientClosedError (closed, or aborted by
        ``control``). ``timeout`` does not bound the host name lookup: the system offers no way. Nothing is sent twice here:
        if the server had closed the idle connection, the error has ``stale_connection`` set and a retry needs no wait.
        ``on_head`` is called when the head of a request through the Session was sent.
        """
        target = self._target(method, url)
        with Exchange(timeout, control, self._sockets) as exchange:
            if not timeout > 0:  # NaN too
                raise timeout_error(exchange, target.origin)
            result: Reply | UnreadResponse | Exception
            try:
                exchange.raise_if_aborted()
                idle = self._take_idle(target, headers)
                if idle is None:
                    prepared = target.prepared(body, headers)
                    if target.proxy is None:
                        own_headers = dict(prepared.headers)  # before another layer adds its own
                        exchange.record_head = partial(target.record_head, headers, own_headers, body, on_head)
                    left = exchange.remaining()
                    response = target.session.send(prepared, allow_redirects=False, timeout=left, **target.settings)
                    result = UnreadResponse(as_urllib3_response(response.raw, response.headers), response.headers)
                else:
                    result = fast_path.send_and_receive(*idle, body, exchange, self._max_response_bytes)
                if isinstance(result, UnreadResponse):
                    result = self._read_reply(result, exchange, target.origin)
            except Exception as error:  # noqa: BLE001  (mapped below; its traceback refers to this frame)
                result = error.with_traceback(None)
            is_stale = isinstance(result, Exception) and is_stale_connection(result, exchange)
            return self._conclude(result, exchange, target, is_stale=is_stale)

    def transfer(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        body: bytes | tuple[bytes | BinaryIO, ...] | None = None,
        into: BinaryIO | None = None,
        max_bytes: int = 0,
        timeout: float,
        control: CallControl | None = None,
        fresh: bool = False,
    ) -> Reply:
        """``request`` with files, see file_transfer.py; ``fresh``: over a new connection, as an old one may be closed already.

        Raises as ``request``, and OSError if ``into`` cannot be written.
        """
        from llm_sync.transport.file_transfer import FileTransfer

        target, files = self._target(method, url), FileTransfer(body, into, max_bytes)
        if fresh and target.is_pooled:
            target.find_pool().close_idle()
        with Exchange(timeout, control, self._sockets) as exchange:
            result: Reply | Exception
            try:
                exchange.raise_if_aborted()
                result = files.send(target, headers, exchange, _check_head)
            except TooLargeError as error:
                result = too_large_error(target.origin, max_bytes, error.status)
            except Exception as error:  # noqa: BLE001  (as in request)
                result = error.with_traceback(None)
            if files.disk_error is not None:
                raise files.disk_error
            return self._conclude(result, exchange, target, is_stale=False)

    def _conclude(self, result: Reply | Exception, exchange: Exchange, target: Target, *, is_stale: bool) -> Reply:
        """The end of an exchange: return its reply, or raise this library's error for what went wrong."""
        if is_stale:  # then the other idle ones probably are, too
            target.find_pool().close_idle()
        if _log.isEnabledFor(logging.DEBUG):
            log_facts(_log, "exchange", where=target.origin, reused=exchange.reused, elapsed=exchange.elapsed)
        if exchange.detach_socket():
            result = aborted_error(target.origin)
        if isinstance(result, Reply):
            return result
        if isinstance(result, TooLargeError):
            result = too_large_error(target.origin, self._max_response_bytes, result.status)
        mapped = map_error(result, exchange, target.origin, target.proxy)
        if isinstance(mapped, ProviderConnectionError):
            mapped.stale_connection = is_stale
            mapped.possibly_billed = int(exchange.sent_at is not None)
        # Raised here, not where it was caught: the exceptions it came from quote URLs and proxies and would be shown too.
        raise mapped

    def close(self) -> None:
        """Close idle connections and refuse further calls; calls in flight finish. May be repeated."""
        # Without the lock: a signal handler may interrupt this, close the client itself, or wait for a call that needs the lock.
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def reset_after_fork(self) -> None:
        """In a forked child: drop the parent's connections without waiting for a lock or disturbing the parent."""
        tls.reset_after_fork()
        for sock in list(self._sockets):
            # Closes the child's copy only: the connection stays up. Not sock.close(), which may wait for a thread of the parent.
            descriptor = sock.detach()
            if descriptor >= 0:
                os.close(descriptor)
        self._reset_connections()  # what this drops has no socket left to close and, with ConnectionStack, no lock to wait for

    def _take_idle(
        self, target: Target, headers: Mapping[str, str]
    ) -> tuple[DeadlinePool, DeadlineConnection, tuple[bytes, bytes]] | None:
        """An idle connection for the fast path, with its pool and the request's head; None if the fast path cannot be used."""
        head = target.header_cache.get(headers)
        if head is None or not patch_detection.is_unpatched():
            return None
        pool = target.pool or target.find_pool()
        conn = pool.take_idle()
        return None if conn is None else (pool, conn, head)

    def _read_reply(self, unread: UnreadResponse, exchange: Exchange, origin: str) -> Reply:
        """Read the body in the exchange's thread. Raises ProviderError, ProviderConnectionError, and what reading raises."""
        response, headers = unread
        try:
            exchange.phase = "body"
            _check_head(response.status, headers, exchange, origin)
            exchange.reusable = exchange.reusable and response.status >= 200  # after a 1xx the real response follows
            content = read_capped(response, self._max_response_bytes)
        except BaseException:
            response.close()  # partly read: its connection cannot be used again
            response.release_conn()
            raise
        return Reply(response.status, headers, content, exchange.elapsed)

    def _open_session(self) -> PooledSession:
        """The Session, made on first use. Raises ClientClosedError."""
        with self._lock:
            if self._closed:
                raise _closed_error()
            session = self._session = self._session or PooledSession(self._pool_size, self._prepare_session)
            if self._closed:  # meanwhile, so close may not have seen it
                self._session = None
                session.close()
                raise _closed_error()
            return session

    def _target(self, method: str, url: str) -> Target:
        """What requests to ``url`` share. Raises ConfigurationError if none may go there, ClientClosedError once closed."""
        session = self._session or self._open_session()
        return self._targets.get((method, url)) or self._targets.add(session, method, url)

    def multiplexed(self, loop: EventLoop, in_helper: InHelper) -> MultiplexedClient:
        """The same client for a thread that has many requests in flight; see multiplexed/client.py."""
        from llm_sync.transport.multiplexed.client import MultiplexedClient

        return MultiplexedClient(self, loop, in_helper)


def _closed_error() -> ClientClosedError:
    """The HTTP client takes no calls any more."""
    return ClientClosedError("the HTTP client is closed", guidance="Open a new client.")


def _check_head(status: int, headers: Mapping[str, str], exchange: Exchange, origin: str) -> None:
    """Raise ProviderConnectionError for a truncated head, ProviderError for a redirect."""
    if exchange.truncated:
        raise truncated_error(origin)
    if 300 <= status < 400:
        location = headers.get("Location")
        destination = origin_of(location, base=f"{origin}/") if location else "nowhere"
        raise ProviderError(
            f"{origin} redirects to {destination} ({status}), which is not followed: the key would be sent there",
            status=status,
            guidance="Set base_url to the address that answers.",
        )
