"""Cancel a running request from another thread: no further attempt, or abort at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic

from llm_sync.runtime import pauses


class CallControl:
    """Passed along with one request through retries and HTTP. Every method may be called from any thread.

    ``stop_retrying`` ends waits and forbids further attempts, but lets the current attempt finish; ``abort`` also shuts down
    the socket of the current attempt. Both are final and may be repeated.
    """

    def __init__(self, key: int = 0) -> None:
        self.key = key
        # Guards _stopped, _event, _on_stop, _aborted and _shut together: an abort never reaches a later request's socket.
        self._lock = threading.Lock()
        self._stopped = False
        self._event: threading.Event | None = None  # set on stop; created by the first wait, since most requests never wait
        self._aborted = False
        self._shut: Callable[[], None] | None = None
        self._on_stop: Callable[[], object] | None = None
        self.possibly_billed = 0  # attempts that were sent in full without a complete answer; set by the retry policy

    @property
    def stopped(self) -> bool:
        """Whether no further attempt may start."""
        return self._stopped

    @property
    def aborted(self) -> bool:
        """Whether the current attempt was asked to end at once."""
        return self._aborted

    def wait(self, seconds: float) -> bool:
        """Sleep up to ``seconds``; return True as soon as the request is stopped."""
        new_event = threading.Event()  # outside the lock: allocation may run the garbage collector, which may abort requests
        with self._lock:
            event = self._event = self._event or new_event
            if self._stopped:
                return True
        due = monotonic() + seconds
        stopped = event.wait(seconds)
        pauses.check(due)
        return stopped

    def on_stop(self, callback: Callable[[], object] | None) -> None:
        """Call ``callback`` when the request is stopped, or now if it already is; None removes it. For waits on anything else.

        ``callback`` may be called more than once, from any thread, and must be quick.
        """
        with self._lock:
            self._on_stop = callback
            stopped = self._stopped
        if callback is not None and stopped:
            callback()

    def stop_retrying(self) -> None:
        """Allow no further attempt and end the current wait."""
        with self._lock:
            self._stopped = True
            event, callback = self._event, self._on_stop
        if event is not None:
            event.set()
        if callback is not None:
            callback()

    def abort(self) -> None:
        """Allow no further attempt, and shut down the socket in use, if any."""
        self.stop_retrying()
        with self._lock:
            self._aborted = True
            if self._shut is not None:
                self._shut()  # socket.shutdown: does not block, so it may run under the lock

    def attach(self, shut: Callable[[], None]) -> None:
        """Let ``abort`` call ``shut``; call it now if the abort came before."""
        with self._lock:
            self._shut = shut
            if self._aborted:
                shut()

    def detach(self) -> bool:
        """The request has released its socket; return True if it was aborted before that."""
        with self._lock:
            self._shut = None
            return self._aborted
