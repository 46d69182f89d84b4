"""One TLS context per CA bundle for the whole process: loading a CA file takes about 40 ms of CPU, a handshake 3 ms."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from llm_sync.errors import ConfigurationError
from llm_sync.transport.sockets import tls_socket_class

# By the class of TLS sockets and the CA file or folder. No lock: if two threads load the same one, setdefault keeps the first.
_contexts: dict[tuple[Any, str], ssl.SSLContext] = {}

if TYPE_CHECKING:
    _Context = ssl.SSLContext
else:
    _Context = object


class SharedContext(_Context):
    """For contexts that verify certificate and host name and create deadline sockets. Many threads use one at the same time."""

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """Does nothing: urllib3 calls this per connection, and OpenSSL frees the list that other threads may be copying."""


class _EventletContext(SharedContext):
    """For eventlet, whose contexts make sockets of its own class only: changes their class before the handshake."""

    def wrap_socket(self, *args: Any, **kwargs: Any) -> Any:
        """Like SSLContext.wrap_socket for a connected socket."""
        kwargs["do_handshake_on_connect"], handshake = False, kwargs.get("do_handshake_on_connect", True)
        made: Any = super().wrap_socket(*args, **kwargs)
        made.__class__ = self.sslsocket_class
        if handshake:
            try:
                made.do_handshake()
            except BaseException:
                made.close()
                raise
        return made


def shared_context(verify: str | bool | None) -> ssl.SSLContext:
    """The context that trusts ``verify``: a CA file, a folder of CA files, or True for certifi's.

    Raises ConfigurationError if it cannot be read. Any other value means certifi's too: certificates are always verified.
    """
    path = verify if isinstance(verify, str) else DEFAULT_CA_BUNDLE_PATH
    key = tls_socket_class(), path
    return _contexts.get(key) or _contexts.setdefault(key, _load(*key))


def reset_after_fork() -> None:
    """In a forked child: drop the contexts. Threads that the child does not have may hold OpenSSL's locks inside them."""
    _contexts.clear()


def _load(sockets: Any, path: str) -> ssl.SSLContext:
    # Made of what ssl.SSLContext is now: gevent and eventlet replace it.
    base = _EventletContext if ssl.SSLContext.__module__.startswith("eventlet") else SharedContext
    make_context: Any = type("SharedContext", (base, ssl.SSLContext), {"sslsocket_class": sockets})
    context: ssl.SSLContext = make_context(ssl.PROTOCOL_TLS_CLIENT)  # requires a certificate and checks the host name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a bundle may contain the issuing CA without its root
    ssl.SSLContext.set_alpn_protocols(context, ["http/1.1"])
    try:
        if os.path.isdir(path):
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
    except OSError as error:  # ssl.SSLError is a subclass
        reason = "contains no certificate" if isinstance(error, ssl.SSLError) else error.strerror or "cannot be read"
        problem = f"the CA bundle {path} cannot be used: {reason}"
    else:
        return context
    raise ConfigurationError(
        problem, guidance="Set ca_bundle to a readable PEM file, or correct REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE."
    )
