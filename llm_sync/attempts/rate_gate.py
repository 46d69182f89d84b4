"""Decides when the next attempt of a provider may be sent.

Each provider has one gate, which every attempt of every worker enters. An attempt waits for the end of the cool-down, for its
turn in the pace and, where processes share the provider, for a machine-wide slot.
"""

from __future__ import annotations

import copy
import random
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from llm_sync.attempts.shared_numbers import LocalStore
from llm_sync.attempts.traffic import Traffic
from llm_sync.errors import ClientClosedError, LLMConnectorError
from llm_sync.events import Event, Listener, Waiting
from llm_sync.runtime import clock
from llm_sync.runtime.steps import Blocking, Pause, Steps

if TYPE_CHECKING:
    from llm_sync.attempts.auto_concurrency import AutoConcurrency

JITTER = 0.1  # fraction added at random to a cool-down, so that the workers do not all start at the same instant
CLOCK_TOLERANCE_S = 0.1  # seconds by which another process's cool-down must be longer to replace ours: clocks differ


class Control(Protocol):
    """What the gate needs from a CallControl."""

    key: int
    waiting_for: str  # set while the request waits

    @property
    def stopped(self) -> bool:
        """Whether no further attempt may be sent."""

    def wait(self, seconds: float) -> bool:
        """Sleep up to ``seconds``; return True as soon as the request is stopped."""

    def on_stop(self, callback: Callable[[], object] | None) -> None:
        """Call ``callback`` when the request is stopped, or now if it already is; None removes it."""


Slot = Callable[[Control, "float | None"], AbstractContextManager[bool]]
"""``slot(control, until)`` gives a context manager. Entering it blocks until a machine-wide slot is held and returns True; it
returns False without a slot when the request is stopped or the monotonic time ``until`` (None: never) is reached. Leaving it
frees the slot."""


class CoolDowns(Protocol):
    """Cool-downs shared with other processes that use the provider."""

    def announce(self, seconds: float, cause: LLMConnectorError) -> None:
        """Publish a cool-down of ``seconds`` to the other processes."""

    def latest(self) -> tuple[float, LLMConnectorError] | None:
        """The longest cool-down published: its remaining seconds and an error of the class that caused it, or None."""


class Turn:
    """What the gate gives an attempt. ``in_time``: whether it may be sent; ``leave`` must be called when it has ended."""

    __slots__ = ("_place", "_slot", "in_time")

    def __init__(
        self, in_time: bool, slot: AbstractContextManager[bool] | None = None, place: AutoConcurrency | None = None
    ) -> None:
        self.in_time = in_time
        self._slot = slot
        self._place = place

    def leave(self) -> None:
        """Free the slot and the place, if there are any."""
        if self._slot is not None:
            self._slot.__exit__(None, None, None)
        if self._place is not None:
            self._place.leave()


IN_TIME, TOO_LATE = Turn(True), Turn(False)  # without a slot all turns are the same


class Gate:
    """The cool-down, the pace and the slot of one provider; all times are monotonic seconds.

    ``requests_per_minute`` counts attempts and spaces them evenly. Waits are announced as Waiting events: "cool-down" and
    "pace" with their length, "slot" with 0 seconds, because the time that other processes take is unknown.
    Every method may be called from any thread.
    """

    def __init__(
        self,
        provider: str,
        *,
        requests_per_minute: float | None = None,
        slot: Slot | None = None,
        cool_downs: CoolDowns | None = None,
        traffic: Traffic | None = None,
        emit: Listener | None = None,
        clock: Callable[[], float] = clock.now,
        random: Callable[[], float] = random.random,
    ) -> None:
        self.traffic = traffic or Traffic()
        self._provider = provider
        self._interval = 0.0 if requests_per_minute is None else 60.0 / requests_per_minute
        self._slot = slot
        self._cool_downs = cool_downs
        self._emit = emit
        self._clock = clock
        self._random = random
        self._lock = threading.Lock()  # guards _cooling and _next_turn from read to write; never held while waiting or emitting
        self._cooling: tuple[float, LLMConnectorError] | None = None  # (end, cause); one object, replaced atomically
        self._next_turn = float("-inf")

    def admit_at_once(self, control: Control) -> Turn | None:
        """The turn of an attempt for which there is nothing to wait for; None where ``admit`` has more to look at."""
        if control.stopped or self._slot is not None or self._cool_downs is not None:
            return None
        if self.traffic.place is not None or self.traffic.pace is not None or self._next_wait(take_turn=True)[0]:
            return None
        return IN_TIME

    def admit(self, control: Control, *, max_retry_after: float, until: float | None = None, tokens: float = 0.0) -> Steps[Turn]:
        """Wait, in steps, for this attempt's turn and for the slot, if there is one; ``Turn.leave`` gives both back.

        ``tokens``: about how many it is going to use.
        The turn is not ``in_time`` if it would come at or after ``until``: then the attempt may not be sent. Raises
        ClientClosedError when the request is stopped. If the cool-down lasts longer than ``max_retry_after`` seconds, raises
        an error of the class that caused it, with ``retry_after`` set. ``attempts`` is 0 in both: nothing was sent.
        """
        place, is_paced = self.traffic.place, self.traffic.pace is None
        is_direct = self._slot is None and place is None
        while True:
            if control.stopped:
                raise self._stopped_error()
            if self._cool_downs is not None:
                self._sync_cool_downs(self._cool_downs)
            seconds, reason, cause = self._next_wait(take_turn=is_direct)
            if seconds:
                if cause is not None:
                    if seconds > max_retry_after:
                        raise self._cool_down_error(seconds, max_retry_after, cause)
                    seconds += seconds * JITTER * self._random()
                if until is not None and self._clock() + seconds >= until:
                    return TOO_LATE
                yield from self._pause(seconds, reason, control)
                continue
            if is_direct and is_paced:
                return IN_TIME
            if place is not None and (seconds := place.enter() or 0.0):
                if until is not None and self._clock() + seconds >= until:
                    return TOO_LATE
                yield from self._pause(seconds, "concurrency", control)
                continue
            turn = Turn(True, None, place)
            if self._slot is not None:
                control.waiting_for = "slot"
                self._notify(Waiting(self._provider, control.key, reason="slot"))
                slot = self._slot(control, until)
                turn = Turn((yield Blocking(slot.__enter__)), slot)
            try:
                is_final = self._is_final(turn, control, take_turn=not is_direct)
                if is_final and turn.in_time and not is_paced:
                    turn.in_time = yield from self._take_turn(control, until, tokens)
                    is_paced = True
                    is_final = self._is_final(turn, control, take_turn=False)
            except BaseException:
                turn.leave()
                raise
            if is_final:
                return turn
            turn.leave()

    def _take_turn(self, control: Control, until: float | None, tokens: float) -> Steps[bool]:
        """Take a turn in the pace and wait for it; False if it would come at or after ``until``."""
        within = None if until is None else until - self._clock()
        pace: Any = self.traffic.pace
        seconds: float | None
        if isinstance(pace.store, LocalStore):
            seconds = pace.take(tokens, within)
        else:  # numbers that processes share are in a file
            seconds = yield Blocking(partial(pace.take, tokens, within))
        if seconds:
            yield from self._pause(seconds, "pace", control)
        return seconds is not None

    def _pause(self, seconds: float, reason: str, control: Control) -> Steps[None]:
        control.waiting_for = reason
        self._notify(Waiting(self._provider, control.key, seconds=seconds, reason=reason))
        yield Pause(min(seconds, threading.TIMEOUT_MAX), control)

    def _is_final(self, turn: Turn, control: Control, *, take_turn: bool) -> bool:
        """Whether an attempt may be decided upon, now that its wait for the slot is over."""
        if control.stopped:
            raise self._stopped_error()
        # While this request waited for the slot, a cool-down may have begun or another one taken the turn.
        if self._cool_downs is not None:
            self._sync_cool_downs(self._cool_downs)
        if not turn.in_time:
            return True
        return not self._next_wait(take_turn=True)[0] if take_turn else self.cooling_down_until is None

    def refusal(self, max_retry_after: float) -> LLMConnectorError | None:
        """The error that ``enter`` would raise now, as the cool-down lasts longer than ``max_retry_after`` seconds; else None."""
        if self._cool_downs is not None:
            self._sync_cool_downs(self._cool_downs)
        cooling = self._cooling
        left = cooling[0] - self._clock() if cooling is not None else 0.0
        return self._cool_down_error(left, max_retry_after, cooling[1]) if cooling and left > max_retry_after else None

    def cool_down(self, seconds: float, cause: LLMConnectorError) -> None:
        """Send nothing for ``seconds`` (finite) from now, because of ``cause``. Never shortens the current cool-down."""
        self._begin(seconds, cause)
        if self._cool_downs is not None:
            self._cool_downs.announce(seconds, cause)

    def _sync_cool_downs(self, cool_downs: CoolDowns) -> None:
        """Adopt cool-downs of other processes. One that this process published comes back too, with a less detailed cause."""
        latest = cool_downs.latest()
        if latest is not None:
            self._begin(*latest, longer_by=CLOCK_TOLERANCE_S)

    def _begin(self, seconds: float, cause: LLMConnectorError, longer_by: float = 0.0) -> None:
        cause = copy.copy(cause)  # without the traceback, whose frames would keep the request's prompt alive
        with self._lock:
            until = self._clock() + seconds
            if self._cooling is None or until > self._cooling[0] + longer_by:
                self._cooling = (until, cause)

    @property
    def cooling_down_until(self) -> datetime | None:
        """When the cool-down ends (aware, UTC), or None if there is none."""
        cooling = self._cooling
        left = cooling[0] - self._clock() if cooling else 0.0
        return _utc_after(left) if left > 0 else None

    def reset_after_fork(self) -> None:
        """In the child: replace the lock. Cool-down and pace stay, because the provider does not know about forks."""
        self._lock = threading.Lock()
        self.traffic.reset_after_fork()

    def _next_wait(self, *, take_turn: bool) -> tuple[float, str, LLMConnectorError | None]:
        """(seconds until an attempt may go, reason, cause of a cool-down). At 0 its turn is taken, if ``take_turn``."""
        with self._lock:
            now = self._clock()
            if self._cooling is not None and self._cooling[0] > now:
                return self._cooling[0] - now, "cool-down", self._cooling[1]
            if self._next_turn > now:
                return self._next_turn - now, "pace", None
            if take_turn:
                self._next_turn = now + self._interval
            return 0.0, "", None

    def _cool_down_error(self, seconds: float, limit: float, cause: LLMConnectorError) -> LLMConnectorError:
        return type(cause)(
            f"nothing is sent until {_utc_after(seconds):%Y-%m-%d %H:%M:%S} UTC ({seconds:.0f} s from now), "
            f"as the provider requested: {cause.message}",
            provider=self._provider,
            retryable=True,
            retry_after=seconds,
            attempts=0,
            guidance=f"Try again then, use another provider, or set max_retry_after (now {limit:g} s) higher to wait for it.",
        )

    def _stopped_error(self) -> ClientClosedError:
        return ClientClosedError("the request was stopped before it was sent", provider=self._provider, attempts=0)

    def _notify(self, event: Event) -> None:
        if self._emit is not None:
            self._emit(event)


def _utc_after(seconds: float) -> datetime:
    return datetime.now(timezone.utc) + timedelta(seconds=seconds)
