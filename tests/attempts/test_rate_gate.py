"""The gate: cool-down, pace and slot, with a clock the test turns and never a real sleep."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from llm_sync.attempts.rate_gate import JITTER, Gate
from llm_sync.errors import ClientClosedError, ProviderUnavailableError, RateLimitError
from llm_sync.events import Event, Waiting
from llm_sync.runtime.cancellation import CallControl
from llm_sync.runtime.steps import run


class Clock:
    """Monotonic seconds that pass only when the test advances them."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """The time."""
        return self.now


class Control:
    """A request's control whose waits turn the clock; ``during`` runs in the middle of every wait."""

    def __init__(self, clock: Clock, key: int = 7) -> None:
        self.key = key
        self.clock = clock
        self.stopped = False
        self.waits: list[float] = []
        self.during: Callable[[], object] = lambda: None

    def wait(self, seconds: float) -> bool:
        """Advance the clock, unless stopped."""
        self.waits.append(seconds)
        self.during()
        if not self.stopped:
            self.clock.now += seconds
        return self.stopped


@pytest.fixture
def clock() -> Clock:
    """Stands at 1000 s."""
    return Clock()


@pytest.fixture
def control(clock: Clock) -> Control:
    """One request's control, on the same clock."""
    return Control(clock)


def gate(clock: Callable[[], float], **parts: Any) -> Gate:
    """A gate without jitter by default."""
    return Gate("acme", clock=clock, **{"random": lambda: 0.0, **parts})


@contextmanager
def admitted(
    a_gate: Gate, control: Control | CallControl, *, max_retry_after: float = 60.0, until: float | None = None
) -> Iterator[bool]:
    """Through the gate, waiting in this thread, and out again after the block; whether the turn came in time."""
    turn = run(a_gate.admit(control, max_retry_after=max_retry_after, until=until))
    try:
        yield turn.in_time
    finally:
        turn.leave()


def go(a_gate: Gate, control: Control | CallControl, *, max_retry_after: float = 60.0, until: float | None = None) -> bool:
    """One attempt: through the gate and out again; whether its turn came in time."""
    with admitted(a_gate, control, max_retry_after=max_retry_after, until=until) as in_time:
        return in_time


def limited(message: str = "slow down") -> RateLimitError:
    """What cools a provider down."""
    return RateLimitError(message, provider="acme", status=429)


def test_an_untouched_gate_is_open(clock: Clock, control: Control) -> None:
    """Without cool-down, pace and slot nothing waits."""
    assert go(gate(clock), control)
    assert control.waits == []


def test_nothing_goes_before_the_cool_down_is_over(clock: Clock, control: Control) -> None:
    """An attempt waits out what is left of the cool-down, not its whole length."""
    a_gate = gate(clock)
    a_gate.cool_down(30, limited())
    clock.now += 10
    assert go(a_gate, control)
    assert control.waits == [20]


def test_workers_woken_from_a_cool_down_start_spread(clock: Clock, control: Control) -> None:
    """Jitter is added to the cool-down, never taken from it."""
    a_gate = gate(clock, random=lambda: 0.5)
    a_gate.cool_down(30, limited())
    assert go(a_gate, control)
    assert control.waits == [30 + 30 * JITTER * 0.5]


def test_a_cool_down_prolonged_meanwhile_is_waited_out(clock: Clock, control: Control) -> None:
    """A waking worker reads the cool-down again."""
    a_gate = gate(clock)
    a_gate.cool_down(10, limited())
    control.during = lambda: a_gate.cool_down(25, limited()) if len(control.waits) == 1 else None
    assert go(a_gate, control)
    assert control.waits == [10, 15]


def test_a_shorter_cool_down_does_not_shorten_a_longer_one(clock: Clock, control: Control) -> None:
    """The longest of several hints counts."""
    a_gate = gate(clock)
    a_gate.cool_down(30, limited())
    a_gate.cool_down(5, limited())
    assert go(a_gate, control)
    assert control.waits == [30]


@pytest.mark.parametrize("seconds", [0.0, -5.0, float("nan")], ids=str)
def test_no_cool_down_comes_of_no_time(clock: Clock, control: Control, seconds: float) -> None:
    """Zero, negative and NaN seconds leave the gate open."""
    a_gate = gate(clock)
    a_gate.cool_down(seconds, limited())
    assert a_gate.cooling_down_until is None
    assert go(a_gate, control)
    assert control.waits == []


@pytest.mark.parametrize("kind", [RateLimitError, ProviderUnavailableError])
def test_a_cool_down_over_max_retry_after_refuses_at_once(clock: Clock, control: Control, kind: type[RateLimitError]) -> None:
    """The error has the cause's class, says until when and why, and that nothing was sent."""
    a_gate = gate(clock)
    a_gate.cool_down(3600, kind("daily tokens used", provider="acme"))
    clock.now += 100
    before = datetime.now(timezone.utc)
    with pytest.raises(kind) as caught:
        go(a_gate, control, max_retry_after=60)
    error = caught.value
    assert control.waits == []
    assert (error.provider, error.retryable, error.retry_after, error.attempts) == ("acme", True, 3500, 0)
    moments = [before + timedelta(seconds=3500 + late) for late in (0, 1, 2)]
    assert any(f"until {moment:%Y-%m-%d %H:%M:%S} UTC" in error.message for moment in moments)
    assert "daily tokens used" in error.message
    assert "max_retry_after" in str(error.guidance)


def test_a_cool_down_of_exactly_max_retry_after_is_waited_out(clock: Clock, control: Control) -> None:
    """The limit itself is allowed."""
    a_gate = gate(clock)
    a_gate.cool_down(60, limited())
    assert go(a_gate, control, max_retry_after=60)
    assert control.waits == [60]


def test_the_end_of_a_long_cool_down_is_waited_out(clock: Clock, control: Control) -> None:
    """What counts against max_retry_after is what is left."""
    a_gate = gate(clock)
    a_gate.cool_down(3600, limited())
    clock.now += 3590
    assert go(a_gate, control, max_retry_after=60)
    assert control.waits == [10]


def test_the_cause_is_kept_without_its_frames(clock: Clock, control: Control) -> None:
    """The refusals of later requests share neither the error object nor the traceback of the first."""
    a_gate = gate(clock)
    try:
        raise limited()
    except RateLimitError as error:
        cause = error
        a_gate.cool_down(3600, error)
    with pytest.raises(RateLimitError) as caught:
        go(a_gate, control)
    assert caught.value is not cause
    assert caught.value.__cause__ is None
    assert a_gate._cooling is not None
    assert a_gate._cooling[1].__traceback__ is None


def test_status_reads_when_the_cool_down_ends(clock: Clock) -> None:
    """``cooling_down_until`` is aware UTC while it lasts, and None before and after."""
    a_gate = gate(clock)
    assert a_gate.cooling_down_until is None
    a_gate.cool_down(30, limited())
    clock.now += 10
    until = a_gate.cooling_down_until
    assert until is not None
    assert until.utcoffset() == timedelta(0)
    assert timedelta(seconds=19) < until - datetime.now(timezone.utc) <= timedelta(seconds=20)
    clock.now += 20
    assert a_gate.cooling_down_until is None


def test_attempts_are_spaced_evenly(clock: Clock, control: Control) -> None:
    """Twelve a minute means five seconds between any two starts, without a burst first."""
    a_gate = gate(clock, requests_per_minute=12)
    starts = []
    for _ in range(4):
        assert go(a_gate, control)
        starts.append(clock.now)
    assert starts == [1000, 1005, 1010, 1015]


def test_idle_time_is_not_saved_up(clock: Clock, control: Control) -> None:
    """After a pause only one attempt goes at once."""
    a_gate = gate(clock, requests_per_minute=12)
    go(a_gate, control)
    clock.now += 100
    go(a_gate, control)
    assert control.waits == []
    go(a_gate, control)
    assert control.waits == [5]


def test_a_turn_given_up_costs_nobody(clock: Clock, control: Control) -> None:
    """Requests that stop, or cannot wait, leave no hole in the pace."""
    a_gate = gate(clock, requests_per_minute=12)
    go(a_gate, control)
    for _ in range(5):
        assert not go(a_gate, control, until=clock.now + 1)
        quitter = Control(clock)
        quitter.during = lambda quitter=quitter: setattr(quitter, "stopped", True)  # type: ignore[misc]
        with pytest.raises(ClientClosedError):
            go(a_gate, quitter)
    assert go(a_gate, control)
    assert control.waits == [5]


def test_a_pace_beyond_what_a_thread_can_sleep_is_waited_in_pieces(clock: Clock, control: Control) -> None:
    """One attempt in a thousand years overflows no timer."""
    a_gate = gate(clock, requests_per_minute=60 / (1.5 * threading.TIMEOUT_MAX))
    go(a_gate, control)
    go(a_gate, control)
    assert control.waits == [threading.TIMEOUT_MAX, pytest.approx(threading.TIMEOUT_MAX / 2)]


def test_a_cool_down_after_the_turn_still_keeps_the_pace(clock: Clock) -> None:
    """Workers held back by a cool-down do not all start when it ends."""
    a_gate = gate(clock, requests_per_minute=12)
    a_gate.cool_down(30, limited())
    first, second = Control(clock), Control(clock)
    go(a_gate, first)
    go(a_gate, second)
    assert (first.waits, second.waits) == ([30], [5])


def test_no_wait_reaches_the_time_given(clock: Clock, control: Control) -> None:
    """If the turn would come too late the gate yields False at once instead of waiting."""
    a_gate = gate(clock)
    a_gate.cool_down(30, limited())
    assert not go(a_gate, control, until=clock.now + 30)
    assert control.waits == []
    assert go(a_gate, control, until=clock.now + 30.5)


def test_jitter_counts_against_the_time_given(clock: Clock, control: Control) -> None:
    """The spread wait, not the bare one, is held against ``until``."""
    a_gate = gate(clock, random=lambda: 1.0)
    a_gate.cool_down(30, limited())
    assert not go(a_gate, control, until=clock.now + 32)
    assert control.waits == []


def test_a_stopped_request_does_not_go(clock: Clock, control: Control) -> None:
    """Told to stop before, nothing is sent even through an open gate, and no turn is taken."""
    a_gate = gate(clock, requests_per_minute=12)
    control.stopped = True
    with pytest.raises(ClientClosedError) as caught:
        go(a_gate, control)
    assert (caught.value.provider, caught.value.attempts) == ("acme", 0)
    assert go(a_gate, Control(clock))
    assert clock.now == 1000


@pytest.mark.parametrize("seconds", [20, 3000])
def test_stop_ends_a_wait(clock: Clock, control: Control, seconds: float) -> None:
    """A request stopped while it waits raises ClientClosedError at once."""
    a_gate = gate(clock)
    a_gate.cool_down(seconds, limited())
    control.during = lambda: setattr(control, "stopped", True)
    with pytest.raises(ClientClosedError):
        go(a_gate, control, max_retry_after=10_000)
    assert control.waits == [seconds]
    assert clock.now == 1000


def test_waits_are_announced(clock: Clock, control: Control) -> None:
    """Each wait is one Waiting event with provider, key, seconds and reason, sent before the wait."""
    events: list[Event] = []
    control.during = lambda: order.append(len(events))
    order: list[int] = []
    a_gate = gate(clock, requests_per_minute=12, emit=events.append, slot=lambda control, until: slot([]))
    go(a_gate, control)
    a_gate.cool_down(2, limited())
    go(a_gate, control)
    assert [(event.provider, event.key, event.seconds, event.reason) for event in events if isinstance(event, Waiting)] == [
        ("acme", 7, 0.0, "slot"),
        ("acme", 7, 2.0, "cool-down"),
        ("acme", 7, 3.0, "pace"),
        ("acme", 7, 0.0, "slot"),
    ]
    assert order == [2, 3]


@contextmanager
def slot(log: list[str], taken: Callable[[], bool] = lambda: True) -> Iterator[bool]:
    """A machine-wide slot that writes down what becomes of it."""
    held = taken()
    log.append("taken" if held else "not taken")
    try:
        yield held
    finally:
        log.append("left")


def test_the_slot_is_held_for_the_attempt(clock: Clock, control: Control) -> None:
    """The slot is asked for with the request's control and time limit, and freed after the attempt, failed or not."""
    log: list[str] = []
    asked: list[object] = []

    def a_slot(control: Control, until: float | None) -> object:
        asked.append((control, until))
        return slot(log)

    a_gate = gate(clock, slot=a_slot)

    def fail() -> None:
        with admitted(a_gate, control, max_retry_after=60, until=1234.0):
            log.append("attempt")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert log == ["taken", "attempt", "left"]
    assert asked == [(control, 1234.0)]


def test_the_cool_down_is_read_again_once_the_slot_is_taken(clock: Clock, control: Control) -> None:
    """A cool-down that began while waiting for the slot is waited out without the slot."""
    log: list[str] = []

    def taken() -> bool:
        if not log:
            a_gate.cool_down(30, limited())
        return True

    a_gate = gate(clock, slot=lambda control, until: slot(log, taken))
    control.during = lambda: log.append("wait")
    assert go(a_gate, control)
    assert log == ["taken", "left", "wait", "taken", "left"]


def test_a_cool_down_over_the_limit_found_with_the_slot_refuses(clock: Clock, control: Control) -> None:
    """A slot may report what other processes learned: the request ends unsent and the slot is freed."""
    log: list[str] = []

    def taken() -> bool:
        a_gate.cool_down(3600, limited())
        return True

    a_gate = gate(clock, slot=lambda control, until: slot(log, taken))
    with pytest.raises(RateLimitError):
        go(a_gate, control)
    assert log == ["taken", "left"]


def test_no_turn_is_taken_while_waiting_for_the_slot(clock: Clock, control: Control) -> None:
    """Attempts that waited long for slots still keep the pace between them."""
    starts: list[float] = []

    def taken() -> bool:
        if not starts:
            starts.append(clock.now)
            assert go(a_gate, Control(clock))
            starts.append(clock.now)
        return True

    a_gate = gate(clock, requests_per_minute=12, slot=lambda control, until: slot([], taken))
    assert go(a_gate, control)
    assert clock.now == 1005


def test_a_slot_not_had_in_time_is_no_turn(clock: Clock, control: Control) -> None:
    """When no slot comes in time the gate yields False and takes no turn of the pace."""
    held = iter([False, True])
    a_gate = gate(clock, requests_per_minute=12, slot=lambda control, until: slot([], lambda: next(held)))
    assert not go(a_gate, control, until=1001)
    assert go(a_gate, control)
    assert control.waits == []


@pytest.mark.parametrize("held", [True, False])
def test_stop_while_waiting_for_the_slot(clock: Clock, control: Control, held: bool) -> None:
    """Stopped meanwhile, the request raises ClientClosedError, and a slot it still got is freed."""
    log: list[str] = []

    def taken() -> bool:
        control.stopped = True
        return held

    a_gate = gate(clock, slot=lambda control, until: slot(log, taken))
    with pytest.raises(ClientClosedError):
        go(a_gate, control)
    assert log[-1] == "left"


def test_no_lock_is_held_while_waiting_or_telling(clock: Clock, control: Control) -> None:
    """A waiting worker, a listener and a slot never hold up the others."""
    free: list[bool] = []

    def check() -> bool:
        free.append(not a_gate._lock.locked())
        return True

    a_gate = gate(
        clock,
        requests_per_minute=60,
        emit=lambda event: check() and None,
        slot=lambda control, until: slot([], check),
        random=lambda: float(check()),
    )
    control.during = check
    a_gate.cool_down(3, limited())
    go(a_gate, control)
    go(a_gate, control)
    assert len(free) >= 6
    assert all(free)


class Contended:
    """A lock that signals when a thread has to wait for it."""

    def __init__(self, met: threading.Event) -> None:
        self.lock = threading.Lock()
        self.met = met

    def __enter__(self) -> None:
        if not self.lock.acquire(blocking=False):
            self.met.set()
            self.lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.lock.release()


class Moment(float):
    """A time whose addition can be made to halt a thread."""

    halt: Callable[[], None] = staticmethod(lambda: None)

    def __add__(self, other: float) -> Moment:
        Moment.halt()
        return Moment(float(self) + other)


def test_two_workers_never_take_the_same_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between finding the turn free and taking it no other worker looks: the lock holds them together."""
    clock = Clock(Moment(1000.0))
    a_gate = gate(clock, requests_per_minute=60)
    met, inside = threading.Event(), threading.Event()
    a_gate._lock = Contended(met)  # type: ignore[assignment]
    first_thread = threading.get_ident()

    def halt() -> None:
        if threading.get_ident() != first_thread and not inside.is_set():
            inside.set()
            assert met.wait(10)

    monkeypatch.setattr(Moment, "halt", staticmethod(halt))
    worker = threading.Thread(target=go, args=(a_gate, Control(Clock())))
    worker.start()
    assert inside.wait(10)
    second = Control(clock)
    assert go(a_gate, second)
    met.set()
    worker.join(10)
    assert second.waits == [1.0]


def test_a_longer_cool_down_is_not_overwritten_by_a_shorter_one_at_the_same_time() -> None:
    """Comparing with the cool-down and replacing it are one step: the lock holds them together."""
    clock = Clock()
    a_gate = gate(clock)
    a_gate.cool_down(1, limited())
    met, inside = threading.Event(), threading.Event()
    a_gate._lock = Contended(met)  # type: ignore[assignment]

    class Slow(float):
        def __radd__(self, now: float) -> float:
            return Sum(now + float(self))

    class Sum(float):
        def __gt__(self, other: float) -> bool:
            longer = float(self) > other
            inside.set()
            assert met.wait(10)
            return longer

    worker = threading.Thread(target=a_gate.cool_down, args=(Slow(5), limited()))
    worker.start()
    assert inside.wait(10)
    a_gate.cool_down(50, limited())
    met.set()
    worker.join(10)
    control = Control(clock)
    go(a_gate, control)
    assert control.waits == [50]


def test_a_forked_child_waits_for_no_inherited_lock(clock: Clock, control: Control) -> None:
    """A lock held by another thread at the fork is replaced; the cool-down is still known."""
    a_gate = gate(clock)
    a_gate.cool_down(30, limited())
    a_gate._lock.acquire()
    a_gate.reset_after_fork()
    done = threading.Thread(target=go, args=(a_gate, control), daemon=True)
    done.start()
    done.join(10)
    assert not done.is_alive()
    assert control.waits == [30]


def test_a_real_wait_ends_at_once_on_stop() -> None:
    """With the real clock and control: a wait of half a minute ends as soon as the request is stopped."""
    control = CallControl(1)
    a_gate = Gate("acme", emit=lambda event: threading.Timer(0.02, control.stop_retrying).start())
    a_gate.cool_down(30, limited())
    started = time.monotonic()
    with pytest.raises(ClientClosedError):
        go(a_gate, control)
    assert time.monotonic() - started < 5


class Told:
    """Cool-downs received from and published to other processes."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, str]] = []
        self.published: tuple[float, Any] | None = None

    def announce(self, seconds: float, cause: Any) -> None:
        """Note it."""
        self.heard.append((seconds, type(cause).__name__))

    def latest(self) -> tuple[float, Any] | None:
        """The cool-down of another process."""
        return self.published


def test_a_cool_down_is_published_to_the_other_processes(clock: Clock) -> None:
    """Why, too: one that lasts longer than they may wait fails their requests with the right class."""
    others = Told()
    gate(clock, cool_downs=others).cool_down(30, limited())
    assert others.heard == [(30, "RateLimitError")]


def test_what_other_processes_tell_is_waited_out(clock: Clock, control: Control) -> None:
    """It is not published again, or it would circulate for ever."""
    others = Told()
    others.published = (20.0, ProviderUnavailableError("from elsewhere"))
    a_gate = gate(clock, cool_downs=others)
    control.during = lambda: setattr(others, "published", None)
    assert go(a_gate, control)
    assert control.waits == [20]
    assert others.heard == []


def test_what_other_processes_tell_refuses_what_may_not_wait(clock: Clock, control: Control) -> None:
    """With their error's class, and unsent."""
    others = Told()
    others.published = (3600.0, ProviderUnavailableError("from elsewhere"))
    with pytest.raises(ProviderUnavailableError, match="from elsewhere") as caught:
        go(gate(clock, cool_downs=others), control, max_retry_after=60)
    assert (caught.value.attempts, caught.value.retry_after) == (0, 3600)


def test_what_other_processes_tell_while_the_slot_is_waited_for_counts(clock: Clock, control: Control) -> None:
    """The previous holder may have received it: the slot is freed and the cool-down waited out without it."""
    others, held = Told(), []

    @contextmanager
    def slot(_: Any, until: float | None) -> Iterator[bool]:
        others.published = None if held else (15.0, limited())
        held.append(True)
        yield True

    def over() -> None:
        others.published = None

    control.during = over
    assert go(gate(clock, slot=slot, cool_downs=others), control)
    assert control.waits == [15]
    assert len(held) == 2


def test_one_s_own_cool_down_coming_back_keeps_its_cause(clock: Clock, control: Control) -> None:
    """The others know the class only; clocks differ by a little."""
    others = Told()
    a_gate = gate(clock, cool_downs=others)
    a_gate.cool_down(3600, limited("daily tokens used"))
    others.published = (3600.004, RateLimitError("another process was throttled"))
    with pytest.raises(RateLimitError, match="daily tokens used"):
        go(a_gate, control)
