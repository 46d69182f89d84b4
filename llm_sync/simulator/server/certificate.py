"""A TLS certificate for one run, and the file of the authority that a client has to trust for it.

Made with trustme (the extra llm-sync[simulate]), because the standard library cannot make certificates. trustme is needed for
``tls`` only.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import tempfile
from pathlib import Path

from llm_sync.errors import ConfigurationError


class Certificate:
    """A certificate for 127.0.0.1 and localhost. ``ca_path`` is in a temporary folder, which ``remove`` deletes.

    Raises ConfigurationError if trustme is not installed.
    """

    def __init__(self) -> None:
        try:
            import trustme
        except ImportError:
            raise ConfigurationError(
                "simulating TLS needs the package trustme, which is not installed",
                guidance="Install it with: pip install 'llm-sync[simulate]'",
            ) from None
        authority = trustme.CA(organization_name="llm-sync simulator")
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", "localhost").configure_cert(self._context)
        self._folder = Path(tempfile.mkdtemp(prefix="llm-sync-simulator-ca-"))  # mkdtemp makes it 0700
        self.ca_path = str(self._folder / "ca.pem")
        authority.cert_pem.write_to_path(self.ca_path)

    def wrap(self, sock: socket.socket) -> ssl.SSLSocket:
        """The connection as a TLS socket, before its handshake. A client that sends plain HTTP gets a 400. Raises OSError."""
        if sock.recv(1, socket.MSG_PEEK)[:1].isalpha():  # a TLS handshake begins with 0x16
            with contextlib.suppress(OSError):
                sock.recv(65536)
                text = b"this port speaks TLS: use https://\n"
                head = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
                sock.sendall(head % len(text) + text)
            raise ConnectionAbortedError("plain HTTP came to a TLS port")
        return self._context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)

    def remove(self) -> None:
        """Deletes the files; may be called again."""
        shutil.rmtree(self._folder, ignore_errors=True)
