"""One TLS context per CA bundle for the whole process: loading a CA file takes about 40 ms of CPU, a handshake 3 ms.

Both take locks of OpenSSL that belong to the whole process (of its random generator, its list of algorithms, its ex_data), and
OpenSSL does not free them in a forked child: a child forked in between would hang at its own first context. So a fork waits for
both (fork_barrier.py), and for reads in which session tickets may come (sockets.py). Later reads and writes take no such lock.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from llm_sync.errors import ConfigurationError
from llm_sync.runtime.fork_barrier import fork_barrier
from llm_sync.transport.sockets import tls_socket_class

ClientCertificate = tuple[str, "str | None"]
"""The PEM file of a certificate, and that of its key (None: the same file)."""

# By the class of TLS sockets and the CA file or folder. No lock: if two threads load the same one, setdefault keeps the first.
_contexts: dict[tuple[Any, str, ClientCertificate | None], ssl.SSLContext] = {}

if TYPE_CHECKING:
    _Context = ssl.SSLContext
else:
    _Context = object


class SharedContext(_Context):
    """For contexts that verify certificate and host name and create deadline sockets. Many threads use one at the same time."""

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """Does nothing: urllib3 calls this per connection, and OpenSSL frees the list that other threads may be copying."""

    def wrap_socket(self, *args: Any, **kwargs: Any) -> Any:
        """Like SSLContext.wrap_socket for a connected socket; no fork happens while OpenSSL prepares or makes the handshake."""
        kwargs["do_handshake_on_connect"], handshake = False, kwargs.get("do_handshake_on_connect", True)
        with fork_barrier:
            made = self._wrap(*args, **kwargs)
        if handshake:
            try:
                made.do_handshake()  # waits for the peer outside the barrier
            except BaseException:
                made.close()
                raise
        return made

    def _wrap(self, *args: Any, **kwargs: Any) -> Any:
        return super().wrap_socket(*args, **kwargs)

    def wrap_bio(self, *args: Any, **kwargs: Any) -> Any:
        """Like SSLContext.wrap_bio, which urllib3 uses for TLS inside TLS."""
        with fork_barrier:
            return super().wrap_bio(*args, **kwargs)


class _InnerTLS(ssl.SSLObject):
    """TLS inside TLS. It reads and writes memory only, so its handshake never waits."""

    def do_handshake(self) -> None:
        with fork_barrier:
            super().do_handshake()


class _EventletContext(SharedContext):
    """For eventlet, whose contexts make sockets of its own class only: changes their class before the handshake."""

    def _wrap(self, *args: Any, **kwargs: Any) -> Any:
        made = super()._wrap(*args, **kwargs)
        made.__class__ = self.sslsocket_class
        return made


def shared_context(verify: str | bool | None, certificate: ClientCertificate | None = None) -> ssl.SSLContext:
    """The context that trusts ``verify``: a CA file, a folder of CA files, or True for certifi's.

    ``certificate`` is presented to servers that ask for one. Raises ConfigurationError if one of the files cannot be read. Any
    other value means certifi's too: certificates are always verified.
    """
    path = verify if isinstance(verify, str) else DEFAULT_CA_BUNDLE_PATH
    key = tls_socket_class(), path, certificate
    context = _contexts.get(key)
    if context is None:
        with fork_barrier:
            context = _contexts.setdefault(key, _load(*key))
    return context


def environment_bundle() -> str | None:
    """The CA file or folder that OpenSSL's variables name, which requests does not read. Like OpenSSL, without a missing one."""
    named = (os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))
    return next((path for path in named if path and os.path.exists(path)), None)


def reset_after_fork() -> None:
    """In a forked child: drop the contexts. Threads that the child does not have may hold OpenSSL's locks inside them."""
    _contexts.clear()


def _load(sockets: Any, path: str, certificate: ClientCertificate | None) -> ssl.SSLContext:
    # Made of what ssl.SSLContext is now: gevent and eventlet replace it.
    base = _EventletContext if ssl.SSLContext.__module__.startswith("eventlet") else SharedContext
    make_context: Any = type("SharedContext", (base, ssl.SSLContext), {"sslsocket_class": sockets, "sslobject_class": _InnerTLS})
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
        if certificate is not None:
            _present(context, certificate)
        return context
    raise ConfigurationError(
        problem, guidance="Set ca_bundle to a readable PEM file, or correct REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE or SSL_CERT_FILE."
    )


def _present(context: ssl.SSLContext, certificate: ClientCertificate) -> None:
    try:
        context.load_cert_chain(*certificate, password=_no_password)
        return
    except ssl.SSLError as error:
        mismatch = error.reason == "KEY_VALUES_MISMATCH"
        reason = "certificate and key do not match" if mismatch else "certificate or key is missing in it, or not in PEM form"
    except (OSError, ValueError) as error:  # ValueError: from _no_password
        reason = getattr(error, "strerror", None) or str(error)
    raise ConfigurationError(
        f"the client certificate {certificate[0]} cannot be used: {reason}",
        guidance="Set client_cert to the certificate's PEM file, and client_key to its key's if that is another file.",
    )


def _no_password() -> str:
    """Called for an encrypted key: OpenSSL would ask for the password on the terminal."""
    raise ValueError("its key is encrypted")
