"""The way to a provider's server, for those who look for what is wrong with it. Sends no key and no prompt."""

from __future__ import annotations

from llm_sync.config.models import ProviderConfig
from llm_sync.transport.probe import Seen, Way, look_at, way_to


def expected_way(provider: ProviderConfig, url: str) -> Way:
    """How requests to ``url`` would go: proxy, CA bundle. Nothing is sent. Raises ConfigurationError."""
    return way_to(url, proxy=provider.proxy, ca_bundle=provider.ca_bundle, certificate=_certificate(provider))


def look(provider: ProviderConfig, url: str, timeout: float) -> Seen:
    """Try each step to the server of ``url``, each within ``timeout`` seconds. Raises ConfigurationError."""
    certificate = _certificate(provider)
    return look_at(url, proxy=provider.proxy, ca_bundle=provider.ca_bundle, certificate=certificate, timeout=timeout)


def _certificate(provider: ProviderConfig) -> tuple[str, str | None] | None:
    return None if provider.client_cert is None else (provider.client_cert, provider.client_key)
