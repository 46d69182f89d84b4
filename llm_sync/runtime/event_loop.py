"""Waits for many sockets, times and messages of other threads at once."""

from __future__ import annotations

import contextlib
import math
import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable
from types import BuiltinFunctionType
from typing import Protocol

from llm_sync.runtime import clock, pauses

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_MAX_WAIT_S = 1.0  # a longer wait would lose more of a pause of the process; see pauses.py

Ready = Callable[[int], object]
"""``ready(events)``: the socket can be read (READ), written (WRITE), or both."""

Events = list[tuple[selectors.SelectorKey, int]]


def is_usable() -> bool:
    """Whether threads and sockets are the system's own: a loop would stop all greenlets of gevent and eventlet."""
    start = getattr(threading, "_start_new_thread", None) or getattr(threading, "_start_joinable_thread", None)
    return isinstance(start, BuiltinFunctionType) and socket.socket.__module__ == "socket"


class Timer(Protocol):
    """Something that happens at monotonic ``due`` at the latest."""

    due: float

    def expire(self, now: float) -> object:
        """The time has come; the timer is removed. It may be added again, with a later ``due``."""


class EventLoop:
    """Belongs to one thread, which calls ``turn`` again and again; any thread may call ``post`` and ``wake``.

    What it calls must not raise. After ``close``, also in the middle of a turn, it calls nothing any more.
    """

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._selector.register(self._woken, READ, self._drain)
        # Without a lock, as in decision 22: a thread adds a message and then looks whether the loop sleeps; the loop says that
        # it sleeps and then looks for messages.
        self._messages: deque[Callable[[], object]] = deque()
        self._asleep: dict[int, None] = {}  # the number of the turn that sleeps; whoever wakes it takes that number away
        self.turns = 0  # so far, the current one included
        self._timers: dict[Timer, None] = {}
        self._next_due = math.inf  # not later than the earliest timer
        self._closed = False

    # From any thread

    def post(self, message: Callable[[], object]) -> None:
        """Have the loop call ``message`` soon."""
        self._messages.append(message)
        self.wake()

    def wake(self) -> None:
        """Let the loop look around if it sleeps. For who has changed what ``turn`` was asked to wait for."""
        for turn in list(self._asleep):
            with contextlib.suppress(OSError):  # full: it will wake; closed: it is awake
                self._waker.send(b"\0")
            self._asleep.pop(turn, None)  # afterwards: an interrupt in between must not leave it asleep

    # In the loop's thread

    def call_soon(self, message: Callable[[], object]) -> None:
        """``post`` for the loop's own thread."""
        self._messages.append(message)

    def add_timer(self, timer: Timer) -> None:
        """Call ``timer.expire`` at ``timer.due``."""
        self._timers[timer] = None
        self._next_due = min(self._next_due, timer.due)

    def remove_timer(self, timer: Timer) -> None:
        """Forget ``timer``, if it is there."""
        self._timers.pop(timer, None)

    def watch(self, descriptor: int, ready: Ready, events: int) -> None:
        """Call ``ready`` whenever the socket is; a watch on an earlier socket of this number is replaced."""
        self.unwatch(descriptor)
        self._selector.register(descriptor, events, ready)

    def change(self, descriptor: int, ready: Ready, events: int) -> None:
        """Wait for other ``events`` of a socket that is watched."""
        self._selector.modify(descriptor, events, ready)

    def unwatch(self, descriptor: int) -> None:
        """Stop watching, if the socket is watched."""
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(descriptor)

    def turn(self, may_sleep: Callable[[], bool]) -> None:
        """Wait until something happens, and do it. Returns at once if ``may_sleep()`` is false."""
        self.run(self.wait(may_sleep))

    def wait(self, may_sleep: Callable[[], bool]) -> Events:
        """The first half of a turn: wait until something happens.

        ``may_sleep`` is asked after the loop has declared that it sleeps, so whoever changes its answer and calls ``wake``
        afterwards cannot be missed.
        """
        self.turns += 1
        self._asleep[self.turns] = None
        now = clock.now()
        wait = 0.0
        if not self._messages and may_sleep():
            wait = min(pauses.slice_of(max(0.0, self._next_due - now)), _MAX_WAIT_S)
        due = now + wait
        ready = self._selector.select(wait)
        self._asleep.clear()
        now = clock.now()
        if now - due > pauses.MIN_PAUSE_S:
            pauses.check(due)
        return ready

    def run(self, ready: Events) -> None:
        """The second half: do what ``wait`` has returned, and what messages and timers ask for."""
        for key, events in ready:
            if self._closed:
                return
            key.data(events)
        for _ in range(len(self._messages)):
            if self._closed:
                return
            self._messages.popleft()()
        now = clock.now()
        if now >= self._next_due:
            self._expire(now)

    def _expire(self, now: float) -> None:
        expired = sorted((timer for timer in self._timers if timer.due <= now), key=lambda timer: timer.due)
        for timer in expired:
            if self._closed:
                return
            if timer in self._timers:  # not removed by one that expired before it
                del self._timers[timer]
                timer.expire(now)
        self._next_due = min((timer.due for timer in self._timers), default=math.inf)

    def _drain(self, _: int) -> None:
        with contextlib.suppress(OSError):
            self._woken.recv(4096)

    def close(self) -> None:
        """Close what the loop has opened. In a forked child, too: it closes the child's copies only."""
        if self._closed:
            return
        self._closed = True
        self._selector.close()
        self._woken.close()
        self._waker.close()
