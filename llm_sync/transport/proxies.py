"""Which proxy a request goes through, where requests alone does not decide it well."""

from __future__ import annotations

import ipaddress
import os

from requests.utils import prepend_scheme_if_needed
from urllib3.util import Url, parse_url

from llm_sync.errors import ConfigurationError

_VARIABLES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


def validate_proxy(proxy: str | None, *, is_configured: bool = False) -> Url | None:
    """The parts of a proxy's URL; None for none. Raises ConfigurationError if it cannot be used, without quoting it.

    ``is_configured``: it is the configuration's, and not from a variable of the environment.
    """
    if not proxy:
        return None
    named = next((name for name in _VARIABLES if os.environ.get(name) == proxy), None)
    where = "`proxy`" if is_configured else named or "the system's settings"
    guidance = f"Set {where} to a URL like http://proxy.example.com:3128"
    guidance += "." if is_configured else ', or `proxy: ""` for this provider to use none.'
    try:
        parts = parse_url(prepend_scheme_if_needed(proxy, "http"))  # type: ignore[no-untyped-call]
    except (ValueError, TypeError):  # TypeError: a user name without a host
        raise ConfigurationError(f"the proxy's URL in {where} cannot be parsed", guidance=guidance) from None
    if parts.scheme not in ("http", "https"):
        kind = f"a SOCKS proxy ({parts.scheme}://)" if str(parts.scheme).startswith("socks") else "neither http:// nor https://"
        raise ConfigurationError(
            f"the proxy in {where} is {kind}: only proxies with http:// and https:// are supported", guidance=guidance
        )
    if not parts.host:
        raise ConfigurationError(f"the proxy's URL in {where} has no host", guidance=guidance)
    return parts


def is_exempt(host: str | None) -> bool:
    """Whether an entry of NO_PROXY that requests does not understand exempts ``host``: ``*.domain``, or one of IPv6."""
    name = (host or "").strip("[]").rstrip(".").lower()
    entries = (os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or "").lower().replace(" ", "").split(",")
    return any(_matches(name, entry) for entry in entries)


def _matches(name: str, entry: str) -> bool:
    if entry.startswith("*."):
        return name.endswith(entry[1:].rstrip("."))
    if entry.count(":") < 2:
        return False  # a name, an address of IPv4, or one of them with a port: requests compares them
    address = entry.partition("]:")[0]  # of any port
    try:
        return ipaddress.ip_address(name) in ipaddress.ip_network(address.replace("[", "").replace("]", ""), strict=False)
    except ValueError:
        return False
