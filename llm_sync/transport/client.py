"""Bytes out, a Reply or one of our errors back: one pooled requests.Session, kept to a wall-clock timeout and a size cap."""

from __future__ import annotations

import logging
import os
import re
import socket
import threading
from collections.abc import Mapping, MutableSet
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

import requests
from requests.utils import select_proxy

from llm_sync import __version__
from llm_sync.errors import ClientClosedError, ConfigurationError, ProviderError
from llm_sync.events import log_facts, logger
from llm_sync.models import Reply
from llm_sync.runtime.cancellation import CallControl
from llm_sync.transport import fast_path, patch_detection, tls
from llm_sync.transport.adapter import PooledSession
from llm_sync.transport.error_mapping import abandoned, cut_short, stale, timed_out, translate
from llm_sync.transport.fast_path import Begun
from llm_sync.transport.header_cache import RequestHeads
from llm_sync.transport.sockets import Exchange
from llm_sync.transport.urls import checked, checked_proxy, is_loopback, is_this_machine, where

_log = logger("transport")
_CHUNK = 64 * 1024  # bytes asked for at once
_MOST_ROUTES = 256  # URLs remembered; a provider has a few, some put the model into the path
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "gzip, deflate", "User-Agent": f"llm-sync/{__version__}"}


@dataclass(frozen=True)
class _Route:
    """What is the same for every request to one URL."""

    template: requests.PreparedRequest  # copied for every call that goes the libraries' way
    settings: dict[str, Any]  # proxies, verify and the like for Session.send, the environment merged in
    where: str  # scheme and host, for messages
    proxy: str | None  # likewise
    heads: RequestHeads


class HTTPClient:
    """One provider's way to the network; any number of threads may call it at once.

    ``pool_size``: idle connections kept. ``proxy``: a URL for all requests, "" for none whatever the environment says,
    None for what it says (it never sends a request to loopback through a proxy). ``ca_bundle``: a PEM file or folder
    instead of REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE or certifi's. ``max_response_bytes`` counts decoded bytes.
    ``allow_insecure`` lets plain http:// leave this machine; with ``only_here`` nothing does. Environment and CA file are read
    once per URL.
    """

    def __init__(
        self,
        *,
        pool_size: int = 1,
        proxy: str | None = None,
        ca_bundle: str | None = None,
        max_response_bytes: int = 32 * 2**20,
        allow_insecure: bool = False,
        only_here: bool = False,
    ) -> None:
        self._pool_size = pool_size
        self._proxy = proxy
        self._ca_bundle = ca_bundle
        self._max_response_bytes = max_response_bytes
        self._allow_insecure = allow_insecure
        self._only_here = only_here
        self._closed = False
        self._start_empty()

    def _start_empty(self) -> None:
        self._lock = threading.Lock()  # guards _session and _closed: one session, and none after close
        self._session: PooledSession | None = None
        self._routes: dict[tuple[str, str], _Route] = {}
        self._sockets: MutableSet[socket.socket] = WeakSet()  # every open one, for a forked child to close its copies

    def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float, control: CallControl | None = None
    ) -> Reply:
        """Send ``body`` and return whatever 1xx, 2xx, 4xx or 5xx answer comes within ``timeout`` wall-clock seconds.

        Raises RequestTimeoutError, ProviderConnectionError, ProviderError (a redirect, an answer over the size cap),
        ConfigurationError (a URL, header, proxy or CA bundle that cannot work), ClientClosedError (closed, or aborted by
        ``control``). Resolving the host name is not bounded by ``timeout``: the system offers no way.
        """
        return self._call("POST", url, body, headers, timeout, control)

    def get(self, url: str, headers: Mapping[str, str], *, timeout: float, control: CallControl | None = None) -> Reply:
        """As ``post``, without a body."""
        return self._call("GET", url, None, headers, timeout, control)

    def close(self) -> None:
        """Close idle connections and refuse further calls; those under way finish. May be repeated."""
        with self._lock:
            self._closed = True
            session, self._session = self._session, None
        if session is not None:
            session.close()

    def reset_after_fork(self) -> None:
        """In the child: forget the parent's connections, waiting for no lock and disturbing none of them."""
        tls.reset_after_fork()
        for sock in list(self._sockets):
            # The child's copy only: the connection stays up. Not sock.close(), which may wait for a reader that is gone.
            descriptor = sock.detach()
            if descriptor >= 0:
                os.close(descriptor)
        self._start_empty()  # what is dropped here has no socket left to close and, with ConnectionStack, no lock to wait for

    def _call(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], timeout: float, control: CallControl | None
    ) -> Reply:
        session = self._opened()
        route = self._routes.get((method, url)) or self._remember(session, method, url)
        with Exchange(timeout, control, self._sockets) as exchange:
            if not timeout > 0:  # NaN too
                raise timed_out(exchange, route.where)
            result = self._attempt(session, route, body, headers, exchange)
            if isinstance(result, Exception) and stale(result, exchange):
                exchange.start_afresh()
                result = self._attempt(session, route, body, headers, exchange)
            if _log.isEnabledFor(logging.DEBUG):
                log_facts(_log, "exchange", where=route.where, reused=exchange.reused, elapsed=exchange.elapsed)
            if exchange.let_go():
                result = abandoned(route.where)
            if isinstance(result, Reply):
                return result
            # Raised here, not where it was caught: what it came from quotes URLs and proxies, and would be printed along.
            raise translate(result, exchange, route.where, route.proxy)

    def _attempt(
        self, session: PooledSession, route: _Route, body: bytes | None, headers: Mapping[str, str], exchange: Exchange
    ) -> Reply | Exception:
        try:
            exchange.check()
            begun = self._over_kept(session, route, body, headers, exchange)
            if isinstance(begun, Reply):
                return begun
            response, found = begun or self._by_requests(session, route, body, headers, exchange)
            return self._reply(response, found, exchange, route.where)
        except Exception as error:  # noqa: BLE001  (returned, then told apart and raised by _call)
            return error

    def _over_kept(
        self, session: PooledSession, route: _Route, body: bytes | None, headers: Mapping[str, str], exchange: Exchange
    ) -> Reply | Begun | None:
        """The short way; None where it cannot be gone."""
        head = route.heads.known(headers)
        if head is None or exchange.fresh or not patch_detection.untouched():
            return None
        pool = session.pool_of(route.template, route.settings)
        conn = pool.take_kept()
        return None if conn is None else fast_path.exchanged(pool, conn, head, body, exchange, self._max_response_bytes)

    def _by_requests(
        self, session: PooledSession, route: _Route, body: bytes | None, headers: Mapping[str, str], exchange: Exchange
    ) -> tuple[Any, Mapping[str, str]]:
        """The libraries' way: the urllib3 response, or what a test tool gives in its place, and its headers."""
        _check_headers(headers)
        request = route.template.copy()
        request.headers.update(headers)
        if body is not None:
            request.body = body
            request.headers["Content-Length"] = str(len(body))
        asked = dict(request.headers)  # before anybody adds to them
        response = session.send(request, allow_redirects=False, timeout=exchange.left(), **route.settings)
        if route.proxy is None:
            route.heads.remember(headers, asked, exchange.head, body)
        return response.raw, response.headers

    def _reply(self, response: Any, headers: Mapping[str, str], exchange: Exchange, where: str) -> Reply:
        try:
            exchange.phase = "body"
            _refuse(response.status, headers, exchange, where)
            exchange.keep = exchange.keep and response.status >= 200  # after a 1xx comes the real answer: not for the next one
            content = self._read(response, where)
        except BaseException:
            response.close()  # half read: its connection is not to be used again
            response.release_conn()
            raise
        return Reply(response.status, headers, content, exchange.elapsed)

    def _read(self, response: Any, where: str) -> bytes:
        cap = self._max_response_bytes
        content = bytearray()  # not a list of chunks: of two bytes each, they would take twenty times the cap
        while chunk := response.read1(min(_CHUNK, cap - len(content) + 1), decode_content=True):
            content += chunk
            if len(content) > cap:
                raise ProviderError(
                    f"the answer of {where} is larger than {cap} bytes",
                    status=response.status,
                    guidance="Raise `max_response_bytes` if such answers are expected.",
                )
        return bytes(content)

    def _opened(self) -> PooledSession:
        session = self._session
        if session is not None:
            return session
        with self._lock:
            if self._closed:
                raise ClientClosedError("the HTTP client is closed", guidance="Open a new client.")
            if self._session is None:
                self._session = PooledSession(self._pool_size)
            return self._session

    def _remember(self, session: PooledSession, method: str, url: str) -> _Route:
        parts = checked(url)
        loopback = is_loopback(parts.hostname)
        proxy = "" if loopback and self._proxy is None else self._proxy
        explicit = {} if proxy is None else {"http": proxy, "https": proxy}
        settings: dict[str, Any] = {**session.merge_environment_settings(url, explicit, True, self._ca_bundle, None)}
        chosen = checked_proxy(select_proxy(url, settings["proxies"]))
        local = loopback and (chosen is None or is_loopback(chosen.host))
        if self._only_here and not (is_this_machine(parts.hostname) and (chosen is None or is_this_machine(chosen.host))):
            raise ConfigurationError(
                f"a rehearsal asks a simulator on this machine alone, and this request would go to {where(parts)}",
                guidance="Its dialect goes by an address of its own: ask it outside of the rehearsal.",
            )
        if parts.scheme.lower() == "http" and not local and not self._allow_insecure:
            raise ConfigurationError(
                f"{where(parts)} would carry key and prompt unencrypted over the network",
                guidance="Use https://, or set `allow_insecure: true` for this provider if the network is trusted.",
            )
        request = requests.PreparedRequest()
        try:
            request.prepare(method=method, url=url, headers=_HEADERS)
        except ValueError:  # requests' own InvalidURL is one
            raise ConfigurationError(f"the URL at {where(parts)} is impossible", guidance="Check base_url.") from None
        if parts.scheme.lower() == "https" or (chosen is not None and chosen.scheme == "https"):
            tls.shared_context(settings["verify"])  # a CA bundle that cannot be read is told before anything is sent
        if len(self._routes) >= _MOST_ROUTES:
            self._routes.clear()
        route = _Route(request, settings, where(parts), where(chosen.url) if chosen is not None else None, RequestHeads())
        self._routes[method, url] = route
        return route


def _refuse(status: int, headers: Mapping[str, str], exchange: Exchange, origin: str) -> None:
    if exchange.cut:
        raise cut_short(origin)
    if 300 <= status < 400:
        location = headers.get("Location")
        target = where(location, base=f"{origin}/") if location else "nowhere"
        raise ProviderError(
            f"{origin} redirects to {target} ({status}), which is not followed: the key would travel along",
            status=status,
            guidance="Set base_url to the address that really answers.",
        )


def _check_headers(headers: Mapping[str, Any]) -> None:
    """http.client lets through what is a second line to some servers (a line feed and a blank), and control characters."""
    for name, value in headers.items():
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or re.search(r"[^\t\x20-\x7e\xa0-\xff]", str(value)):
            raise ConfigurationError(
                f"the header {name[:80]!r} holds characters that HTTP cannot carry",
                guidance="Use printable ASCII in header names and values.",
            )
