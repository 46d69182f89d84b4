"""Listens on the port: accepts connections on its own thread, and can refuse them for a while."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable

_BACKLOG = 512
_WAIT_SECONDS = 5.0


class Listener:
    """Listens on ``127.0.0.1`` and passes every connection to ``on_connection``. Raises OSError when the port is taken."""

    def __init__(
        self, port: int, on_connection: Callable[[socket.socket], None], on_error: Callable[[BaseException], None]
    ) -> None:
        self._on_connection = on_connection
        self._on_error = on_error
        self._socket = _bind(port)
        self.port: int = self._socket.getsockname()[1]
        self._socket.listen(_BACKLOG)
        self._lock = threading.Lock()  # guards _refuse_until, and clearing _refusing
        self._refuse_until = 0.0  # on the monotonic clock
        self._refusing = threading.Event()
        self._stopping = False
        self._wake_sender, self._wake_receiver = socket.socketpair()
        self._thread = threading.Thread(target=self._accept, name="simulator", daemon=True)

    def start(self) -> None:
        """Starts to accept connections."""
        self._thread.start()

    def close(self) -> None:
        """Stops listening; may be called again."""
        self._stopping = True
        self._wake_sender.close()  # the thread sees this as the end of the other socket
        self._refusing.set()
        if self._thread.ident is not None:
            self._thread.join(_WAIT_SECONDS)

    def refuse(self, seconds: float) -> None:
        """Stops listening for ``seconds``. Returns once connections are refused."""
        with self._lock:
            self._refuse_until = max(self._refuse_until, time.monotonic() + seconds)
            self._refusing.clear()
        with contextlib.suppress(OSError):  # the listener is being closed
            self._wake_sender.send(b"x")
            self._refusing.wait(_WAIT_SECONDS)

    def _accept(self) -> None:
        with self._wake_receiver:
            try:
                while not self._stopping:
                    self._accept_until_woken()
                    if not self._stopping:
                        self._refuse_connections()
            finally:
                self._socket.close()

    def _accept_until_woken(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            selector.register(self._wake_receiver, selectors.EVENT_READ)
            while True:
                if any(key.fileobj is self._wake_receiver for key, _ in selector.select()):
                    return
                with contextlib.suppress(OSError):  # the client left before it was accepted, or descriptors ran out
                    self._on_connection(self._socket.accept()[0])

    def _refuse_connections(self) -> None:
        """Stops listening, keeps the port bound, and listens again when the time is over."""
        self._socket.close()
        try:
            # bound but not listening: connections are refused, and no other process can take the port
            self._socket = _bind(self.port)
        except OSError as error:
            self._on_error(error)
            self._stopping = True
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_receiver, selectors.EVENT_READ)
            while not self._stopping:
                with self._lock:
                    left = self._refuse_until - time.monotonic()
                    self._refusing.set()
                if left <= 0:
                    self._socket.listen(_BACKLOG)
                    return
                if selector.select(left) and not self._wake_receiver.recv(4096):
                    return
        self._refusing.set()


def _bind(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # elsewhere this option would let two servers share one port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", port))
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock
