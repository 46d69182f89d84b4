"""HTTPClient: sends bytes, returns a Reply or raises one of our errors; wall-clock timeout and size cap on every call."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Mapping, MutableSet
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import SplitResult
from weakref import WeakSet

import requests
from requests.utils import select_proxy
from urllib3.util import Url

from llm_sync import __version__
from llm_sync.errors import ClientClosedError, ConfigurationError, ProviderConnectionError, ProviderError
from llm_sync.events import log_facts, logger
from llm_sync.models import Reply
from llm_sync.runtime.cancellation import CallControl
from llm_sync.transport import fast_path, patch_detection, proxies, tls
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
from llm_sync.transport.header_cache import HeaderCache, check_headers
from llm_sync.transport.pool import DeadlineConnection, DeadlinePool
from llm_sync.transport.urls import (
    is_loopback,
    is_metadata_server,
    may_use_plain_http,
    origin_of,
    validate_url,
)

_log = logger("transport")
MAX_TARGETS = 256  # URLs remembered; a provider has a few, some put the model into the path
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "gzip, deflate", "User-Agent": f"llm-sync/{__version__}"}


@dataclass(frozen=True)
class _Target:
    """What is the same for every request with one method to one URL."""

    template: requests.PreparedRequest  # copied for every call through requests
    settings: dict[str, Any]  # proxies, verify and the like for Session.send, merged with the environment
    origin: str  # scheme, host and port, for messages
    proxy: str | None  # likewise
    header_cache: HeaderCache


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
        self._targets: dict[tuple[str, str], _Target] = {}
        self._sockets: MutableSet[socket.socket] = WeakSet()  # every open one, so that a forked child can close its copies

    def post(self, url: str, body: bytes, headers: Mapping[str, str], **options: Any) -> Reply:
        """``request`` with POST."""
        return self.request("POST", url, body, headers, **options)

    def get(self, url: str, headers: Mapping[str, str], **options: Any) -> Reply:
        """``request`` with GET."""
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
    ) -> Reply:
        """Send ``body`` and return any 1xx, 2xx, 4xx or 5xx response that is complete within ``timeout`` wall-clock seconds.

        Raises RequestTimeoutError, ProviderConnectionError, ProviderError (a redirect, a response over the size cap),
        ConfigurationError (an unusable URL, header, proxy or CA bundle), ClientClosedError (closed, or aborted by
        ``control``). ``timeout`` does not bound the host name lookup: the system offers no way. Nothing is sent twice here:
        if the server had closed the idle connection, the error has ``stale_connection`` set and a retry needs no wait.
        """
        session = self._open_session()
        target = self._targets.get((method, url)) or self._add_target(session, method, url)
        with Exchange(timeout, control, self._sockets) as exchange:
            if not timeout > 0:  # NaN too
                raise timeout_error(exchange, target.origin)
            result: Reply | UnreadResponse | Exception
            try:
                exchange.raise_if_aborted()
                idle = self._take_idle(session, target, headers)
                if idle is None:
                    prepared = _prepared(target, body, headers)
                    if target.proxy is None:
                        own_headers = dict(prepared.headers)  # before another layer adds its own
                        exchange.record_head = partial(target.header_cache.store, headers, own_headers, body)
                    response = session.send(prepared, allow_redirects=False, timeout=exchange.remaining(), **target.settings)
                    result = UnreadResponse(as_urllib3_response(response.raw, response.headers), response.headers)
                else:
                    result = fast_path.send_and_receive(*idle, body, exchange, self._max_response_bytes)
                if isinstance(result, UnreadResponse):
                    result = self._read_reply(result, exchange, target.origin)
            except Exception as error:  # noqa: BLE001  (mapped below; its traceback refers to this frame)
                result = error.with_traceback(None)
            return self._conclude(result, exchange, session, target)

    def _conclude(self, result: Reply | Exception, exchange: Exchange, session: PooledSession, target: _Target) -> Reply:
        """The end of an exchange: return its reply, or raise this library's error for what went wrong."""
        is_stale = isinstance(result, Exception) and is_stale_connection(result, exchange)
        if is_stale:  # then the other idle ones probably are, too
            session.pool_for(target.template, target.settings).close_idle()
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
        self, session: PooledSession, target: _Target, headers: Mapping[str, str]
    ) -> tuple[DeadlinePool, DeadlineConnection, tuple[bytes, bytes]] | None:
        """An idle connection for the fast path, with its pool and the request's head; None if the fast path cannot be used."""
        head = target.header_cache.get(headers)
        if head is None or not patch_detection.is_unpatched():
            return None
        pool = session.pool_for(target.template, target.settings)
        conn = pool.take_idle()
        return None if conn is None else (pool, conn, head)

    def _read_reply(self, unread: UnreadResponse, exchange: Exchange, origin: str) -> Reply:
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
        session = self._session
        if session is not None:
            return session
        with self._lock:
            if self._closed:
                raise _closed_error()
            session = self._session = self._session or PooledSession(self._pool_size, self._prepare_session)
            if self._closed:  # meanwhile, so close may not have seen it
                self._session = None
                session.close()
                raise _closed_error()
            return session

    def _add_target(self, session: PooledSession, method: str, url: str) -> _Target:
        """Check the URL and its proxy, and prepare what all requests to it share. Raises ConfigurationError."""
        parts = validate_url(url)
        is_near = is_loopback(parts.hostname) or is_metadata_server(parts.hostname)
        proxy = "" if self._proxy is None and (is_near or proxies.is_exempt(parts.hostname)) else self._proxy
        explicit = {} if proxy is None else {"http": proxy, "https": proxy}
        merged = session.merge_environment_settings(url, explicit, True, self._ca_bundle, None)
        settings: dict[str, Any] = {**merged, "cert": self._certificate}
        if settings["verify"] is True:
            settings["verify"] = tls.environment_bundle() or True
        chosen = proxies.validate_proxy(select_proxy(url, settings["proxies"]), is_configured=proxy is not None)
        self._check_allowed(method, parts, chosen)
        request = requests.PreparedRequest()
        try:
            request.prepare(method=method, url=url, headers=_HEADERS)
        except ValueError:  # requests' own InvalidURL is a subclass
            raise ConfigurationError(f"the URL at {origin_of(parts)} is invalid", guidance="Check base_url.") from None
        if parts.scheme.lower() == "https" or (chosen is not None and chosen.scheme == "https"):
            tls.shared_context(settings["verify"], settings["cert"])  # reports an unreadable CA bundle before anything is sent
        if len(self._targets) >= MAX_TARGETS:
            self._targets.clear()
        target = _Target(request, settings, origin_of(parts), origin_of(chosen.url) if chosen else None, HeaderCache())
        self._targets[method, url] = target
        return target

    def _check_allowed(self, method: str, parts: SplitResult, proxy: Url | None) -> None:
        """Raise ConfigurationError if a request may not go there, or not through this proxy."""
        origin = origin_of(parts)
        proxy_is_local = proxy is None or is_loopback(proxy.host)
        if self._local_only and not (is_loopback(parts.hostname) and proxy_is_local):
            raise ConfigurationError(
                f"a simulation sends requests to this machine only, and this request would go to {origin}",
                guidance="This dialect has an address of its own: use it without the simulation.",
            )
        stays_local = may_use_plain_http(method, parts) and proxy_is_local
        if parts.scheme.lower() == "http" and not stays_local and not self._allow_insecure:
            raise ConfigurationError(
                f"requests to {origin} would carry key and prompt unencrypted over the network",
                guidance="Use https://, or set `allow_insecure: true` for this provider if the network is trusted.",
            )


def _closed_error() -> ClientClosedError:
    """The HTTP client takes no calls any more."""
    return ClientClosedError("the HTTP client is closed", guidance="Open a new client.")


def _prepared(target: _Target, body: bytes | None, headers: Mapping[str, str]) -> requests.PreparedRequest:
    """The request for ``Session.send``, which test tools replace."""
    check_headers(headers)
    request = target.template.copy()
    request.headers.update(headers)
    if body is not None:
        request.body = body
        request.headers["Content-Length"] = str(len(body))
    return request


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
