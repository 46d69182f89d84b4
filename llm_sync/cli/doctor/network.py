"""The way to each provider's server: what applies, and with --online whether it works."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from llm_sync.cli import config_access, exit_codes
from llm_sync.cli.doctor.findings import FAIL, OK, WARN, Finding
from llm_sync.config import LLMConfig, ProviderConfig
from llm_sync.config.checks import insecure_url
from llm_sync.errors import ConfigurationError, LLMConnectorError

if TYPE_CHECKING:
    from llm_sync.transport.probe import Seen

EXPIRES_SOON_DAYS = 14
MAX_CLOCK_SKEW_S = 60
_HINTS = {
    "DNS": "Check base_url for a misspelling and the network's DNS; behind a proxy, set `proxy` or HTTPS_PROXY.",
    "connection": "Check host and port in base_url, whether the server runs, and the network.",
    "proxy": "Check `proxy`, or HTTPS_PROXY, HTTP_PROXY and NO_PROXY.",
    "TLS": "With a private CA, or a proxy that inspects TLS, set `ca_bundle` (or REQUESTS_CA_BUNDLE) to its CA file.",
    "answer": "Check scheme and port in base_url.",
}
_TLS_HINTS = {
    "expired": "Its owner has to renew it; a wrong clock of this machine looks the same.",
    "not yet valid": "Check this machine's clock.",
    "ostname mismatch": "Check the host in base_url.",
    "IP address mismatch": "Check the host in base_url.",
    "plain http": _HINTS["answer"],
    "ends within TLS": _HINTS["connection"],
}
_NETWORK_AUTHENTICATION = 511


def check(config: LLMConfig, *, online: bool, timeout: float) -> Iterator[Finding]:
    """Lines for each provider; addresses that several providers share are looked at once."""
    looked: dict[tuple[str, str | None, str | None], tuple[str, Finding]] = {}  # who was first, and how that ended
    for name, provider in config.providers.items():
        try:
            url = config_access.offline_provider(provider).base_url()
        except LLMConnectorError as error:
            yield Finding(FAIL, "address", name, error.message, error.guidance, exit_codes.CONFIGURATION)
            continue
        findings = list(_expected(name, provider, url))
        yield from findings
        if not online or any(finding.level == FAIL for finding in findings):
            continue
        key = (urlsplit(url).netloc, provider.proxy, provider.ca_bundle)
        if key in looked:
            first, end = looked[key]
            same = Finding(OK, "address", name, f"the same server as {first}'s")
            yield same if end.level == OK else replace(end, subject=name)
            continue
        tried = list(_tried(name, provider, url, timeout))
        looked[key] = name, tried[-1]
        yield from tried


def _expected(name: str, provider: ProviderConfig, url: str) -> Iterator[Finding]:
    from llm_sync.client.connection_check import expected_way

    insecure = insecure_url(url, allowed=provider.allow_insecure)
    if insecure is not None:
        yield Finding(FAIL, "address", name, insecure.message, insecure.hint, exit_codes.CONFIGURATION)
        return
    try:
        way = expected_way(provider, url)
    except ConfigurationError as error:
        yield Finding(FAIL, "address", name, error.message, error.guidance, exit_codes.CONFIGURATION)
        return
    proxy = f"through the proxy {way.proxy}, by {way.proxy_from}" if way.proxy else "without a proxy"
    because = f", by {way.proxy_from}" if way.proxy_from and not way.proxy else ""
    bundle = f"; certificates are checked with {way.ca_bundle}" if way.ca_bundle and url.lower().startswith("https:") else ""
    yield Finding(OK, "address", name, f"{way.origin}, {proxy}{because}{bundle}")
    if way.has_netrc:
        hint = "Remove the entry, if it was meant for this: the key comes from the configuration."
        yield Finding(WARN, "netrc", name, f"a netrc file has an entry for {way.origin}, which llm-sync does not use", hint)


def _tried(name: str, provider: ProviderConfig, url: str, timeout: float) -> Iterator[Finding]:
    from llm_sync.client.connection_check import look

    seen = look(provider, url, timeout)
    if seen.failed is not None:
        hint = next((hint for word, hint in _TLS_HINTS.items() if seen.failed == "TLS" and word in seen.problem), None)
        yield Finding(FAIL, seen.failed, name, seen.problem, hint or _HINTS[seen.failed], exit_codes.NETWORK)
        return
    yield from _status(name, seen)
    yield from _clock(name, seen)
    if seen.expires_in is not None and seen.expires_in < EXPIRES_SOON_DAYS:
        hint = "Its owner has to renew it."
        yield Finding(WARN, "TLS", name, f"its certificate ends in {seen.expires_in:.0f} days", hint)
    steps = [
        f"{seen.ipv4} IPv4 and {seen.ipv6} IPv6 addresses",
        f"connected in {(seen.connect_s or 0) * 1000:.0f} ms",
        *([f"TLS in {seen.tls_s * 1000:.0f} ms"] if seen.tls_s is not None else []),
        f"first byte after {(seen.first_byte_s or 0) * 1000:.0f} ms (status {seen.status}, asked without a key)",
    ]
    yield Finding(OK, "online", name, ", ".join(steps))


def _status(name: str, seen: Seen) -> Iterator[Finding]:
    """A server refuses a request without a key; that it fails at it is a sign that it fails at others."""
    if seen.status == _NETWORK_AUTHENTICATION:
        yield Finding(WARN, "answer", name, "the network asks for a login first (status 511)", "Log in with a browser.")
    elif seen.status is not None and seen.status >= 500:
        hint = "The provider, or a gateway before it, may be down: look at its status page, and ask with --ask."
        yield Finding(WARN, "answer", name, f"it answers with status {seen.status}", hint)


def _clock(name: str, seen: Seen) -> Iterator[Finding]:
    ahead = seen.clock_ahead
    if ahead is None or abs(ahead) <= MAX_CLOCK_SKEW_S:
        return
    way = "ahead of" if ahead > 0 else "behind"
    hint = "Set this machine's clock (NTP): certificates and tokens depend on it."
    yield Finding(WARN, "clock", name, f"this machine's clock is {abs(ahead):.0f} s {way} the server's", hint)
