"""When may the next attempt of a provider go?

Every attempt of every worker enters the provider's one gate: not before its cool-down is over, not before its turn in the
pace, and, where processes share the provider, not without a slot of this machine.
"""

from __future__ import annotations

import copy
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta, timezone
from typing import Protocol

from llm_sync.errors import ClientClosedError, LLMConnectorError
from llm_sync.events import Event, Listener, Waiting

SPREAD = 0.1  # of a cool-down: workers it held back start spread over this much more, not all in one instant
ECHO_S = 0.1  # what other processes tell must last longer than what is known by this much: clocks are not that exact


class Control(Protocol):
    """What the gate asks of a request's control."""

    key: int

    @property
    def stopped(self) -> bool:
        """Whether nothing more is to be sent."""

    def wait(self, seconds: float) -> bool:
        """Sleep up to ``seconds``; True at once when told to stop."""

    def on_stop(self, call: Callable[[], object] | None) -> None:
        """From now on ``call`` it when told to stop, at once when that came before; None: no more."""


Slot = Callable[[Control, "float | None"], AbstractContextManager[bool]]
"""``slot(control, until)``: entering blocks until a machine-wide slot is held and gives True, or gives False, holding none,
when the control is stopped or the monotonic time ``until`` (None: never) is reached. Leaving frees the slot."""


class CoolDowns(Protocol):
    """The cool-downs of other processes that use the provider."""

    def announce(self, seconds: float, cause: LLMConnectorError) -> None:
        """Tell them."""

    def latest(self) -> tuple[float, LLMConnectorError] | None:
        """What they told: the seconds left of the one that lasts longest, and an error of the class that caused it."""


class Gate:
    """The cool-down, the pace and the slot of one provider; all times are monotonic seconds.

    ``requests_per_minute`` counts attempts and spaces them evenly. Waits are announced as Waiting events: "cool-down" and
    "pace" with their length, "slot" with 0 seconds, because nobody knows how long another process takes.
    Every method may be called from any thread.
    """

    def __init__(
        self,
        provider: str,
        *,
        requests_per_minute: float | None = None,
        slot: Slot | None = None,
        cool_downs: CoolDowns | None = None,
        emit: Listener | None = None,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._provider = provider
        self._interval = 0.0 if requests_per_minute is None else 60.0 / requests_per_minute
        self._slot = slot
        self._cool_downs = cool_downs
        self._emit = emit
        self._clock = clock
        self._random = random
        self._lock = threading.Lock()  # guards _cooling and _next_turn from look to write; never held while waiting or emitting
        self._cooling: tuple[float, LLMConnectorError] | None = None  # until when, and why; one object, so never half written
        self._next_turn = float("-inf")

    @contextmanager
    def enter(self, control: Control, *, max_retry_after: float, until: float | None = None) -> Iterator[bool]:
        """Wait for this attempt's turn and hold the slot, if there is one, for the length of the ``with`` block.

        Gives True when the attempt may go, False when its turn would come at or after ``until``. Raises ClientClosedError
        when told to stop, and, when the cool-down lasts longer than ``max_retry_after`` seconds, an error of the class
        that caused it, with ``retry_after`` set; nothing was sent then (``attempts`` is 0).
        """
        while True:
            if control.stopped:
                raise self._stopped()
            self._heed()
            seconds, reason, cause = self._look(take_turn=self._slot is None)
            if seconds:
                if cause is not None:
                    if seconds > max_retry_after:
                        raise self._refusal(seconds, max_retry_after, cause)
                    seconds += seconds * SPREAD * self._random()
                if until is not None and self._clock() + seconds >= until:
                    yield False
                    return
                self._tell(Waiting(self._provider, control.key, seconds=seconds, reason=reason))
                control.wait(min(seconds, threading.TIMEOUT_MAX))
                continue
            if self._slot is None:
                yield True
                return
            self._tell(Waiting(self._provider, control.key, reason="slot"))
            with self._slot(control, until) as held:
                if control.stopped:
                    raise self._stopped()
                # A cool-down may have begun, or another worker taken the turn, while this one waited for the slot.
                self._heed()
                if not held or not self._look(take_turn=True)[0]:
                    yield held
                    return

    def cool_down(self, seconds: float, cause: LLMConnectorError) -> None:
        """Send nothing for ``seconds`` (finite) from now, because of ``cause``; never shortens a cool-down under way."""
        self._begin(seconds, cause)
        if self._cool_downs is not None:
            self._cool_downs.announce(seconds, cause)

    def _heed(self) -> None:
        """Learn what other processes were told; what this one told them comes back with less of a cause."""
        told = self._cool_downs.latest() if self._cool_downs is not None else None
        if told is not None:
            self._begin(*told, longer_by=ECHO_S)

    def _begin(self, seconds: float, cause: LLMConnectorError, longer_by: float = 0.0) -> None:
        cause = copy.copy(cause)  # without its traceback, whose frames would keep that request's prompt alive
        with self._lock:
            until = self._clock() + seconds
            if self._cooling is None or until > self._cooling[0] + longer_by:
                self._cooling = (until, cause)

    @property
    def cooling_down_until(self) -> datetime | None:
        """When the cool-down ends (aware, UTC), or None where there is none."""
        cooling = self._cooling
        left = cooling[0] - self._clock() if cooling else 0.0
        return _moment(left) if left > 0 else None

    def reset_after_fork(self) -> None:
        """In the child: a lock nobody holds. Cool-down and pace stay, the provider knows nothing of forks."""
        self._lock = threading.Lock()

    def _look(self, *, take_turn: bool) -> tuple[float, str, LLMConnectorError | None]:
        """Seconds until an attempt may go (0: now, and its turn is taken if asked), why, and a cool-down's cause."""
        with self._lock:
            now = self._clock()
            if self._cooling is not None and self._cooling[0] > now:
                return self._cooling[0] - now, "cool-down", self._cooling[1]
            if self._next_turn > now:
                return self._next_turn - now, "pace", None
            if take_turn:
                self._next_turn = now + self._interval
            return 0.0, "", None

    def _refusal(self, seconds: float, limit: float, cause: LLMConnectorError) -> LLMConnectorError:
        return type(cause)(
            f"nothing is sent until {_moment(seconds):%Y-%m-%d %H:%M:%S} UTC ({seconds:.0f} s from now), "
            f"as the provider asked: {cause.message}",
            provider=self._provider,
            retryable=True,
            retry_after=seconds,
            attempts=0,
            guidance=f"Try again then, use another provider, or set max_retry_after (now {limit:g} s) higher to wait for it.",
        )

    def _stopped(self) -> ClientClosedError:
        return ClientClosedError("the request is stopped while it waits to be sent", provider=self._provider, attempts=0)

    def _tell(self, event: Event) -> None:
        if self._emit is not None:
            self._emit(event)


def _moment(seconds: float) -> datetime:
    return datetime.now(timezone.utc) + timedelta(seconds=seconds)
