"""Which URLs a request may go to, and how a URL is named in a message: by scheme and host, never more."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urljoin, urlsplit

from requests.utils import prepend_scheme_if_needed
from urllib3.util import Url, parse_url

from llm_sync.errors import ConfigurationError

_UNFIT = re.compile(r"[\x00-\x20\x7f\\\ud800-\udfff]")  # a backslash is a host's end to some parsers and part of it to others
_METADATA_SERVER = ("169.254.169.254", "metadata.google.internal")
_GUIDANCE = "base_url looks like https://api.example.com/v1."


def checked(url: object) -> SplitResult:
    """The parts of ``url``; ConfigurationError, quoting nothing of it beyond the host, when it cannot be one."""
    if not isinstance(url, str):
        raise _wrong(f"is of type {type(url).__name__}, not a string")
    if not url:
        raise _wrong("is empty")
    if _UNFIT.search(url):
        raise _wrong("holds a blank, a control character or a backslash")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _wrong("has an impossible host or port") from None
    if parts.scheme.lower() not in ("http", "https") or "://" not in url:
        raise _wrong("does not begin with https:// or http://")
    if not host or port == 0:
        raise _wrong("has no host" if not host else "has the impossible port 0")
    if "@" in parts.netloc:
        raise _wrong("holds a user name or a password", "Send them as a header instead: see `headers` and `auth`.")
    if parts.fragment:
        raise _wrong("has a part behind a #, which is never sent")
    try:
        host.encode("idna" if ":" not in host else "ascii")
    except UnicodeError:
        raise _wrong("has an impossible host name") from None
    return parts


def where(url: str | SplitResult, base: str = "") -> str:
    """Scheme, host and port for a message: no user, path or query, and nothing that could disturb a terminal."""
    try:
        parts = urlsplit(urljoin(base, url)) if isinstance(url, str) else url
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "an unreadable address"
    if not re.fullmatch(r"[\w.:%-]{1,253}", host) or parts.scheme.lower() not in ("http", "https"):
        return "an unreadable address"
    named = f"[{host}]" if ":" in host else host
    return f"{parts.scheme.lower()}://{named}{'' if port is None else f':{port}'}"


def is_loopback(host: str | None) -> bool:
    """Whether ``host`` is this machine, or its own host: the metadata server of a cloud's virtual machine.

    That one answers by plain http only, and is asked for tokens without a key.
    """
    return _bare(host) in _METADATA_SERVER or is_this_machine(host)


def is_this_machine(host: str | None) -> bool:
    """Whether ``host`` is this machine by its very name: localhost, 127.0.0.0/8 or ::1."""
    name = _bare(host)
    if name == "localhost":
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _bare(host: str | None) -> str:
    return (host or "").strip("[]").rstrip(".").lower()


def checked_proxy(proxy: str | None) -> Url | None:
    """The parts of a proxy's URL, None for none; ConfigurationError, quoting nothing of it, when it cannot be used."""
    if not proxy:
        return None
    guidance = "Set `proxy` (or HTTPS_PROXY, HTTP_PROXY) to a URL like http://proxy.example.com:3128."
    try:
        parts = parse_url(prepend_scheme_if_needed(proxy, "http"))  # type: ignore[no-untyped-call]
    except (ValueError, TypeError):  # the latter for a user name without a host
        raise ConfigurationError("the proxy's URL cannot be read", guidance=guidance) from None
    if parts.scheme not in ("http", "https"):
        raise ConfigurationError("proxies other than http:// and https:// are not supported", guidance=guidance)
    if not parts.host:
        raise ConfigurationError("the proxy's URL has no host", guidance=guidance)
    return parts


def _wrong(problem: str, guidance: str = _GUIDANCE) -> ConfigurationError:
    return ConfigurationError(f"the URL to send to {problem}", guidance=guidance)
