"""A certificate for one run, and the authority a client has to trust for it.

Made by trustme, the extra llm-sync[simulate]: it writes the few right lines over cryptography that test certificates take, and
the standard library can make none. Nobody who does not ask for TLS needs either.
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
    """For 127.0.0.1 and localhost; ``ca_path`` lies in a folder of its own, which ``remove`` takes away.

    ConfigurationError where trustme is not installed.
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
        """The connection with TLS on it, the handshake still to come; speaks to who speaks plain HTTP. Raises OSError."""
        if sock.recv(1, socket.MSG_PEEK)[:1].isalpha():  # a handshake begins with 0x16
            with contextlib.suppress(OSError):
                sock.recv(65536)
                text = b"this port speaks TLS: use https://\n"
                head = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
                sock.sendall(head % len(text) + text)
            raise ConnectionAbortedError("plain HTTP came to a TLS port")
        return self._context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)

    def remove(self) -> None:
        """Takes the files away; may be repeated."""
        shutil.rmtree(self._folder, ignore_errors=True)
