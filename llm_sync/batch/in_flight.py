"""The requests of a run that are in flight, of which none is begun once the run is stopped."""

from __future__ import annotations

import threading

from llm_sync.errors import ClientClosedError
from llm_sync.runtime.cancellation import CallControl


class InFlight:
    """Workers ``enter`` and ``leave``; the thread that runs the batch calls ``stop`` and ``abort``."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._lock = threading.Lock()  # guards _in_flight; no request is added to it once _stopping is set
        self._in_flight: dict[int, CallControl] = {}

    @property
    def busy(self) -> bool:
        """Whether any request is in flight."""
        return bool(self._in_flight)

    def stop(self) -> None:
        """Send nothing more, and make no further attempts for requests in flight."""
        with self._lock:
            self._stopping.set()
            controls = list(self._in_flight.values())
        for control in controls:
            control.stop_retrying()

    def abort(self) -> None:
        """Abort the requests in flight."""
        with self._lock:
            controls = list(self._in_flight.values())
        for control in controls:
            control.abort()

    def enter(self, number: int, control: CallControl) -> None:
        """A request is in flight. Raises ClientClosedError once the batch is stopped."""
        with self._lock:
            if self._stopping.is_set():
                raise ClientClosedError("the batch is stopped", attempts=0)
            self._in_flight[number] = control

    def leave(self, number: int) -> None:
        """A request is not in flight any more."""
        with self._lock:
            self._in_flight.pop(number, None)
