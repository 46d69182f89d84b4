"""The port: accepts connections on a thread of its own, and can refuse them for a while."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable

_BACKLOG = 512
_PATIENCE_S = 5.0


class Listener:
    """Listens on ``127.0.0.1`` and hands every connection to ``begin``. OSError when the port is taken."""

    def __init__(self, port: int, begin: Callable[[socket.socket], None], fault: Callable[[BaseException], None]) -> None:
        self._begin = begin
        self._fault = fault
        self._socket = _bound(port)
        self.port: int = self._socket.getsockname()[1]
        self._socket.listen(_BACKLOG)
        self._lock = threading.Lock()  # guards _until and the event _refusing goes by
        self._until = 0.0  # monotonic: no connection is taken before
        self._refusing = threading.Event()
        self._stopping = False
        self._wake, self._waking = socket.socketpair()
        self._thread = threading.Thread(target=self._accept, name="simulator", daemon=True)

    def start(self) -> None:
        """Begins to accept."""
        self._thread.start()

    def close(self) -> None:
        """Ends; may be repeated."""
        self._stopping = True
        self._wake.close()  # the thread sees the other end close
        self._refusing.set()
        if self._thread.ident is not None:
            self._thread.join(_PATIENCE_S)

    def refuse(self, seconds: float) -> None:
        """From now on, and for so many seconds, nothing listens on the port; returns when that is so."""
        with self._lock:
            self._until = max(self._until, time.monotonic() + seconds)
            self._refusing.clear()
        with contextlib.suppress(OSError):  # it is being closed
            self._wake.send(b"x")
            self._refusing.wait(_PATIENCE_S)

    def _accept(self) -> None:
        with self._waking:
            try:
                while not self._stopping:
                    self._accept_until_told()
                    if not self._stopping:
                        self._stay_away()
            finally:
                self._socket.close()

    def _accept_until_told(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            selector.register(self._waking, selectors.EVENT_READ)
            while True:
                if any(key.fileobj is self._waking for key, _ in selector.select()):
                    return
                with contextlib.suppress(OSError):  # the client left before it was accepted, or descriptors ran out
                    self._begin(self._socket.accept()[0])

    def _stay_away(self) -> None:
        """Close the port, keep it from others, and listen again when the time is over."""
        self._socket.close()
        try:
            self._socket = _bound(self.port)  # bound but not listening: a connection is refused, nobody else gets the port
        except OSError as error:
            self._fault(error)
            self._stopping = True
        with selectors.DefaultSelector() as selector:
            selector.register(self._waking, selectors.EVENT_READ)
            while not self._stopping:
                with self._lock:
                    left = self._until - time.monotonic()
                    self._refusing.set()
                if left <= 0:
                    self._socket.listen(_BACKLOG)
                    return
                if selector.select(left) and not self._waking.recv(4096):
                    return
        self._refusing.set()


def _bound(port: int) -> socket.socket:
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
