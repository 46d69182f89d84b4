"""Where requests go: what is the same for every request with one method to one URL, checked and prepared once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult

import requests
from requests.utils import select_proxy
from urllib3.util import Url

from llm_sync import __version__
from llm_sync.errors import ConfigurationError
from llm_sync.transport import proxies, tls
from llm_sync.transport.adapter import PooledAdapter, PooledSession
from llm_sync.transport.header_cache import HeaderCache, check_headers
from llm_sync.transport.pool import DeadlinePool
from llm_sync.transport.urls import (
    is_loopback,
    is_metadata_server,
    may_use_plain_http,
    origin_of,
    validate_url,
)

MAX_TARGETS = 256  # URLs remembered; a provider has a few, some put the model into the path
HEADERS = {"Accept": "application/json", "Accept-Encoding": "gzip, deflate", "User-Agent": f"llm-sync/{__version__}"}


@dataclass(repr=False, eq=False)
class Target:
    """What is the same for every request with one method to one URL."""

    session: PooledSession
    template: requests.PreparedRequest  # copied for every call through requests
    settings: dict[str, Any]  # proxies, verify and the like for Session.send, merged with the environment
    origin: str  # scheme, host and port, for messages
    proxy: str | None  # likewise
    is_pooled: bool  # whether our adapter takes it, or one that the program has mounted
    header_cache: HeaderCache

    pool: DeadlinePool | None = None  # the connection pool that ``Session.send`` would use; None until it is found

    def find_pool(self) -> DeadlinePool:
        """``pool``, looked up once. Raises what requests raises for a proxy that it cannot use."""
        pool = self.pool = self.pool or self.session.pool_for(self.template, self.settings)
        return pool

    def prepared(self, body: bytes | None, headers: Mapping[str, str]) -> requests.PreparedRequest:
        """The request for ``Session.send``, which test tools replace."""
        check_headers(headers)
        request = self.template.copy()
        request.headers.update(headers)
        if body is not None:
            request.body = body
            request.headers["Content-Length"] = str(len(body))
        return request

    def record_head(
        self,
        headers: Mapping[str, str],
        own_headers: Mapping[str, str],
        body: bytes | None,
        on_head: Callable[[], object] | None,
        head: bytes,
    ) -> None:
        """Keep the head of a request that was sent, if it can be sent again, and call ``on_head``."""
        self.header_cache.store(headers, own_headers, body, head)
        if on_head is not None:
            on_head()


class Targets(dict[tuple[str, str], Target]):
    """The targets of one client, by method and URL. For the arguments see HTTPClient."""

    def __init__(
        self,
        proxy: str | None,
        ca_bundle: str | None,
        certificate: tuple[str, str | None] | None,
        *,
        allow_insecure: bool,
        local_only: bool,
    ) -> None:
        super().__init__()
        self._proxy = proxy
        self._ca_bundle = ca_bundle
        self._certificate = certificate
        self._allow_insecure = allow_insecure
        self._local_only = local_only

    def add(self, session: PooledSession, method: str, url: str) -> Target:
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
            request.prepare(method=method, url=url, headers=HEADERS)
        except ValueError:  # requests' own InvalidURL is a subclass
            raise ConfigurationError(f"the URL at {origin_of(parts)} is invalid", guidance="Check base_url.") from None
        if parts.scheme.lower() == "https" or (chosen is not None and chosen.scheme == "https"):
            tls.shared_context(settings["verify"], settings["cert"])  # reports an unreadable CA bundle before anything is sent
        if len(self) >= MAX_TARGETS:
            self.clear()
        is_pooled = isinstance(session.get_adapter(str(request.url)), PooledAdapter)
        proxy = origin_of(chosen.url) if chosen else None
        target = Target(session, request, settings, origin_of(parts), proxy, is_pooled, HeaderCache())
        self[method, url] = target
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
