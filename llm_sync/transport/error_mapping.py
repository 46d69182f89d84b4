"""Network errors: exceptions of requests, urllib3, http.client and ssl mapped to this library's errors.

The only place that tells those exceptions apart. Their texts are not passed on: they quote URLs with queries, proxies with
passwords and header values.
"""

from __future__ import annotations

import errno
import http.client
import re
import socket
import ssl
from collections.abc import Iterator
from datetime import datetime, timezone

import urllib3.exceptions
from requests import exceptions as requests_errors

from llm_sync.errors import (
    ClientClosedError,
    ConfigurationError,
    LLMConnectorError,
    ProviderConnectionError,
    ProviderError,
    RequestTimeoutError,
)
from llm_sync.runtime.clock import now as monotonic
from llm_sync.transport.exchange import Exchange

# How it shows that the server closed a keep-alive connection while a request was being sent.
_CLOSED = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError, ssl.SSLEOFError)
MIN_ROUND_TRIP_S = 0.01  # on loopback a round trip takes less than it takes to wake the thread
_NOT_YET_VALID, _EXPIRED = 9, 10  # OpenSSL's verify codes
_NOT_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")
_TLS_RECORDS = ("\x15\x03", "\x16\x03")  # an alert, or a handshake, in the place of a status line
_TUNNEL_STATUS = re.compile(r"Tunnel connection failed: (\d{3})")
_TIMEOUT_MESSAGES = {
    "connect": "no connection to {origin} within {timeout:g} s",
    "headers": "{origin} did not answer within {timeout:g} s",
    "body": "the response from {origin} was not complete after {timeout:g} s",
}
_TIMEOUT_GUIDANCE = {
    "connect": "Check base_url, the network and the proxy setting.",
    "headers": "Raise `timeout` if the model needs longer; the request may still be billed.",
    "body": "Raise `timeout` if the response needs longer; the request may still be billed.",
}


def is_stale_connection(error: BaseException, exchange: Exchange) -> bool:
    """Whether the server had closed the idle connection before the request reached it.

    That shows while the request is written, or within two of the connection's round trips. A server that closes later may
    have worked on the request.
    """
    if not exchange.reused or exchange.response_started or exchange.expired:
        return False
    limit = max(2 * exchange.round_trip, MIN_ROUND_TRIP_S)
    in_time = exchange.sent_at is None or monotonic() - exchange.sent_at <= limit
    return in_time and any(isinstance(cause, _CLOSED) for cause in _cause_chain(error))


def map_error(error: Exception, exchange: Exchange, origin: str, proxy: str | None) -> Exception:
    """This library's error for ``error``; ``origin`` and ``proxy`` are scheme, host and port.

    An exception that neither the network nor a library below raised is returned unchanged.
    """
    if isinstance(error, LLMConnectorError):
        return error
    causes = list(_cause_chain(error))
    network_errors = (OSError, http.client.HTTPException, urllib3.exceptions.HTTPError, requests_errors.RequestException)
    if exchange.expired and any(isinstance(cause, network_errors) for cause in causes):
        return timeout_error(exchange, origin)
    if proxy is not None and any(isinstance(cause, urllib3.exceptions.ProxyError) for cause in causes):
        return _map_proxy_error(causes, origin, proxy)
    for cause in causes:
        mapped = _map_cause(cause, exchange.phase, origin)
        if mapped is not None:
            return mapped
    if isinstance(error, network_errors):
        return _connection_error(f"the exchange with {origin} failed ({type(causes[-1]).__name__})")
    return error


def aborted_error(origin: str) -> ClientClosedError:
    """The error for an exchange that was aborted."""
    return ClientClosedError(f"the request to {origin} was aborted in flight", guidance="It may have been answered and billed.")


def timeout_error(exchange: Exchange, origin: str) -> RequestTimeoutError:
    """The error for an exchange that used up its time."""
    return RequestTimeoutError(
        _TIMEOUT_MESSAGES[exchange.phase].format(origin=origin, timeout=exchange.timeout),
        phase=exchange.phase,
        elapsed=(exchange.elapsed,),
        possibly_billed=int(exchange.phase != "connect"),
        guidance=_TIMEOUT_GUIDANCE[exchange.phase],
    )


def truncated_error(origin: str) -> ProviderConnectionError:
    """The error for a response whose connection ended before it was complete."""
    return _connection_error(f"the connection to {origin} ended in the middle of the answer", "The request may have been billed.")


def too_large_error(origin: str, cap: int, status: int) -> ProviderError:
    """The error for a response over the size cap, in decoded bytes."""
    return ProviderError(
        f"the response from {origin} is larger than {cap} bytes",
        status=status,
        guidance="Raise `max_response_bytes` if you expect such responses.",
    )


def _cause_chain(error: BaseException) -> Iterator[BaseException]:
    """``error`` and what it wraps, outermost first: urllib3 and requests keep causes in args, in reason or chained."""
    seen: set[int] = set()
    pending: list[object] = [error]
    while pending:
        cause = pending.pop(0)
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            pending += [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]


def _map_cause(cause: BaseException, phase: str, origin: str) -> LLMConnectorError | None:
    if isinstance(cause, ssl.SSLError):
        return _map_tls_error(cause, phase, origin)
    if isinstance(cause, socket.gaierror):
        return _connection_error(
            f"the host name of {origin} cannot be resolved",
            "Check base_url for a misspelling and the network's DNS; behind a proxy, set `proxy` or HTTPS_PROXY.",
        )
    if isinstance(cause, ConnectionRefusedError):
        return _connection_error(
            f"{origin} refuses connections", "Is the server running, and are host and port in base_url right?"
        )
    if isinstance(cause, OSError) and cause.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        return _connection_error(f"there is no route to {origin}", "Check the network, a VPN and the proxy setting.")
    if isinstance(cause, _CLOSED):
        if phase == "body":
            return truncated_error(origin)
        guidance = "The request may have been billed; this is usually temporary."
        if origin.startswith("http://"):
            guidance += " A server that expects TLS closes it, too: then write https:// in base_url."
        return _connection_error(f"{origin} closed the connection without an answer", guidance)
    if isinstance(cause, (http.client.IncompleteRead, urllib3.exceptions.IncompleteRead)):
        return truncated_error(origin)
    if isinstance(cause, (urllib3.exceptions.DecodeError, requests_errors.ContentDecodingError)):
        return _connection_error(
            f"the response from {origin} cannot be decompressed", "A proxy or a gateway between here and there may damage it."
        )
    if isinstance(cause, http.client.BadStatusLine) and str(cause).startswith(_TLS_RECORDS):
        return ProviderConnectionError(
            f"{origin} speaks TLS on this port, and base_url begins with http://",
            retryable=False,
            guidance="Write https:// in base_url.",
        )
    if isinstance(cause, (urllib3.exceptions.InvalidHeader, http.client.HTTPException)):
        return _connection_error(f"what {origin} sent is not HTTP", "Check scheme and port in base_url.")
    if isinstance(cause, (requests_errors.InvalidURL, urllib3.exceptions.LocationParseError)):
        return ConfigurationError(f"the URL at {origin} is invalid", guidance="Check base_url.")
    return None


def _map_tls_error(cause: ssl.SSLError, phase: str, origin: str) -> ProviderError:
    if isinstance(cause, ssl.SSLCertVerificationError):
        reason = cause.verify_message or "verification failed"
        return ProviderConnectionError(
            f"the TLS certificate of {origin} is refused: {reason.rstrip('.')}",
            retryable=False,
            guidance=_certificate_guidance(cause.verify_code, reason),
        )
    if isinstance(cause, (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)):
        return _connection_error(f"{origin} closed the connection within TLS", "This is usually temporary.")
    if "CERTIFICATE_REQUIRED" in (cause.reason or ""):
        return ProviderConnectionError(
            f"{origin} asks for a client certificate",
            retryable=False,
            guidance="Set `client_cert` and `client_key` for this provider.",
        )
    if cause.reason in _NOT_TLS and phase == "connect":
        return ProviderConnectionError(
            f"{origin} does not speak TLS on this port, and base_url begins with https:// (or the proxy's URL does)",
            retryable=False,
            guidance="Check the port; write http:// for a server without TLS (see `allow_insecure` for one on another machine).",
        )
    return ProviderConnectionError(
        f"TLS with {origin} failed ({cause.reason or 'no reason given'})",
        retryable=phase != "connect",  # a failed handshake will fail again
        guidance="Check scheme and port in base_url: the server may speak plain http, or an old version of TLS.",
    )


def _certificate_guidance(verify_code: int, reason: str) -> str:
    if verify_code in (_NOT_YET_VALID, _EXPIRED):
        renewed = "its owner must renew it" if verify_code == _EXPIRED else "it cannot be used yet"
        now = datetime.now(timezone.utc)
        return f"This machine's clock says {now:%Y-%m-%d %H:%M} UTC: if that is wrong, set the clock; if it is right, {renewed}."
    if "ostname mismatch" in reason or "IP address mismatch" in reason:
        return "Check the host in base_url, or its certificate."
    return "With a private CA, or a proxy that inspects TLS, set `ca_bundle` (or REQUESTS_CA_BUNDLE) to its CA file."


def _map_proxy_error(causes: list[BaseException], origin: str, proxy: str) -> ProviderConnectionError:
    status = next((match[1] for cause in causes if (match := _TUNNEL_STATUS.search(str(cause)))), None)
    inner = next((mapped for cause in causes if (mapped := _map_cause(cause, "connect", proxy))), None)
    if status == "407":
        problem = "asks for a user name and a password (407)"
    elif status is not None:
        problem = f"refused the tunnel ({status})"
    else:
        problem = inner.message if inner is not None else "cannot be reached"
    permanent = status < "500" if status is not None else inner is not None and inner.retryable is False
    return ProviderConnectionError(
        f"the proxy {proxy} for {origin}: {problem}",
        retryable=not permanent,
        guidance="Check the proxy setting: `proxy`, or HTTPS_PROXY, HTTP_PROXY and NO_PROXY.",
    )


def _connection_error(problem: str, guidance: str | None = None) -> ProviderConnectionError:
    return ProviderConnectionError(problem, guidance=guidance or "This is usually temporary; if it persists, check the network.")
