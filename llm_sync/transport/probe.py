"""Looks at the way to one server, step by step: names, addresses, proxy, TLS, clock, first byte. Sends no key and no prompt."""

from __future__ import annotations

import email.utils
import http.client
import os
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import SplitResult, unquote

from requests.utils import get_environ_proxies, get_netrc_auth, select_proxy, should_bypass_proxies
from urllib3.util import Url
from urllib3.util.ssltransport import SSLTransport

from llm_sync.transport import proxies, tls
from llm_sync.transport.exchange import Exchange
from llm_sync.transport.tls import ClientCertificate
from llm_sync.transport.urls import is_loopback, origin_of, validate_url

Connection = socket.socket | SSLTransport
"""A connection to a server; an SSLTransport is TLS inside a proxy's TLS."""

MAX_ADDRESSES = 4  # tried of each kind
_PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


@dataclass(frozen=True)
class Way:
    """How requests to a URL would go, as far as can be told without the network. ``proxy``: scheme, host and port, or None;
    ``proxy_from``: what decides that. ``has_netrc``: a netrc file has an entry for the host, which is not used."""

    origin: str
    proxy: str | None = None
    proxy_from: str | None = None
    has_netrc: bool = False
    ca_bundle: str | None = None


@dataclass
class Seen:
    """What became of each step; later ones are None if an earlier one failed. ``failed``: the step, ``problem``: why.

    ``ipv4`` and ``ipv6``: addresses found. ``expires_in``: days until the certificate ends. ``clock_ahead``: seconds by which
    this machine's clock is ahead of the server's. ``connect_s``, ``tls_s``, ``first_byte_s``: seconds of each step. ``status``:
    of the answer to a request without a key.
    """

    ipv4: int = 0
    ipv6: int = 0
    connect_s: float | None = None
    tls_s: float | None = None
    expires_in: float | None = None
    first_byte_s: float | None = None
    status: int | None = None
    clock_ahead: float | None = None
    failed: str | None = None
    problem: str = ""


class StepFailedError(Exception):
    """A step failed; the first argument is its name, the second what happened."""


def way_to(url: str, *, proxy: str | None, ca_bundle: str | None, certificate: ClientCertificate | None) -> Way:
    """The way to ``url``; ``proxy``, ``ca_bundle`` and ``certificate`` as HTTPClient takes them. Raises ConfigurationError."""
    parts = validate_url(url)
    chosen, source = _proxy_for(url, parts, proxy)
    bundle = _bundle(ca_bundle)
    if "https" in (parts.scheme.lower(), None if chosen is None else chosen.scheme):
        tls.shared_context(bundle, certificate)  # reports files that cannot be read
    try:
        has_netrc = get_netrc_auth(url) is not None
    except Exception:  # noqa: BLE001  (a damaged netrc, which nobody reads)
        has_netrc = False
    return Way(origin_of(parts), None if chosen is None else origin_of(chosen.url), source, has_netrc, bundle)


def look_at(url: str, *, proxy: str | None, ca_bundle: str | None, certificate: ClientCertificate | None, timeout: float) -> Seen:
    """Try each step, each within ``timeout`` seconds. Raises ConfigurationError as ``way_to`` does."""
    parts = validate_url(url)
    chosen, _ = _proxy_for(url, parts, proxy)
    seen = Seen()
    try:
        _look(parts, chosen, _Trust(_bundle(ca_bundle), certificate, timeout), timeout, seen)
    except StepFailedError as failure:
        seen.failed, seen.problem = failure.args
    return seen


class _Trust(NamedTuple):
    """With what TLS is set up, and the seconds that each step of it may take."""

    bundle: str | None
    certificate: ClientCertificate | None
    timeout: float


def _bundle(configured: str | None) -> str | None:
    named = (os.environ.get(name) for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"))
    return configured or next((path for path in named if path), None) or tls.environment_bundle()


def _proxy_for(url: str, parts: SplitResult, proxy: str | None) -> tuple[Url | None, str | None]:
    if proxy is not None:
        return proxies.validate_proxy(proxy, is_configured=True), "the configuration (proxy)"
    if is_loopback(parts.hostname):
        return None, None
    exempt = proxies.is_exempt(parts.hostname)
    chosen = None if exempt else proxies.validate_proxy(select_proxy(url, get_environ_proxies(url, no_proxy=None)))
    named = next((name for name in _PROXY_VARIABLES if os.environ.get(name) and _applies(name, parts.scheme)), None)
    if chosen is None:
        bypassed = named is not None and (exempt or should_bypass_proxies(url, no_proxy=None))
        return None, f"NO_PROXY, in spite of {named}" if bypassed else None
    return chosen, named


def _applies(variable: str, scheme: str) -> bool:
    kind = variable.lower().partition("_")[0]
    return kind in ("all", scheme.lower())


def _look(parts: SplitResult, proxy: Url | None, trust: _Trust, timeout: float, seen: Seen) -> None:
    host, secure = parts.hostname or "", parts.scheme.lower() == "https"
    port = parts.port or (443 if secure else 80)
    sock: Connection
    if proxy is None:
        sock = _connect(host, port, timeout, seen, "address")
    else:
        sock = _connect(proxy.host or "", proxy.port or (443 if proxy.scheme == "https" else 80), timeout, seen, "proxy")
    try:
        if proxy is not None and proxy.scheme == "https":  # first of all: the proxy's password is not to be read on the way
            sock = _secured_to_proxy(sock, proxy.host or "", trust)
        if secure and proxy is not None:
            _tunnel(sock, host, port, proxy, timeout)
        if secure:
            sock = _secured_to_server(sock, host, trust, seen)
        _ask(sock, parts, timeout, seen, None if secure else proxy)
    finally:
        sock.close()


def _connect(host: str, port: int, timeout: float, seen: Seen, step: str) -> socket.socket:
    """A connection to the first address that answers."""
    name = "DNS" if step == "address" else "proxy"
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        what = "its host name" if step == "address" else f"the proxy's host name {host}"
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise StepFailedError(name, f"{what} cannot be resolved ({reason})") from None
    families = {"v4": socket.AF_INET, "v6": socket.AF_INET6}
    by_family = {word: [entry for entry in found if entry[0] == family][:MAX_ADDRESSES] for word, family in families.items()}
    seen.ipv4, seen.ipv6 = (len(by_family[word]) for word in families)
    problems = []
    for word, entries in by_family.items():
        for family, kind, protocol, _, address in entries:
            sock = socket.socket(family, kind, protocol)
            sock.settimeout(timeout)
            began = time.monotonic()
            try:
                sock.connect(address)
            except OSError as error:
                sock.close()
                problems.append(f"IP{word} {_reason(error, timeout)}")
                continue
            seen.connect_s = time.monotonic() - began
            return sock
    only = " (the name has IPv6 addresses only)" if seen.ipv6 and not seen.ipv4 else ""
    where = f"{host}:{port}" if step == "address" else f"the proxy {host}:{port}"
    step = "connection" if step == "address" else "proxy"
    raise StepFailedError(step, f"no connection to {where}{only}: {'; '.join(dict.fromkeys(problems)) or 'it has no address'}")


def _reason(error: OSError, timeout: float) -> str:
    if isinstance(error, TimeoutError):
        return f"does not answer within {timeout:g} s"
    if isinstance(error, ConnectionRefusedError):
        return "refuses connections"
    return error.strerror or type(error).__name__


def _tunnel(sock: Connection, host: str, port: int, proxy: Url, timeout: float) -> None:
    """Ask the proxy for a tunnel, with its own user name and password, if the URL has them."""
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", *_authorization(proxy)]
    try:
        with _exchange(timeout):
            sock.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
            answer = http.client.HTTPResponse(sock, method="CONNECT")  # type: ignore[arg-type]  # it needs makefile only
            answer.begin()
    except (OSError, http.client.HTTPException) as error:
        raise StepFailedError("proxy", f"the proxy gives no tunnel ({type(error).__name__})") from None
    _check_authorized(answer)
    if answer.status != 200:
        raise StepFailedError("proxy", f"the proxy refuses the tunnel ({answer.status})")


def _authorization(proxy: Url) -> list[str]:
    """The header with the proxy's user name and password, if its URL has them."""
    if not proxy.auth:
        return []
    import base64

    return [f"Proxy-Authorization: Basic {base64.b64encode(unquote(proxy.auth).encode()).decode()}"]


def _check_authorized(answer: http.client.HTTPResponse) -> None:
    if answer.status == 407:
        raise StepFailedError("proxy", "the proxy asks for a user name and a password (407)")


def _secured_to_proxy(sock: Connection, host: str, trust: _Trust) -> Connection:
    try:
        return _secured(sock, host, trust)
    except OSError as error:
        raise StepFailedError("proxy", f"TLS to the proxy {host}: {_tls_problem(error)}") from None


def _secured_to_server(sock: Connection, host: str, trust: _Trust, seen: Seen) -> Connection:
    began = time.monotonic()
    try:
        secured = _secured(sock, host, trust)
    except OSError as error:
        raise StepFailedError("TLS", _tls_problem(error)) from None
    seen.tls_s = time.monotonic() - began
    certificate: Any = secured.getpeercert() or {}
    if "notAfter" in certificate:
        seen.expires_in = (ssl.cert_time_to_seconds(str(certificate["notAfter"])) - time.time()) / 86_400
    return secured


def _secured(sock: Connection, host: str, trust: _Trust) -> ssl.SSLSocket | SSLTransport:
    """TLS over a connection, which may be TLS to a proxy already. Raises OSError.

    By the context of requests, within an exchange: so OpenSSL makes the handshake in steps that no fork interrupts (tls.py).
    """
    context = tls.shared_context(trust.bundle, trust.certificate)
    with _exchange(trust.timeout):
        if isinstance(sock, ssl.SSLSocket):
            return SSLTransport(sock, context, server_hostname=host)
        return context.wrap_socket(sock, server_hostname=host)  # type: ignore[arg-type]  # nothing is wrapped twice


def _exchange(timeout: float) -> Exchange:
    """Within it, deadline sockets keep to the timeout, and keep forks off where they must."""
    return Exchange(timeout, None, set())


def _tls_problem(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is refused: {(error.verify_message or 'unknown reason').rstrip('.')}"
    if isinstance(error, ssl.SSLError):
        return f"TLS fails ({error.reason or type(error).__name__}); the port may speak plain http"
    return f"the connection ends within TLS ({type(error).__name__})"


def _ask(sock: Connection, parts: SplitResult, timeout: float, seen: Seen, proxy: Url | None) -> None:
    """A request without a key: whatever comes back shows that an HTTP server answers, when, and what its clock says.

    ``proxy``: the one that is to send it on, if it is not a tunnel.
    """
    path, host = (parts.path or "/").replace("{model}", "model"), parts.hostname or ""
    target = path if proxy is None else f"{parts.scheme}://{parts.netloc}{path}"
    named = f"[{host}]" if ":" in host else host
    lines = [f"GET {target} HTTP/1.1", f"Host: {named}", "User-Agent: llm-sync-doctor", "Accept: */*", "Connection: close"]
    lines += [] if proxy is None else _authorization(proxy)
    began = time.monotonic()
    try:
        with _exchange(timeout):
            sock.sendall("\r\n".join([*lines, "", ""]).encode("latin-1", "replace"))
            answer = http.client.HTTPResponse(sock)  # type: ignore[arg-type]  # it needs makefile only
            answer.begin()
    except TimeoutError:
        raise StepFailedError("answer", f"it accepts the connection, but sends nothing within {timeout:g} s") from None
    except (OSError, http.client.HTTPException) as error:
        raise StepFailedError("answer", f"what it sends is not HTTP ({type(error).__name__})") from None
    if proxy is not None:
        _check_authorized(answer)
    seen.first_byte_s, seen.status = time.monotonic() - began, answer.status
    date = answer.getheader("Date")
    try:
        seen.clock_ahead = None if not date else time.time() - email.utils.parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        seen.clock_ahead = None
