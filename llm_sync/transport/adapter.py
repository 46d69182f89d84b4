"""requests' Session and HTTPAdapter, adapted: shared TLS contexts, deadline sockets, no redirects, cookies or netrc."""

from __future__ import annotations

import http.cookiejar
from collections.abc import Callable, Mapping
from typing import Any

import requests
import requests.adapters

from llm_sync.transport import tls
from llm_sync.transport.pool import POOL_CLASSES, DeadlinePool

SessionHook = Callable[[requests.Session], object]
"""Called with each new Session (one for each provider and process) before its first request, on a worker thread.

It may mount adapters, which then get the requests to their prefixes as ``Session.send`` gives them; they are closed with the
session. Nothing else of the Session has an effect: headers, auth, params, cookies, hooks, verify, cert and proxies are those of
the configuration, redirects are refused, and netrc is not read. An adapter that is not ours gets the time left as ``timeout``,
which requests applies to each read: a server that drips outlasts it by one read at most. Tools that replace functions or
classes of requests, urllib3, http.client or socket need no hook: they see every request.
"""

MAX_CACHED_POOLS = 256  # URLs whose pool is cached


class PooledSession(requests.Session):
    """A Session for prepared requests only. ``send`` goes through HTTPAdapter.send, which test tools replace."""

    def __init__(self, pool_size: int, prepare: SessionHook | None = None) -> None:
        super().__init__()
        adapter = PooledAdapter(pool_size)
        self.adapters.clear()
        self.mount("https://", adapter)
        self.mount("http://", adapter)
        self.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=()))
        if prepare is not None:
            prepare(self)

    def pool_for(self, request: requests.PreparedRequest, settings: Mapping[str, Any]) -> DeadlinePool:
        """The connection pool that ``send`` would use for ``request``."""
        adapter: Any = self.get_adapter(str(request.url))
        pool: DeadlinePool = adapter.get_connection_with_tls_context(
            request, settings["verify"], proxies=settings["proxies"], cert=settings["cert"]
        )
        return pool

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None. Otherwise Session.send would read the whole body of a redirect and look up its target in netrc."""


class PooledAdapter(requests.adapters.HTTPAdapter):
    """Pools of deadline connections over a shared TLS context; no retries of its own."""

    def __init__(self, pool_size: int) -> None:
        self._pools: dict[str, Any] = {}  # by URL; for one URL the settings are always the same
        self._trust: tuple[Any, Any] = (True, None)  # the last CA bundle and client certificate; a client has one of each
        super().__init__(pool_connections=32, pool_maxsize=pool_size, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Like the base class, with our pool classes."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = POOL_CLASSES

    def close(self) -> None:
        """Close the idle connections now. urllib3 waits until a pool is garbage, but tracebacks may keep it alive."""
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118  (its keys() is safe to iterate over, the mapping is not)
                pool = manager.pools.get(key)
                if pool is not None:
                    pool.retire()
        super().close()

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Like the base class, with our pool classes, and the shared TLS context for an https proxy."""
        if proxy.lower().startswith("https:"):
            kwargs["proxy_ssl_context"] = tls.shared_context(*self._trust)
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = POOL_CLASSES
        return manager

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        """Like the base class, with the shared context instead of a CA path, which urllib3 would load per connection."""
        host, settings = super().build_connection_pool_key_attributes(request, True, None)
        if host["scheme"] == "https":
            settings["ssl_context"] = tls.shared_context(verify, cert)
        return host, settings

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """The pool for this request's URL, cached: looking it up each time takes 13 µs, a sixteenth of a call."""
        url = str(request.url)
        pool: Any = self._pools.get(url)
        if pool is None:
            self._trust = verify, cert
            pool = super().get_connection_with_tls_context(request, verify, proxies=proxies, cert=cert)
            if len(self._pools) >= MAX_CACHED_POOLS:
                self._pools.clear()
            self._pools[url] = pool
        return pool

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Does nothing: the shared context verifies, with its CA bundle already loaded."""
