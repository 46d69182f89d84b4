"""The event loop: messages, timers and sockets, and the wake-up that no message can miss."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from llm_sync.runtime import pauses
from llm_sync.runtime.event_loop import READ, WRITE, EventLoop

PATIENCE_S = 10.0


class Alarm:
    """A timer that notes when it expires."""

    def __init__(self, due: float, expired: list[Any]) -> None:
        self.due = due
        self.expired = expired

    def expire(self, now: float) -> None:
        """Note it."""
        self.expired.append((self, now))


@pytest.fixture
def loop() -> Iterator[EventLoop]:
    """A loop of this thread."""
    made = EventLoop()
    yield made
    made.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected sockets."""
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def test_a_message_of_another_thread_wakes_the_loop(loop: EventLoop) -> None:
    """While it sleeps without any limit of time."""
    heard: list[int] = []
    asleep = threading.Event()

    def may_sleep() -> bool:
        asleep.set()
        return True

    thread = threading.Thread(target=lambda: asleep.wait(PATIENCE_S) and loop.post(lambda: heard.append(1)))
    thread.start()
    started = time.monotonic()
    while not heard:
        loop.turn(may_sleep)
        assert time.monotonic() - started < PATIENCE_S
    thread.join()


def test_a_message_that_comes_as_the_loop_goes_to_sleep_is_not_missed(loop: EventLoop) -> None:
    """The loop looks for messages after it has said that it sleeps."""
    heard: list[int] = []

    def may_sleep() -> bool:
        loop.post(lambda: heard.append(1))  # what another thread does at this moment
        return True

    started = time.monotonic()
    loop.turn(may_sleep)
    assert heard == [1]
    assert time.monotonic() - started < 0.9  # it did not sleep its whole slice


def test_a_loop_that_may_not_sleep_returns_at_once(loop: EventLoop) -> None:
    """Its owner has something else to do."""
    started = time.monotonic()
    loop.turn(lambda: False)
    assert time.monotonic() - started < 0.9


def test_timers_expire_in_time_and_once(loop: EventLoop) -> None:
    """Each at its own time; one that was removed does not."""
    expired: list[Any] = []
    now = time.monotonic()
    early, late, removed = Alarm(now + 0.01, expired), Alarm(now + 0.03, expired), Alarm(now + 0.02, expired)
    for timer in (late, removed, early):
        loop.add_timer(timer)
    loop.remove_timer(removed)
    while len(expired) < 2 and time.monotonic() < now + PATIENCE_S:
        loop.turn(lambda: True)
    assert [timer for timer, _ in expired] == [early, late]
    assert all(at >= timer.due for timer, at in expired)


def test_a_socket_is_reported_when_it_is_ready(loop: EventLoop, pair: Any) -> None:
    """For what it is watched for, as long as it is watched."""
    one, other = pair
    heard: list[int] = []
    loop.watch(one.fileno(), heard.append, READ)
    loop.turn(lambda: False)
    assert heard == []
    other.send(b"x")
    loop.turn(lambda: True)
    assert heard == [READ]
    loop.change(one.fileno(), heard.append, WRITE)
    loop.turn(lambda: True)
    assert heard == [READ, WRITE]
    loop.unwatch(one.fileno())
    loop.turn(lambda: False)
    assert heard == [READ, WRITE]


def test_a_new_socket_may_have_the_number_of_a_closed_one(loop: EventLoop) -> None:
    """A connection that somebody else has closed is not unwatched."""
    heard: list[str] = []
    one, other = socket.socketpair()
    number = one.fileno()
    loop.watch(number, lambda _: heard.append("old"), READ)
    one.close()
    third, fourth = socket.socketpair()
    with other, third, fourth:
        assert number in (third.fileno(), fourth.fileno())
        _reader, writer = (third, fourth) if third.fileno() == number else (fourth, third)
        loop.watch(number, lambda _: heard.append("new"), READ)
        writer.send(b"x")
        loop.turn(lambda: True)
    assert heard == ["new"]


def test_nothing_is_called_after_close(loop: EventLoop) -> None:
    """Not even what was due in the same turn: in a forked child the rest of it is the parent's."""
    heard: list[int] = []
    loop.post(loop.close)
    loop.post(lambda: heard.append(1))
    loop.add_timer(Alarm(0.0, heard))
    loop.turn(lambda: True)
    assert heard == []


def test_a_pause_of_the_process_is_noticed(loop: EventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sleep that ends much later than it should have is reported, so that time limits do not count it."""
    noticed: list[float] = []
    monkeypatch.setattr(pauses, "check", noticed.append)
    select = loop._selector.select
    ends: list[float] = []

    def stopped(timeout: float) -> Any:
        ends.append(time.monotonic() + timeout)
        time.sleep(pauses.MIN_PAUSE_S + 0.1)
        return select(0)

    monkeypatch.setattr(loop._selector, "select", stopped)
    loop.turn(lambda: False)
    assert noticed == [pytest.approx(ends[0], abs=0.05)]
