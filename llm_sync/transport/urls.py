"""Which URLs a request may go to, and how messages show a URL: scheme, host and port, nothing else."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urljoin, urlsplit

from llm_sync.errors import ConfigurationError

_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\\ud800-\udfff]")  # parsers disagree on whether a backslash ends the host
_METADATA_SERVERS = ("169.254.169.254", "metadata.google.internal")
_GUIDANCE = "base_url looks like https://api.example.com/v1."


def validate_url(url: object) -> SplitResult:
    """The parts of ``url``. Raises ConfigurationError if it cannot be used; the message shows the host at most."""
    if not isinstance(url, str):
        raise _url_error(f"is of type {type(url).__name__}, not a string")
    if not url:
        raise _url_error("is empty")
    if _FORBIDDEN.search(url):
        raise _url_error("contains a space, a control character or a backslash")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _url_error("has an invalid host or port") from None
    if parts.scheme.lower() not in ("http", "https") or "://" not in url:
        raise _url_error("does not begin with https:// or http://")
    if not host or port == 0:
        raise _url_error("has no host" if not host else "has the invalid port 0")
    if "@" in parts.netloc:
        raise _url_error("contains a user name or a password", "Send them as a header instead: see `headers` and `auth`.")
    if parts.fragment:
        raise _url_error("has a fragment (#…), which is never sent")
    try:
        host.encode("idna" if ":" not in host else "ascii")
    except UnicodeError:
        raise _url_error("has an invalid host name") from None
    return parts


def origin_of(url: str | SplitResult, base: str = "") -> str:
    """Scheme, host and port for a message: no user, path or query, and no character that could disturb a terminal."""
    try:
        parts = urlsplit(urljoin(base, url)) if isinstance(url, str) else url
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "an unreadable address"
    if not re.fullmatch(r"[\w.:%-]{1,253}", host) or parts.scheme.lower() not in ("http", "https"):
        return "an unreadable address"
    bracketed = f"[{host}]" if ":" in host else host
    return f"{parts.scheme.lower()}://{bracketed}{'' if port is None else f':{port}'}"


def is_metadata_server(host: str | None) -> bool:
    """Whether ``host`` is the metadata server of a cloud virtual machine. It speaks plain http only, and gives tokens."""
    return _normalize(host) in _METADATA_SERVERS


def may_use_plain_http(method: str, parts: SplitResult) -> bool:
    """Whether a request to an http URL carries no key or prompt over the network: to loopback, or for a metadata token."""
    if is_loopback(parts.hostname):
        return True
    asks_metadata = parts.path in ("", "/") or parts.path.startswith("/computeMetadata/")
    return method == "GET" and is_metadata_server(parts.hostname) and asks_metadata


def is_loopback(host: str | None) -> bool:
    """Whether ``host`` names this machine: localhost, 127.0.0.0/8 or ::1. No name is resolved."""
    name = _normalize(host)
    if name == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _normalize(host: str | None) -> str:
    return (host or "").strip("[]").rstrip(".").lower()


def _url_error(problem: str, guidance: str = _GUIDANCE) -> ConfigurationError:
    return ConfigurationError(f"the URL to send to {problem}", guidance=guidance)
