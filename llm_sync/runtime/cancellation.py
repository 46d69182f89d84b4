"""What the outside may ask of one request while it runs: retry no more, or end at once."""

from __future__ import annotations

import threading
from collections.abc import Callable


class CallControl:
    """Handed along with one request through retries and HTTP; every method may be called from any thread.

    ``stop_retrying`` ends waits and forbids further attempts, the attempt under way may finish; ``abort`` also shuts the
    socket of the attempt under way. Both are final and may be repeated.
    """

    def __init__(self, key: int = 0) -> None:
        self.key = key
        # Guards _stopped, _event, _told, _aborted and _shut together: an abort never reaches a later request's socket.
        self._lock = threading.Lock()
        self._stopped = False
        self._event: threading.Event | None = None  # set when told to stop; made by who waits: hardly any request does
        self._aborted = False
        self._shut: Callable[[], None] | None = None
        self._told: Callable[[], object] | None = None

    @property
    def stopped(self) -> bool:
        """Whether no further attempt may start."""
        return self._stopped

    @property
    def aborted(self) -> bool:
        """Whether the attempt under way was told to end."""
        return self._aborted

    def wait(self, seconds: float) -> bool:
        """Sleep up to ``seconds``; True at once when the request was told to stop."""
        fresh = threading.Event()  # not under the lock: this may run the garbage collector, and that may abort requests
        with self._lock:
            event = self._event = self._event or fresh
            if self._stopped:
                return True
        return event.wait(seconds)

    def on_stop(self, call: Callable[[], object] | None) -> None:
        """From now on ``call`` it when told to stop, at once when that came before (None: no more); for waits of another kind.

        It may be called more than once, from any thread, and must be quick.
        """
        with self._lock:
            self._told = call
            stopped = self._stopped
        if call is not None and stopped:
            call()

    def stop_retrying(self) -> None:
        """No further attempt and no further wait."""
        with self._lock:
            self._stopped = True
            event, told = self._event, self._told
        if event is not None:
            event.set()
        if told is not None:
            told()

    def abort(self) -> None:
        """No further attempt, and shut the socket in use, if any."""
        self.stop_retrying()
        with self._lock:
            self._aborted = True
            if self._shut is not None:
                self._shut()  # socket.shutdown: does not block, so it may run under the lock

    def attach(self, shut: Callable[[], None]) -> None:
        """From now on ``abort`` calls ``shut``; at once if the abort came before."""
        with self._lock:
            self._shut = shut
            if self._aborted:
                shut()

    def detach(self) -> bool:
        """The socket is no longer this request's; True if an abort came while it was."""
        with self._lock:
            self._shut = None
            return self._aborted
