"""Cancel a running request from another thread: no further attempt, or abort at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from llm_sync.runtime.interrupts import Flag

RELEASE_S = 1.0  # how long a request waits for an abort of itself to finish


class Progress(NamedTuple):
    """How far a request had come when its caller gave it up."""

    in_flight: bool  # an attempt was running
    attempts: int  # attempts started, the running one included
    waiting_for: str  # "pace", "cool-down", "slot", "budget" or "retry", else empty


class CallControl:
    """Passed along with one request through retries and HTTP. Every method may be called from any thread.

    ``stop_retrying`` ends waits and forbids further attempts, but lets the current attempt finish; ``abort`` also shuts down
    the socket of the current attempt. Both are final and may be repeated. Only the request's own thread calls
    ``start_attempt``, ``end_attempt``, ``attach`` and ``detach``.

    No lock is held but while a socket is shut down: the caller's thread may be interrupted anywhere by a signal handler that
    waits for this request. What two threads decide is decided by ``dict.setdefault``, or by the order in which each writes
    its own field before it reads the other's.
    """

    waiting_for = ""  # see Progress; set by the request's own thread
    stopped = False  # whether no further attempt may start; set by stop_retrying()
    aborted = False  # whether the current attempt was asked to end at once; set by abort()
    ends_at: float | None = None  # monotonic; an end before the request's deadline. Set before the request runs
    label: Any = None  # what another process that makes an attempt notes beside its outcome
    written: Any = None  # (label, outcome, line), if that process has made a line of both
    possibly_billed = 0  # attempts that were sent in full without a complete answer; set by the retry policy
    keeper: Any = None  # writes down what is needed to fetch a background answer in another run; set before the request runs
    _on_stop: Callable[[], object] | None = None
    _shut: Callable[[], None] | None = None
    _attempt = 0  # number of the running or next attempt

    def __init__(self, key: int = 0) -> None:
        self.key = key
        # By attempt: whether it was started; False: it was given up before. Also what is made for the few requests that need it.
        self._once: dict[int | str, Any] = {}

    @property
    def _wakes(self) -> Flag:
        """Set when ``stopped`` is, for the waits."""
        flag: Flag = self._once.get("wakes") or self._once.setdefault("wakes", Flag())
        if self.stopped and not flag.is_set():
            flag.set()  # the thread that stopped the request did not see the flag
        return flag

    @property
    def _lock(self) -> Any:
        """Guards _shut while it is called, so that an abort never reaches a later request's socket. Re-entrant: a signal
        handler may abort the request that the interrupted code aborts."""
        return self._once.get("lock") or self._once.setdefault("lock", threading.RLock())

    def wait(self, seconds: float) -> bool:
        """Sleep up to ``seconds``; return True as soon as the request is stopped."""
        return self._wakes.wait(seconds)

    def on_stop(self, callback: Callable[[], object] | None) -> None:
        """Call ``callback`` when the request is stopped, or now if it already is; None removes it. For waits on anything else.

        ``callback`` may be called more than once, from any thread, and must be quick.
        """
        self._on_stop = callback
        if callback is not None and self.stopped:
            callback()

    def stop_retrying(self) -> None:
        """Allow no further attempt and end the current wait."""
        self.stopped = True
        if "wakes" in self._once:
            self._wakes.set()
        callback = self._on_stop
        if callback is not None:
            callback()

    def start_attempt(self) -> bool:
        """Start an attempt; return False if the request was stopped or given up before."""
        return not self.stopped and self._once.setdefault(self._attempt, True)

    def end_attempt(self) -> None:
        """The attempt has ended; another one may follow."""
        self._attempt += 1

    def give_up(self) -> Progress:
        """Stop the request because nobody waits for it any more, and say how far it had come.

        Unless an attempt is running, nothing is sent from now on.
        """
        waiting_for = self.waiting_for
        while True:
            number = self._attempt
            started = self._once.setdefault(number, False)
            if not started or number == self._attempt:
                break
        self.stop_retrying()
        return Progress(started, number + started, waiting_for)

    def abort(self) -> None:
        """Allow no further attempt, and shut down the socket in use, if any."""
        self.aborted = True
        self.stop_retrying()
        with self._lock:
            shut = self._shut
            if shut is not None:
                shut()  # socket.shutdown: does not block, so it may run under the lock

    def attach(self, shut: Callable[[], None]) -> None:
        """Let ``abort`` call ``shut``; call it now if the abort came before."""
        self._shut = shut
        if self.aborted:
            shut()

    def detach(self) -> bool:
        """The request releases its socket; return True if it was aborted, which makes the socket unusable."""
        self._shut = None
        if self.aborted and self._lock.acquire(timeout=RELEASE_S):  # the abort may be shutting the socket down
            self._lock.release()
        return self.aborted
