"""One TLS context per CA bundle for the whole process: loading the CA file costs some 40 ms of CPU, a handshake 3 ms."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from llm_sync.errors import ConfigurationError
from llm_sync.transport.sockets import DeadlineTLSSocket

# By CA file or folder. No lock: two threads may both load one, and setdefault keeps the first.
_contexts: dict[str, SharedContext] = {}


class SharedContext(ssl.SSLContext):
    """Verifies certificate and host name, and makes sockets that keep to the deadline; used by many threads at once."""

    sslsocket_class = DeadlineTLSSocket

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """Does nothing: urllib3 calls this for every connection, and OpenSSL frees the list others may be copying."""


def shared_context(verify: str | bool | None) -> SharedContext:
    """The context that trusts ``verify``: a CA file, a folder of them, or True for certifi's.

    Raises ConfigurationError where it cannot be read. Certificates are always verified, whatever else is given.
    """
    path = verify if isinstance(verify, str) else DEFAULT_CA_BUNDLE_PATH
    return _contexts.get(path) or _contexts.setdefault(path, _load(path))


def reset_after_fork() -> None:
    """In the child: make new ones, since OpenSSL's own locks inside these may be held by threads that are gone."""
    _contexts.clear()


def _load(path: str) -> SharedContext:
    context = SharedContext(ssl.PROTOCOL_TLS_CLIENT)  # requires a certificate and checks the host name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a bundle may hold just the issuing CA, not its root
    ssl.SSLContext.set_alpn_protocols(context, ["http/1.1"])
    try:
        if os.path.isdir(path):
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
    except OSError as error:  # ssl.SSLError is one too
        reason = "holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror or "cannot be read"
        problem = f"the CA bundle {path} cannot be used: {reason}"
    else:
        return context
    raise ConfigurationError(
        problem, guidance="Give a PEM file that can be read in ca_bundle, or correct REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE."
    )
