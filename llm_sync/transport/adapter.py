"""requests' Session and HTTPAdapter with the rest of what must hold: shared TLS, no redirects, no cookies, no netrc."""

from __future__ import annotations

import http.cookiejar
from collections.abc import Mapping
from typing import Any

import requests
import requests.adapters

from llm_sync.transport import tls
from llm_sync.transport.pool import POOL_CLASSES, DeadlinePool

_MOST_POOLS = 256  # URLs whose pool is remembered


class PooledSession(requests.Session):
    """A Session that sends prepared requests only; ``send`` goes through HTTPAdapter.send, which test tools replace."""

    def __init__(self, pool_size: int) -> None:
        super().__init__()
        adapter = PooledAdapter(pool_size)
        self.adapters.clear()
        self.mount("https://", adapter)
        self.mount("http://", adapter)
        self.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=()))

    def pool_of(self, request: requests.PreparedRequest, settings: Mapping[str, Any]) -> DeadlinePool:
        """The connections that ``send`` would use for ``request``."""
        adapter: Any = self.get_adapter(str(request.url))
        pool: DeadlinePool = adapter.get_connection_with_tls_context(request, settings["verify"], proxies=settings["proxies"])
        return pool

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: Session.send would read a redirect's whole body, however large, and look into netrc for its target."""


class PooledAdapter(requests.adapters.HTTPAdapter):
    """Pools of deadline connections over one TLS context; no retries of its own."""

    def __init__(self, pool_size: int) -> None:
        self._pools: dict[str, Any] = {}  # by URL; for one URL the settings are always the same
        self._verify: Any = True  # the last one seen; one client has one CA bundle
        super().__init__(pool_connections=32, pool_maxsize=pool_size, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As requests does, with our pools."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = POOL_CLASSES

    def close(self) -> None:
        """Closes the idle connections, now: urllib3 waits for pools to be garbage, and a failure's traceback refers to them."""
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118  (no mapping that could be iterated)
                pool = manager.pools.get(key)
                if pool is not None:
                    pool.retire()
        super().close()

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """As requests does, with our pools, and the shared context towards a proxy reached by https."""
        if proxy.lower().startswith("https:"):
            kwargs["proxy_ssl_context"] = tls.shared_context(self._verify)
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = POOL_CLASSES
        return manager

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        """The shared context in the place of a CA path, which urllib3 would load anew for every connection."""
        host, settings = super().build_connection_pool_key_attributes(request, True, cert)
        if host["scheme"] == "https":
            settings["ssl_context"] = tls.shared_context(verify)
        return host, settings

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """The pool for this request's URL; finding it anew takes 13 µs, a sixteenth of a whole call."""
        url = str(request.url)
        pool: Any = self._pools.get(url)
        if pool is None:
            self._verify = verify
            pool = super().get_connection_with_tls_context(request, verify, proxies=proxies, cert=cert)
            if len(self._pools) >= _MOST_POOLS:
                self._pools.clear()
            self._pools[url] = pool
        return pool

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Does nothing: the context verifies, and has its CA bundle loaded."""
