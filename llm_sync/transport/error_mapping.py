"""What went wrong below HTTP, in our words: which error, whether a retry may help, and what a person can do.

The one place where exceptions of requests, urllib3, http.client and ssl are told apart. Their texts are not passed on:
they quote URLs with queries, proxies with passwords and header values.
"""

from __future__ import annotations

import errno
import http.client
import re
import socket
import ssl
from collections.abc import Iterator

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
from llm_sync.transport.sockets import Exchange

# How the end of a kept-alive connection shows when the server closed it while a request was on its way.
_CLOSED = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError, ssl.SSLEOFError)
_ROUND_TRIP_S = 1.0  # a generous one
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")
_LATE = {
    "connect": "no connection to {where} within {timeout:g} s",
    "headers": "{where} did not answer within {timeout:g} s",
    "body": "the answer of {where} was not complete after {timeout:g} s",
}
_LATE_GUIDANCE = {
    "connect": "Check base_url, the network and the proxy setting.",
    "headers": "Raise `timeout` if the model needs longer; what was sent may still be billed.",
    "body": "Raise `timeout` if the answer needs longer; what was sent may still be billed.",
}


def stale(error: BaseException, exchange: Exchange) -> bool:
    """Whether the server had just closed the idle connection, so that it never saw the request: worth one fresh try.

    That shows within a round trip. A server that closes later may have worked on the request, which is then for the retry
    policy to send again, or not.
    """
    return (
        exchange.reused
        and not exchange.received
        and not exchange.over
        and exchange.elapsed < _ROUND_TRIP_S
        and any(isinstance(cause, _CLOSED) for cause in _causes(error))
    )


def translate(error: Exception, exchange: Exchange, where: str, proxy: str | None) -> Exception:
    """The error of this library that ``error`` stands for; ``where`` and ``proxy`` name scheme and host only.

    What is neither of the network nor of a library below comes back as it is.
    """
    if isinstance(error, LLMConnectorError):
        return error
    causes = list(_causes(error))
    foreign = (OSError, http.client.HTTPException, urllib3.exceptions.HTTPError, requests_errors.RequestException)
    if exchange.over and any(isinstance(cause, foreign) for cause in causes):
        return timed_out(exchange, where)
    if proxy is not None and any(isinstance(cause, urllib3.exceptions.ProxyError) for cause in causes):
        return _proxy_failure(causes, where, proxy)
    for cause in causes:
        failure = _known(cause, exchange.phase, where)
        if failure is not None:
            return failure
    if isinstance(error, foreign):
        return _broken(f"the exchange with {where} failed ({type(causes[-1]).__name__})")
    return error


def abandoned(where: str) -> ClientClosedError:
    """The error for an exchange that was aborted."""
    return ClientClosedError(
        f"the request to {where} was abandoned while it was under way", guidance="It may have been answered and billed."
    )


def timed_out(exchange: Exchange, where: str) -> RequestTimeoutError:
    """The error for an exchange that used up its time."""
    return RequestTimeoutError(
        _LATE[exchange.phase].format(where=where, timeout=exchange.timeout),
        phase=exchange.phase,
        elapsed=(exchange.elapsed,),
        guidance=_LATE_GUIDANCE[exchange.phase],
    )


def cut_short(where: str) -> ProviderConnectionError:
    """The error for an answer whose connection ended within it."""
    return _broken(f"the connection to {where} ended in the middle of the answer", "What was sent may have been billed.")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """``error`` and what it wraps, outermost first: urllib3 and requests keep it in args, in reason or as the cause."""
    seen: set[int] = set()
    pending: list[object] = [error]
    while pending:
        cause = pending.pop(0)
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            pending += [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]


def _known(cause: BaseException, phase: str, where: str) -> LLMConnectorError | None:
    if isinstance(cause, ssl.SSLError):
        return _tls_failure(cause, phase, where)
    if isinstance(cause, socket.gaierror):
        return _broken(
            f"the host name of {where} cannot be resolved",
            "Check base_url for a misspelling and the network's DNS; behind a proxy, set `proxy` or HTTPS_PROXY.",
        )
    if isinstance(cause, ConnectionRefusedError):
        return _broken(f"{where} refuses connections", "Is the server running, and are host and port in base_url right?")
    if isinstance(cause, OSError) and cause.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        return _broken(f"there is no route to {where}", "Check the network, a VPN and the proxy setting.")
    if isinstance(cause, _CLOSED):
        if phase == "body":
            return cut_short(where)
        return _broken(f"{where} closed the connection without an answer", "It may have been billed; most often it passes.")
    if isinstance(cause, (http.client.IncompleteRead, urllib3.exceptions.IncompleteRead)):
        return cut_short(where)
    if isinstance(cause, (urllib3.exceptions.DecodeError, requests_errors.ContentDecodingError)):
        return _broken(f"the answer of {where} cannot be decompressed", "A proxy or a gateway on the way may damage it.")
    if isinstance(cause, (urllib3.exceptions.InvalidHeader, http.client.HTTPException)):
        return _broken(f"what came from {where} is not HTTP", "Check scheme and port in base_url.")
    if isinstance(cause, (requests_errors.InvalidURL, urllib3.exceptions.LocationParseError)):
        return ConfigurationError(f"the URL at {where} is impossible", guidance="Check base_url.")
    return None


def _tls_failure(cause: ssl.SSLError, phase: str, where: str) -> ProviderError:
    if isinstance(cause, ssl.SSLCertVerificationError):
        reason = cause.verify_message or "verification failed"
        return ProviderConnectionError(
            f"the TLS certificate of {where} is refused: {reason.rstrip('.')}",
            retryable=False,
            guidance="Check the host in base_url, or its certificate."
            if "ostname mismatch" in reason or "IP address mismatch" in reason
            else "With a private CA, or a proxy that inspects TLS, set `ca_bundle` (or REQUESTS_CA_BUNDLE) to its CA file.",
        )
    if isinstance(cause, (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)):
        return _broken(f"{where} closed the connection within TLS", "Most often it passes.")
    return ProviderConnectionError(
        f"TLS with {where} failed ({cause.reason or 'no reason given'})",
        retryable=phase != "connect",  # a handshake that fails will fail again
        guidance="Check scheme and port in base_url: the server may speak plain http, or an old version of TLS.",
    )


def _proxy_failure(causes: list[BaseException], where: str, proxy: str) -> ProviderConnectionError:
    status = next((found[1] for cause in causes if (found := _TUNNEL.search(str(cause)))), None)
    inner = next((known for cause in causes if (known := _known(cause, "connect", proxy))), None)
    if status == "407":
        problem = "asks for a user name and a password (407)"
    elif status is not None:
        problem = f"does not let it through ({status})"
    else:
        problem = inner.message if inner is not None else "cannot be reached"
    lasting = status < "500" if status is not None else inner is not None and inner.retryable is False
    return ProviderConnectionError(
        f"the proxy {proxy} for {where}: {problem}",
        retryable=not lasting,
        guidance="Check the proxy setting: `proxy`, or HTTPS_PROXY, HTTP_PROXY and NO_PROXY.",
    )


def _broken(problem: str, guidance: str | None = None) -> ProviderConnectionError:
    return ProviderConnectionError(problem, guidance=guidance or "Most often it passes; if not, check the network.")
